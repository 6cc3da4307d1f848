"""Making resources of what a store holds; what cannot be read is named and passed over."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from prometheus_client import Counter
from pydantic import ValidationError

from reactorsync.resources.manifest_problems import dotted
from reactorsync.store.port import R, Unreadable

log = logging.getLogger(__name__)

UNREADABLE: Final = Counter(
    "reactorsync_store_unreadable_total",
    "Stored resources that were passed over because they are not valid, each time they were read.",
    ["kind"],
)

D = TypeVar("D")


def kind_name(kind: type[R]) -> str:
    """Return the name of a kind, as it stands in manifests."""
    return str(kind.model_fields["kind"].default)


def unreadable(kind: type[R], name: str, error: ValidationError) -> Unreadable:
    """Return what to raise for a stored object, ``namespace/name``, that is not valid."""
    first = error.errors()[0]
    where = dotted(first["loc"])
    rule = str(first.get("ctx", {}).get("error", first["msg"]))
    return Unreadable(f"{kind_name(kind)} {name}: {where}: {rule}", field=where, rule=rule)


def read_all(
    kind: type[R], documents: Sequence[D], read: Callable[[type[R], D], R]
) -> list[R | None]:
    """Return what ``read`` makes of each document, ``None`` where it raises :class:`Unreadable`.

    An object that an earlier release let in must not hide all others: it is counted and logged.

    The garbage collector pauses: it would search the growing heap over and over for cycles that
    parsing does not make, which takes four times as long as the parsing.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return [read_or_pass_over(kind, document, read) for document in documents]
    finally:
        if was_enabled:
            gc.enable()


def read_or_pass_over(kind: type[R], document: D, read: Callable[[type[R], D], R]) -> R | None:
    """Return what ``read`` makes of a document, ``None`` if it raises :class:`Unreadable`."""
    try:
        return read(kind, document)
    except Unreadable as error:
        UNREADABLE.labels(kind_name(kind)).inc()
        log.error("passing over what cannot be read: %s", error)
        return None
