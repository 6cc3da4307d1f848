"""A partition of the desired-state topic, read as a log: the last value per key wins.

A view follows one partition. After :meth:`DesiredView.start_over` it reads from offset 0 without
saying anything, until the snapshot marker and the high watermark have both been seen; only then is
what it read the whole truth, and it names what changed against what it knew before. So plants
that are running go on unharmed while a log is read again, or while the log of a broker that has
forgotten everything is being refilled. From then on every record is a change at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reactorsync.bus.port import Record
from reactorsync.wire.desired import DesiredReactor, decode_desired
from reactorsync.wire.errors import MALFORMED, SCHEMA_MISMATCH, UndecodableRecord
from reactorsync.wire.topics import SNAPSHOT_KEY


@dataclass(frozen=True, slots=True)
class Change:
    """A reactor's new desired state; ``None`` when the reactor is gone."""

    key: str
    desired: DesiredReactor | None


@dataclass(frozen=True, slots=True)
class _Value:
    raw: bytes
    desired: DesiredReactor


class DesiredView:
    """What is known of one partition.

    ``check`` raises :class:`ValueError` for a desired state that nobody can follow; such a record
    is refused like one that cannot be read.
    """

    def __init__(self, *, check: Callable[[DesiredReactor], None]) -> None:
        self.next_offset = 0
        """Where reading goes on."""
        self._check = check
        self._known: dict[str, _Value] = {}
        self._reading: dict[str, _Value] | None = {}
        self._marked = False

    @property
    def complete(self) -> bool:
        """Whether the view is authoritative: the marker and the end of the log were reached."""
        return self._reading is None

    def start_over(self) -> None:
        """Read from offset 0 again, keeping what is known until the reading is complete."""
        self.next_offset = 0
        self._reading = {}
        self._marked = False

    def read(self, record: Record) -> Change | None:
        """Take a record in; return the change that follows from it at once, if any.

        Raises:
            UndecodableRecord: the record is passed over; what was known of its key stays.
        """
        self.next_offset = record.offset + 1
        if record.key is None:
            raise UndecodableRecord(MALFORMED, "record without a key")
        if record.key == SNAPSHOT_KEY:
            self._marked = True
            return None
        key = record.key.decode(errors="replace")
        try:
            value = self._decode(key, record.value)
        except UndecodableRecord:
            if self._reading is not None and key in self._known:
                self._reading.setdefault(key, self._known[key])
            raise
        if self._reading is not None:
            _put(self._reading, key, value)
            return None
        before = self._known.get(key)
        _put(self._known, key, value)
        return _change(key, before, value)

    def reach_end(self, high_watermark: int | None) -> list[Change]:
        """Complete the reading if the log was read up to ``high_watermark`` and holds the marker.

        Returns the changes against what was known before, removals included; later calls return
        nothing.
        """
        if self._reading is None or not self._marked or high_watermark is None:
            return []
        if self.next_offset < high_watermark:
            return []
        before, after = self._known, self._reading
        self._known, self._reading = after, None
        changes = (
            _change(key, before.get(key), after.get(key))
            for key in dict.fromkeys([*before, *after])
        )
        return [change for change in changes if change is not None]

    def _decode(self, key: str, raw: bytes | None) -> _Value | None:
        if raw is None:
            return None
        known = self._known.get(key)
        if known is not None and known.raw == raw:
            return known
        desired = decode_desired(raw)
        if desired.key != key:
            raise UndecodableRecord(SCHEMA_MISMATCH, f"record {key!r} describes {desired.key!r}")
        try:
            self._check(desired)
        except ValueError as error:
            raise UndecodableRecord(SCHEMA_MISMATCH, str(error)) from error
        return _Value(raw, desired)


def _put(values: dict[str, _Value], key: str, value: _Value | None) -> None:
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value


def _change(key: str, before: _Value | None, after: _Value | None) -> Change | None:
    if (before and before.desired) == (after and after.desired):
        return None
    return Change(key, after.desired if after else None)
