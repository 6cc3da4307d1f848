"""What was deleted not long ago, so that old news of it does not bring it back."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from reactorsync.resources import ObjectMeta

KEPT: Final = 50_000
"""Far more than can be deleted while an event is under way; a whole large fleet, that is."""


class Tombstones:
    """Versions of deletions by UID; of more than ``kept`` the oldest are dropped."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self._kept = kept
        self._versions: dict[UUID, str] = {}

    def __len__(self) -> int:
        return len(self._versions)

    def bury(self, uid: UUID | None, version: str | None) -> None:
        """Note that an object was deleted, at ``version`` at the earliest."""
        if uid is None or version is None:
            return
        before = self._versions.pop(uid, None)
        self._versions[uid] = before if before and is_later(before, version) else version
        if len(self._versions) > self._kept:
            del self._versions[next(iter(self._versions))]

    def covers(self, metadata: ObjectMeta) -> bool:
        """Return whether an object as it was read had been deleted by then or afterwards."""
        if metadata.uid is None:
            return False
        deleted_at = self._versions.get(metadata.uid)
        return deleted_at is not None and not is_newer(metadata.resource_version, deleted_at)


def is_newer(version: str, other: str) -> bool:
    """Return whether an object at ``version`` is news to whoever knows it at ``other``.

    Versions of both stores are decimal numbers that grow (Kubernetes promises that since 1.35,
    KEP-5504); of any others it can only be told whether they differ.
    """
    if version.isdecimal() and other.isdecimal():
        return int(version) > int(other)
    return version != other


def is_later(version: str, other: str) -> bool:
    """Return whether ``version`` is known to have come after ``other``."""
    return version.isdecimal() and other.isdecimal() and int(version) > int(other)
