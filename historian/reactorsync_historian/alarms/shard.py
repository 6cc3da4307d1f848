"""The alarms of one shard: which limits its reactors are beyond, and since when.

An alarm is raised at the third reading in a row beyond its limit, when two seconds or more have
passed since the first; it is cleared at the fifth in a row back inside by the deadband, four
seconds or more after the first. So one wild reading raises nothing, at any sampling interval.

A reading that does not exist neither raises nor clears: the count stands still. A suspended reactor
has no readings and keeps its alarms; when it comes back after a long pause, counts begin anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

import numpy as np
import numpy.typing as npt

from reactorsync.signals import SIGNAL_INDEX, SIGNALS
from reactorsync_historian.alarms.limits import (
    LIMIT_ROWS,
    LOW_ROWS,
    SEVERITIES,
    SIGNAL_OF_ROW,
    LimitMatrix,
)
from reactorsync_historian.fleet import FleetView, Plant

RAISE_READINGS: Final = 3
RAISE_US: Final = 2_000_000
CLEAR_READINGS: Final = 5
CLEAR_US: Final = 4_000_000

LONG_PAUSE_US: Final = 180_000_000
"""Three times the longest sampling interval: readings so far apart are not in a row."""

_ROW_OF: Final = {(row.signal, row.condition): n for n, row in enumerate(LIMIT_ROWS)}
_MOST: Final = 255


@dataclass(frozen=True, slots=True)
class OpenAlarm:
    """An alarm that has not been cleared, as the database remembers it."""

    key: str
    uid: UUID
    reactor_uid: UUID
    signal: str
    condition: str


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm that a tick raised; ``value`` is the reading, ``threshold`` the limit it passed."""

    uid: UUID
    reactor_id: int
    reactor_uid: UUID
    signal: str
    condition: str
    tick_us: int
    value: float
    threshold: float

    @property
    def severity(self) -> int:
        """1 is worst, 4 is least."""
        return SEVERITIES[self.condition]

    @property
    def message(self) -> str:
        """What happened, for people."""
        signal = SIGNALS[SIGNAL_INDEX[self.signal]]
        beyond = "below" if self.condition.startswith("Low") else "above"
        digits = signal.decimals
        return (
            f"{signal.title} {self.value:.{digits}f} {signal.unit}, "
            f"{beyond} {self.condition} {self.threshold:.{digits}f} {signal.unit}"
        )


@dataclass(frozen=True, slots=True)
class Cleared:
    """An alarm that a tick cleared."""

    uid: UUID
    tick_us: int


Change = Raised | Cleared


def alarm_uid(reactor_uid: UUID, *, signal: str, condition: str, tick_us: int) -> UUID:
    """Return the identity of an alarm, which follows from what raised it when."""
    return uuid5(reactor_uid, f"{signal}/{condition}/{tick_us}")


