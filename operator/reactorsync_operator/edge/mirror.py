"""One kind of the fleet as the API server has it, from watch events and from lists."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic

from reactorsync.resources import Kind
from reactorsync.service import about
from reactorsync.store import Unreadable
from reactorsync.store.kubernetes_documents import read_document
from reactorsync.store.port import R
from reactorsync.wire.keys import reactor_key
from reactorsync_operator.metrics import UNREADABLE, WATCH_EVENTS
from reactorsync_operator.tombstones import is_newer
from reactorsync_operator.watcher import View

log = logging.getLogger(__name__)

GONE_SECONDS: Final = 900.0
"""How long it is remembered that an object is gone, since an older list may still name it."""


@dataclass(slots=True)
class Sweep:
    """A list in progress: what was known when it began, and what the list said so far.

    ``known`` are names by UID, ``untold`` versions by UID, and ``untold_deletions`` UIDs, that the
    list was first to tell.
    """

    known: dict[str, str]
    untold: dict[str, str] = field(default_factory=dict)
    untold_deletions: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Met:
    """An object that the view may be without: ``namespace/name``, and the version met last."""

    name: str
    version: str


class Mirror(Generic[R]):
    """Keeps a view of one kind. ``clock`` returns monotonic seconds.

    ``refused`` is called with each version of an object that cannot be read, and why; ``accepted``
    with its UID when it can be read again, or is gone. ``drops_unreadable`` says whether the view
    is without an object while it cannot be read; otherwise it stays there as it was last known.

    Events and lists may come in any order: versions decide which is newer, and a UID that is gone
    never comes back. What the view itself does not keep, one that is being deleted, is known as it
    was met last.
    """

    def __init__(
        self,
        kind: type[R],
        view: View[R],
        *,
        clock: Callable[[], float],
        drops_unreadable: bool = False,
        refused: Callable[[Mapping[str, Any], Unreadable], None] = lambda _body, _error: None,
        accepted: Callable[[str], None] = lambda _uid: None,
    ) -> None:
        self._kind: type[R] = kind
        self._view: View[R] = view
        self._clock = clock
        self._drops_unreadable = drops_unreadable
        self._refused = refused
        self._accepted = accepted
        self._name = Kind(kind.model_fields["kind"].default)
        self._gone: dict[str, float] = {}
        self._unreadable: dict[str, _Met] = {}
        self._left_out: dict[str, _Met] = {}
        self._sweep: Sweep | None = None

    def told(self, type_: str | None, body: Mapping[str, Any]) -> None:
        """Take in an event of a watch."""
        uid = self._note(type_, body)
        if type_ == "DELETED":
            self._remove(_name(body), uid)
        else:
            self._put(body)

    def echoes(self, body: Mapping[str, Any]) -> bool:
        """Return whether what a watch tells, of an object that is there, is known already."""
        if not self._is_known(body):
            return False
        self._note(None, body)
        return True

    def count(self, namespace: str | None) -> int:
        """Return how many objects are known in a namespace, ``None`` for all of them.

        Those that cannot be read do not count: nobody says that they are known as they are.
        """
        names = [*self._view.names(), *(met.name for met in self._left_out.values())]
        if namespace is None:
            return len(names)
        return sum(name.partition("/")[0] == namespace for name in names)

    def _note(self, type_: str | None, body: Mapping[str, Any]) -> str:
        """Note that the watch has told of an object; return its UID."""
        WATCH_EVENTS.labels(self._name).inc()
        uid, version = _identity(body)
        if self._sweep is not None:
            untold = self._sweep.untold.get(uid)
            if untold is not None and (type_ == "DELETED" or not is_newer(untold, version)):
                del self._sweep.untold[uid]
            if type_ == "DELETED":
                self._sweep.untold_deletions.discard(uid)
        return uid

    def begin_sweep(self) -> Sweep:
        """Begin to compare with a list, which must not have been asked for before."""
        self._forget_old()
        known = {uid: met.name for uid, met in (self._unreadable | self._left_out).items()}
        for name in self._view.names():
            resource = self._view.get(name)
            if resource is not None:
                known[str(resource.metadata.uid)] = name
        self._sweep = Sweep(known)
        return self._sweep

    def take_page(self, sweep: Sweep, items: Iterable[Mapping[str, Any]]) -> None:
        """Take in what one page of the list holds."""
        for body in items:
            uid, version = _identity(body)
            sweep.known.pop(uid, None)
            if self._put(body):
                sweep.untold[uid] = version

    def finish_list(self, sweep: Sweep) -> None:
        """Drop what was known when the list began and is not in it."""
        for uid, name in sweep.known.items():
            if self._remove(name, uid):
                sweep.untold_deletions.add(uid)

    def finish_sweep(self) -> None:
        """Compare no longer."""
        self._sweep = None

    def _put(self, body: Mapping[str, Any]) -> bool:
        """Take in an object as it is in ``body``; return whether that was news."""
        uid, version = _identity(body)
        if uid in self._gone or self._is_known(body):
            return False
        unread = self._unreadable.get(uid)
        if unread is not None and is_newer(unread.version, version):
            return False
        try:
            resource = read_document(self._kind, dict(body))
        except Unreadable as error:
            self._pass_over(body, error)
            return False
        self._can_be_read(uid)
        self._view.put(resource)
        if self._kept(_name(body), uid) is None:
            self._left_out[uid] = _Met(_name(body), version)
        else:
            self._left_out.pop(uid, None)
        return True

    def _is_known(self, body: Mapping[str, Any]) -> bool:
        uid, version = _identity(body)
        kept, met = self._kept(_name(body), uid), self._left_out.get(uid)
        known = [] if kept is None else [kept.metadata.resource_version]
        known += [] if met is None else [met.version]
        return any(not is_newer(version, one) for one in known)

    def _kept(self, name: str, uid: str) -> R | None:
        """Return an object as the view has it, ``None`` when it has none or another one."""
        kept = self._view.get(name)
        return kept if kept is not None and str(kept.metadata.uid) == uid else None

    def _pass_over(self, body: Mapping[str, Any], error: Unreadable) -> None:
        """Do without an object, or leave it as it was last known, and log that once."""
        uid, version = _identity(body)
        name = _name(body)
        self._refused(body, error)
        is_new = uid not in self._unreadable
        self._unreadable[uid] = _Met(name, version)
        if self._drops_unreadable:
            self._drop(name, uid)
        if is_new:
            UNREADABLE.labels(self._name).inc()
            extra = about(self._name, *name.split("/", 1))
            log.error("passing over what cannot be read: %s", error, extra=extra)

    def _can_be_read(self, uid: str) -> None:
        if self._unreadable.pop(uid, None) is not None:
            self._accepted(uid)

    def _remove(self, name: str, uid: str) -> bool:
        self._gone[uid] = self._clock()
        self._left_out.pop(uid, None)
        self._can_be_read(uid)
        return self._drop(name, uid)

    def _drop(self, name: str, uid: str) -> bool:
        if self._kept(name, uid) is None:
            return False
        self._view.remove(name)
        return True

    def _forget_old(self) -> None:
        oldest = self._clock() - GONE_SECONDS
        self._gone = {uid: since for uid, since in self._gone.items() if since > oldest}


def _name(body: Mapping[str, Any]) -> str:
    metadata = body["metadata"]
    return reactor_key(metadata["namespace"], metadata["name"])


def _identity(body: Mapping[str, Any]) -> tuple[str, str]:
    metadata = body["metadata"]
    return metadata["uid"], metadata["resourceVersion"]
