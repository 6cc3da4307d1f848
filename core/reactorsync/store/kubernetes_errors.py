"""An API server's errors in the words of the port."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from reactorsync.kube import ApiError, ApiUnavailable
from reactorsync.store.port import (
    AlreadyExists,
    Conflict,
    Failed,
    Forbidden,
    Invalid,
    NotFound,
    StoreError,
    StoreUnavailable,
    WatchExpired,
)

_SERVER_ERROR: Final = 500

_PREFIX: Final = re.compile(r'^(?:Forbidden: |Invalid value: "[a-z]+": )+')
"""What an API server puts before the message of a rule: the type of the value, not the value."""


_UNDECLARED: Final = re.compile(r"\.?([\w.\[\]-]+): field not declared in schema")
"""What an API server answers, as an error of its own, to an apply of what its CRD does not have."""


class OutdatedDefinition(Invalid):
    """The CRD in the cluster is older than this release: it lacks a field that is to be written."""


@contextmanager
def in_words_of_the_store(title: str, *, part: str = "spec") -> Iterator[None]:
    """Raise the :class:`StoreError` for what an API server answers about ``title``.

    ``part`` is what is named where the answer names no field.
    """
    try:
        yield
    except (ApiError, ApiUnavailable) as error:
        raise store_error(error, title, part=part) from error


def store_error(error: ApiError | ApiUnavailable, title: str, *, part: str = "spec") -> StoreError:
    """Return the error of the port that ``error`` is, for a request about ``title``."""
    if isinstance(error, ApiUnavailable):
        return StoreUnavailable(str(error))
    match error.code:
        case 401 | 403:
            return Forbidden(f"{title}: {error.message}")
        case 404 if "name" in error.details:
            return NotFound(f"there is no {title}: {error.message}")
        case 404:
            return StoreUnavailable(
                f"{title}: the API server does not know the kind: are the CRDs installed?"
            )
        case 409 if error.reason == "AlreadyExists":
            return AlreadyExists(f"{title} exists already")
        case 409:
            return Conflict(f"{title}: {error.message}")
        case 410:
            return WatchExpired(error.message)
        case code if code >= _SERVER_ERROR:
            if (undeclared := _UNDECLARED.search(error.message)) is not None:
                return OutdatedDefinition(
                    undeclared[1],
                    "the CRDs in the cluster are older than this release, which writes it: "
                    "kubectl apply --server-side -f crds",
                )
            return Failed(f"{title}: {error}")
        case _:
            return _invalid(error, part)


def _invalid(error: ApiError, part: str) -> Invalid:
    """Return what is wrong with an object, by the first of the causes that names a field."""
    causes = error.details.get("causes")
    for cause in causes if isinstance(causes, list) else ():
        if isinstance(cause, dict) and cause.get("field"):
            message = str(cause.get("message") or error.message)
            return Invalid(str(cause["field"]), _PREFIX.sub("", message))
    return Invalid(part, error.message)
