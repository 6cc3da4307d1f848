"""From what a shard's plants do to the events that tell of it.

The ledger of a shard remembers what was said last of each reactor, and compares. It holds no clock
and sends nothing, and it can say again everything that is current: telling is level-based, an event
that was lost with a broker is replaced by the next report of the state.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from reactorsync.resources.reactor import ReactorState
from reactorsync.trips import TripCause
from reactorsync.wire.desired import DesiredFault, DesiredReactor
from reactorsync.wire.events import (
    Event,
    FaultInjected,
    FaultRecovered,
    ReactorApplied,
    ReactorObserved,
    ReactorRestarted,
    ReactorTripped,
)
from reactorsync_generator.fault_watch import FaultTurn, FaultWatch, Turn

OBSERVED_STEP_PERMILLE: Final = 10
"""Change of power, thousandths of rated, that is worth a ``ReactorObserved``."""

_SMOOTHING: Final = 0.1
"""Weight of a new reading in the level that is told: noise of the instrument is no news."""

_JUMP_PERMILLE: Final = 50
"""A reading this far from the level is no noise: the level follows it at once."""

OBSERVED_PAUSE_US: Final = 5_000_000
"""Least time between two ``ReactorObserved`` of one reactor."""

RECOVERED_KEPT_US: Final = 600_000_000
"""How long an ended fault is remembered, to be told again to a broker that forgot it."""

_NEVER: Final = np.iinfo(np.int64).min // 2

_MEMORY: Final = np.dtype(
    [
        ("trip", np.uint8),
        ("level", np.float64),
        ("told_us", np.int64),
        ("told_power", np.float64),
        ("told_trip", np.uint8),
    ]
)
"""Per slot: the trip cause at the last tick, the power without its noise, and what the last
``ReactorObserved`` said when."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one tick showed of ``n`` plants.

    ``slots`` are their places in the shard; ``power_permille`` is neutron power in thousandths of
    rated, NaN where unknown; ``trip_causes`` are codes of :class:`~reactorsync.trips.TripCause`.
    """

    tick_us: int
    slots: npt.NDArray[np.int64]
    power_permille: npt.NDArray[np.float64]
    trip_causes: npt.NDArray[np.uint8]


@dataclass(slots=True)
class _Told:
    desired: DesiredReactor
    slot: int
    revision: str
    applied_us: int


class EventLedger:
    """Events of one shard, as ``generator`` tells them. Slots number the plants from 0."""

    def __init__(self, *, shard: int, generator: str) -> None:
        self._shard = shard
        self._generator = generator
        self._told: dict[str, _Told] = {}
        self._by_slot: dict[int, _Told] = {}
        self._faults = FaultWatch()
        self._recovered: deque[FaultRecovered] = deque()
        self._memory = np.zeros(0, dtype=_MEMORY)

    def applied(
        self,
        desired: DesiredReactor,
        *,
        faults: Iterable[DesiredFault],
        slot: int,
        renewed: bool,
        trip_cause: int,
        at_us: int,
    ) -> list[Event]:
        """Tell that the plant in ``slot`` follows ``desired`` from ``at_us`` on, once per revision.

        ``renewed`` says that it is another plant than before. ``faults`` are those that can act on
        it; ``trip_cause`` is its state before its next tick, so that a trip under a former owner is
        not told again.
        """
        told = self._told.get(desired.key)
        if told is None or renewed:
            self.forget(desired.key)
            self._begin(slot, trip_cause)
            told = None
        revision = desired.revision
        if told is not None and told.revision == revision:
            return []
        told = _Told(desired, slot, revision, at_us)
        self._told[desired.key] = self._by_slot[slot] = told
        ended = self._faults.replace(
            desired.key,
            faults,
            interval_us=desired.interval_milliseconds * 1000,
            suspended=desired.state is ReactorState.SUSPENDED,
            at_us=at_us,
        )
        return [self._acknowledgement(told), *self._fault_events(ended, at_us)]

    def forget(self, key: str) -> None:
        """A reactor is gone; nothing more is told of it."""
        told = self._told.pop(key, None)
        if told is None:
            return
        self._faults.forget(key)
        if self._by_slot.get(told.slot) is told:  # and not yet another plant's
            del self._by_slot[told.slot]

    def begun(self, seen: Observation) -> list[Event]:
        """Tell how plants are that begin, before their first tick."""
        return self._power_events(seen)

    def observed(self, seen: Observation) -> list[Event]:
        """Tell what a tick showed: faults that began or ended, trips, restarts, changed power."""
        return [
            *self._fault_events(self._faults.pass_to(seen.tick_us), seen.tick_us),
            *self._trip_events(seen),
            *self._power_events(seen),
        ]

    def current(self, now_us: int) -> list[Event]:
        """Tell again everything that holds, for a broker that may have forgotten all of it.

        Power and trip cause of every reactor follow with its next tick.
        """
        self._memory["told_us"] = _NEVER
        while self._recovered and self._recovered[0].tick_us < now_us - RECOVERED_KEPT_US:
            self._recovered.popleft()
        acting = [FaultTurn(key, fault, Turn.BEGAN) for key, fault in self._faults.acting()]
        return [
            *(self._acknowledgement(told) for told in self._told.values()),
            *self._fault_events(acting, now_us),
            *self._recovered,
        ]

    def _begin(self, slot: int, trip_cause: int) -> None:
        missing = slot + 1 - len(self._memory)
        if missing > 0:
            room = np.zeros(max(missing, len(self._memory)), dtype=_MEMORY)
            self._memory = np.concatenate([self._memory, room])
        self._memory["trip"][slot] = trip_cause
        self._memory["told_us"][slot] = _NEVER

    def _acknowledgement(self, told: _Told) -> ReactorApplied:
        return ReactorApplied(
            namespace=told.desired.namespace,
            name=told.desired.name,
            uid=told.desired.uid,
            tick_us=told.applied_us,
            generation=told.desired.generation,
            revision=told.revision,
            generator=self._generator,
            shard=self._shard,
        )

    def _fault_events(self, turns: list[FaultTurn], tick_us: int) -> list[Event]:
        events: list[Event] = []
        for turn in turns:
            desired = self._told[turn.key].desired
            model = FaultInjected if turn.turn is Turn.BEGAN else FaultRecovered
            event = model(
                namespace=desired.namespace,
                name=desired.name,
                uid=desired.uid,
                tick_us=tick_us,
                fault_id=turn.fault.id,
                scenario=turn.fault.scenario,
                run=turn.fault.run,
                stage=turn.fault.stage,
                kind=turn.fault.kind,
            )
            if isinstance(event, FaultRecovered):
                self._recovered.append(event)
            events.append(event)
        return events

    def _trip_events(self, seen: Observation) -> list[Event]:
        trips = self._memory["trip"]
        changed = np.flatnonzero(trips[seen.slots] != seen.trip_causes)
        trips[seen.slots] = seen.trip_causes
        events: list[Event] = []
        for index in changed:
            desired = self._by_slot[int(seen.slots[index])].desired
            about = {
                "namespace": desired.namespace,
                "name": desired.name,
                "uid": desired.uid,
                "tick_us": seen.tick_us,
            }
            cause = TripCause(int(seen.trip_causes[index]))
            if cause is TripCause.NONE:
                events.append(ReactorRestarted.model_validate(about))
            else:
                events.append(ReactorTripped.model_validate({**about, "cause": cause.label}))
        return events

    def _power_events(self, seen: Observation) -> list[Event]:
        slots, trips = seen.slots, seen.trip_causes
        told = self._memory[slots]
        first = told["told_us"] == _NEVER
        power = self._levels(seen, first)
        with np.errstate(invalid="ignore"):
            moved = np.abs(power - told["told_power"]) >= OBSERVED_STEP_PERMILLE
        tripped = trips != told["told_trip"]
        rested = seen.tick_us - told["told_us"] >= OBSERVED_PAUSE_US
        chosen = np.flatnonzero(np.isfinite(power) & (first | ((moved | tripped) & rested)))
        self._memory["told_us"][slots[chosen]] = seen.tick_us
        self._memory["told_power"][slots[chosen]] = power[chosen]
        self._memory["told_trip"][slots[chosen]] = trips[chosen]
        return [self._observation(seen, int(index), float(power[index])) for index in chosen]

    def _levels(self, seen: Observation, first: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """Return the power without its noise, NaN where there is no reading."""
        level, power = self._memory["level"][seen.slots], seen.power_permille
        with np.errstate(invalid="ignore"):
            follows = first | (np.abs(power - level) > _JUMP_PERMILLE)
        smoothed = np.where(follows, power, level + _SMOOTHING * (power - level))
        read = np.isfinite(power)
        self._memory["level"][seen.slots[read]] = smoothed[read]
        return smoothed

    def _observation(self, seen: Observation, index: int, power_permille: float) -> ReactorObserved:
        desired = self._by_slot[int(seen.slots[index])].desired
        cause = TripCause(int(seen.trip_causes[index]))
        return ReactorObserved(
            namespace=desired.namespace,
            name=desired.name,
            uid=desired.uid,
            tick_us=seen.tick_us,
            generator=self._generator,
            shard=self._shard,
            power_permille=max(0, round(power_permille)),
            trip_cause=None if cause is TripCause.NONE else cause.label,
        )