class ShardAlarms:
    """Limit alarms of the reactors of one shard.

    Args:
        fleet: who the reactors are; a reactor it does not know is not judged.
        open_alarms: those that stand open now.
    """

    def __init__(self, fleet: FleetView, open_alarms: Iterable[OpenAlarm] = ()) -> None:
        self._fleet = fleet
        self._version = -1
        self._keys: list[str] = []
        self._plants: list[Plant | None] = []
        self._slots: dict[int, int] = {}
        self._slot_of_id = np.full(0, -1, np.intp)
        self._waiting: dict[str, list[OpenAlarm]] = {}
        for alarm in open_alarms:
            self._waiting.setdefault(alarm.key, []).append(alarm)
        self._uids: dict[tuple[int, int], UUID] = {}
        self._limits = LimitMatrix([])
        self._newest_us = np.zeros(0, np.int64)
        shape = (len(LIMIT_ROWS), 0)
        self._open = np.zeros(shape, np.bool_)
        self._count = np.zeros(shape, np.uint8)
        self._since_us = np.zeros(shape, np.int64)

    def copy(self) -> ShardAlarms:
        """Return one that goes on from here and leaves this one as it is."""
        other = object.__new__(ShardAlarms)
        other._fleet, other._version, other._limits = self._fleet, self._version, self._limits
        other._keys, other._plants = self._keys.copy(), self._plants.copy()
        other._slots, other._slot_of_id = self._slots.copy(), self._slot_of_id
        other._waiting, other._uids = self._waiting.copy(), self._uids.copy()
        other._newest_us = self._newest_us.copy()
        other._open, other._count = self._open.copy(), self._count.copy()
        other._since_us = self._since_us.copy()
        return other

    @property
    def open_alarms(self) -> int:
        """How many alarms stand open."""
        return len(self._uids) + sum(map(len, self._waiting.values()))

    def judge(
        self,
        *,
        tick_us: int,
        reactor_ids: npt.NDArray[np.int32],
        keys: Sequence[str] | None,
        readings: npt.NDArray[np.float32],
    ) -> list[Change]:
        """Take the readings of one tick and return what changed by them.

        Readings that are not newer than the newest of their reactor change nothing.

        Args:
            tick_us: time of the readings.
            reactor_ids: shape ``(m,)``.
            keys: of the same reactors; ``None`` when :meth:`knows` them all.
            readings: shape ``(n_signals, m)``.
        """
        if keys is not None:
            self._learn(reactor_ids, keys)
        if self._version != self._fleet.version:
            self._identify()
        slots = self._slot_of_id[reactor_ids]
        changes: list[Change] = []
        newer = self._newest_us[slots] < tick_us
        if not newer.all():
            slots, reactor_ids, readings = slots[newer], reactor_ids[newer], readings[:, newer]
        paused = tick_us - self._newest_us[slots] > LONG_PAUSE_US
        if paused.any():
            self._count[:, slots[paused]] = 0
        self._newest_us[slots] = tick_us
        values = readings.take(SIGNAL_OF_ROW, 0)
        limits, deadbands = self._limits.at(slots, readings)
        beyond = np.empty(values.shape, np.bool_)
        np.less(values[:LOW_ROWS], limits[:LOW_ROWS], out=beyond[:LOW_ROWS])
        np.greater(values[LOW_ROWS:], limits[LOW_ROWS:], out=beyond[LOW_ROWS:])
        active = self._open.take(slots, 1) | (self._count.take(slots, 1) > 0)
        rows, places = np.nonzero(beyond | active)
        if not len(rows):
            return changes
        turned = self._count_on(
            rows,
            slots[places],
            values[rows, places],
            limits[rows, places],
            deadbands[rows, places],
            tick_us,
        )
        for row, place in zip(rows[turned].tolist(), places[turned].tolist(), strict=True):
            changes.append(
                self._turn(
                    row,
                    int(slots[place]),
                    int(reactor_ids[place]),
                    tick_us,
                    float(values[row, place]),
                    float(limits[row, place]),
                )
            )
        # Those that end first: few statements write them then.
        return sorted(changes, key=lambda change: isinstance(change, Raised))

    def knows(self, reactor_ids: npt.NDArray[np.int32]) -> bool:
        """Return whether all these reactors have been judged here before."""
        if not len(reactor_ids):
            return True
        if int(reactor_ids.max()) >= len(self._slot_of_id):
            return False
        return bool((self._slot_of_id[reactor_ids] >= 0).all())

    def _count_on(
        self,
        rows: npt.NDArray[np.intp],
        slots: npt.NDArray[np.intp],
        values: npt.NDArray[np.float32],
        limits: npt.NDArray[np.float32],
        deadbands: npt.NDArray[np.float32],
        tick_us: int,
    ) -> npt.NDArray[np.bool_]:
        """Count readings in a row at some cells of the matrices; return which alarms turn."""
        sign = np.where(rows < LOW_ROWS, np.float32(1), np.float32(-1))
        is_open = self._open[rows, slots]
        inside = sign * (values - limits)
        judged = np.isfinite(inside)
        goes_on = judged & np.where(is_open, inside >= deadbands, inside < 0)
        count = self._count[rows, slots]
        since_us = np.where(goes_on & (count == 0), tick_us, self._since_us[rows, slots])
        counted = np.where(goes_on, np.minimum(count, _MOST - 1) + 1, np.where(judged, 0, count))
        needed = np.where(is_open, CLEAR_READINGS, RAISE_READINGS)
        delay_us = np.where(is_open, CLEAR_US, RAISE_US)
        turned: npt.NDArray[np.bool_] = (
            goes_on & (counted >= needed) & (tick_us - since_us >= delay_us)
        )
        self._count[rows, slots] = np.where(turned, 0, counted)
        self._since_us[rows, slots] = since_us
        self._open[rows, slots] = is_open ^ turned
        return turned

    def _turn(
        self, row: int, slot: int, reactor_id: int, tick_us: int, value: float, threshold: float
    ) -> Change:
        if not self._open[row, slot]:
            return Cleared(self._uids.pop((row, slot)), tick_us)
        plant = self._plants[slot]
        assert plant is not None  # noqa: S101 - a reactor without a design has no limits
        limit = LIMIT_ROWS[row]
        uid = alarm_uid(plant.uid, signal=limit.signal, condition=limit.condition, tick_us=tick_us)
        self._uids[row, slot] = uid
        return Raised(
            uid=uid,
            reactor_id=reactor_id,
            reactor_uid=plant.uid,
            signal=limit.signal,
            condition=limit.condition,
            tick_us=tick_us,
            value=value,
            threshold=threshold,
        )

    def _learn(self, reactor_ids: npt.NDArray[np.int32], keys: Sequence[str]) -> None:
        """Give a slot to each reactor that has none."""
        new = [
            (reactor_id, key)
            for reactor_id, key in zip(reactor_ids.tolist(), keys, strict=True)
            if reactor_id not in self._slots
        ]
        for reactor_id, key in new:
            self._slots[reactor_id] = len(self._keys)
            self._keys.append(key)
            self._plants.append(None)
        if not new:
            return
        size = max(int(reactor_ids.max()) + 1, len(self._slot_of_id))
        self._slot_of_id = np.full(size, -1, np.intp)
        for reactor_id, slot in self._slots.items():
            self._slot_of_id[reactor_id] = slot
        self._newest_us = np.concatenate([self._newest_us, np.zeros(len(new), np.int64)])
        room = ((0, 0), (0, len(new)))
        self._open = np.pad(self._open, room)
        self._count = np.pad(self._count, room)
        self._since_us = np.pad(self._since_us, room)
        self._version = -1

    def _identify(self) -> None:
        """Look up who the reactors are now; another plant of the same name begins afresh."""
        self._version = self._fleet.version
        for slot, key in enumerate(self._keys):
            before, plant = self._plants[slot], self._fleet.get(key)
            if plant is not None and before is not None and before.uid == plant.uid:
                continue
            self._plants[slot] = plant
            self._open[:, slot] = False
            self._count[:, slot] = 0
            if before is not None:
                self._uids = {cell: uid for cell, uid in self._uids.items() if cell[1] != slot}
            if plant is not None:
                for alarm in self._waiting.pop(key, ()):
                    self._reopen(alarm, slot, plant)
        self._limits = LimitMatrix(
            [None if plant is None else plant.design for plant in self._plants]
        )

    def _reopen(self, alarm: OpenAlarm, slot: int, plant: Plant) -> None:
        row = _ROW_OF.get((alarm.signal, alarm.condition))
        if row is not None and alarm.reactor_uid == plant.uid:
            self._open[row, slot] = True
            self._uids[row, slot] = alarm.uid
