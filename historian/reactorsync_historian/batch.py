"""What one transaction stores, and how records become it: functions of values, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from reactorsync.bus.port import Partition, Record
from reactorsync.wire.errors import MALFORMED, UndecodableRecord
from reactorsync.wire.frame import Frame, decode_frame
from reactorsync_historian.alarms.shard import Change
from reactorsync_historian.offsets import Move, Ownership
from reactorsync_historian.reactors import ReactorIds
from reactorsync_historian.sequences import Loss

TICK_IN_FUTURE: Final = "TickInFuture"
"""The tick lies further ahead of the clock than clocks differ."""

TICK_EXPIRED: Final = "TickExpired"
"""The tick is older than the retention: its partition of the table has been dropped."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Which ticks can be stored."""

    retention: timedelta
    future: timedelta

    def check(self, tick_us: int, *, now_us: int) -> None:
        """Raise :class:`UndecodableRecord` for a tick that cannot be stored."""
        ahead = timedelta(microseconds=tick_us - now_us)
        if ahead > self.future:
            raise UndecodableRecord(TICK_IN_FUTURE, f"{ahead} ahead of the clock")
        if -ahead > self.retention:
            raise UndecodableRecord(TICK_EXPIRED, f"{-ahead} old, kept for {self.retention}")


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be stored as readings, and why; it becomes a dead letter."""

    record: Record
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Item:
    """A record as it was read: a frame, or what is wrong with it.

    ``owner`` is the ownership under which it was read: the item is worth nothing under another one.
    ``unknown_reactors`` are keys of the frame that have no id yet.
    """

    record: Record
    owner: Ownership
    content: Frame | Rejected
    unknown_reactors: Set[str] = frozenset()

    @property
    def rows(self) -> int:
        """Rows of telemetry it brings."""
        return len(self.content) if isinstance(self.content, Frame) else 0


class ItemReader:
    """Decodes records and rejects what cannot be stored."""

    def __init__(self, *, limits: TimeLimits, reactor_ids: ReactorIds) -> None:
        self._limits = limits
        self._reactor_ids = reactor_ids

    def read(self, record: Record, owner: Ownership, *, now_us: int) -> Item:
        """Return what a record holds."""
        try:
            if record.value is None:
                raise UndecodableRecord(MALFORMED, "the record has no value")
            frame = decode_frame(record.value)
            self._limits.check(frame.tick_us, now_us=now_us)
            unknown = self._reactor_ids.unknown(frame.reactors, shard=record.partition.number)
        except UndecodableRecord as error:
            return Item(record, owner, Rejected(record, error.reason, error.detail))
        return Item(record, owner, frame, unknown)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction stores, but for the rows, which lie in a ``CopyBuffer``."""

    incarnation: str
    moves: dict[Partition, Move]
    dead_letters: list[Rejected]
    losses: list[Loss]
    alarms: Sequence[Change] = ()


def moves_of(items: Iterable[Item]) -> dict[Partition, Move]:
    """Return how far the offsets move when ``items`` are stored, in order."""
    moves: dict[Partition, Move] = {}
    for item in items:
        moves[item.record.partition] = Move(
            epoch=item.owner.epoch,
            expected=item.owner.next_offset,
            next_offset=item.record.offset + 1,
        )
    return moves
