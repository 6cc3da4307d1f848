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


@contextmanager
def in_words_of_the_store(title: str) -> Iterator[None]:
    """Raise the :class:`StoreError` for what an API server answers about ``title``."""
    try:
        yield
    except (ApiError, ApiUnavailable) as error:
        raise store_error(error, title) from error


def store_error(error: ApiError | ApiUnavailable, title: str) -> StoreError:
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
            return StoreUnavailable(f"{title}: {error}")
        case _:
            return _invalid(error)


def _invalid(error: ApiError) -> Invalid:
    """Return what is wrong with an object, by the first of the causes that names a field."""
    causes = error.details.get("causes")
    for cause in causes if isinstance(causes, list) else ():
        if isinstance(cause, dict) and cause.get("field"):
            message = str(cause.get("message") or error.message)
            return Invalid(str(cause["field"]), _PREFIX.sub("", message))
    return Invalid("spec", error.message)
