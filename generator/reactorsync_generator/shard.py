"""The plants of one shard: desired state in, simulated time forward, readings out.

Pure of Kafka and of the clock; with :mod:`~reactorsync_generator.orders` the only module that knows
the plant's interface. Each plant has a simulated time of its own, so that plants with different
intervals, suspended plants and plants that come from a checkpoint live side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reactorsync.designs import Design
from reactorsync.resources.reactor import ReactorState
from reactorsync.signals import SIGNAL_INDEX
from reactorsync.wire.checkpoint import Checkpoint
from reactorsync.wire.desired import DesiredFault, DesiredReactor
from reactorsync.wire.frame import reactor_column
from reactorsync_generator.desired_view import Change
from reactorsync_generator.inheritance import Inheritance, states_of
from reactorsync_generator.metrics import CLOCK_MOVES
from reactorsync_generator.orders import NOISE_FACTORS, acting_faults, plant_spec
from reactorsync_generator.plant import LAYOUT, STEP_US, PlantFleet, PlantSpec
from reactorsync_generator.ticking import Cadence, boundary_before

Slots = npt.NDArray[np.int64]

MOST_GROUPS: Final = 64
"""Groups that are remembered; a fleet with many intervals has thousands, few of which come back."""

_NEUTRON_POWER: Final = SIGNAL_INDEX["neutron_power_percent"]


@dataclass(frozen=True, slots=True)
class Applied:
    """A change that took effect. ``desired`` is ``None`` when the reactor is gone.

    ``slot`` is the plant's place in the shard; ``renewed`` says that it holds another plant than
    before. ``faults`` are those of the desired faults that can act on the plant, ``trip_cause`` is
    the plant's at this moment.
    """

    key: str
    desired: DesiredReactor | None
    slot: int = -1
    renewed: bool = False
    faults: Sequence[DesiredFault] = ()
    trip_cause: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """What ``n`` instruments show at one tick.

    ``readings`` has shape ``(n_signals, n)``; ``power_permille`` is the neutron power read, NaN
    without a reading; ``slots`` are the places of the plants in the shard.
    """

    tick_us: int
    reactors: pa.StringArray
    slots: Slots
    trip_causes: npt.NDArray[np.uint8]
    readings: npt.NDArray[np.float32]
    power_permille: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Group:
    """The plants that are sampled together."""

    slots: Slots
    reactors: pa.StringArray


@dataclass(slots=True)
class _Plant:
    desired: DesiredReactor
    slot: int

    def is_of(self, desired: DesiredReactor) -> bool:
        """Whether ``desired`` describes this plant, however it is to be run."""
        mine = self.desired
        return (mine.uid, mine.design, mine.seed) == (desired.uid, desired.design, desired.seed)

    @property
    def running(self) -> bool:
        return self.desired.state is ReactorState.RUNNING


class Shard:
    """The plants of shard ``number``.

    A gap in a plant's simulated time that is longer than ``catch_up_us`` (beyond its own sampling
    interval) is not simulated: the plant goes on from its state, with its clock moved.
    """

    def __init__(self, number: int, *, catch_up_us: int) -> None:
        self._number = number
        self._catch_up_us = catch_up_us
        self._fleet = PlantFleet()
        self._plants: dict[str, _Plant] = {}
        self._times_us = np.zeros(0, dtype=np.int64)
        self._intervals_us = np.zeros(0, dtype=np.int64)
        self._inherited: Inheritance = {}
        self._groups: dict[frozenset[int], _Group] = {}
        self._cadence = Cadence(frozenset())

    def __len__(self) -> int:
        return len(self._plants)

    @property
    def cadence(self) -> Cadence:
        """When the running plants are sampled."""
        return self._cadence

    def inherit(self, inheritance: Inheritance) -> None:
        """Take states for plants that are added from now on; the others start at rest."""
        self._inherited = inheritance

    def apply(self, changes: Iterable[Change], *, at_us: int) -> list[Applied]:
        """Bring the shard to the desired state, valid from ``at_us``, a time on the grid.

        Plants that go on are simulated up to then as they were; new ones start then, at rest at
        their setpoint, or at the time of the state that they inherit.
        """
        latest = {change.key: change.desired for change in changes}
        kept = [
            plant.slot
            for key, desired in latest.items()
            if desired
            and (plant := self._plants.get(key))
            and plant.running
            and plant.is_of(desired)
        ]
        self._advance(np.array(kept, dtype=np.int64), at_us)
        new = {
            key: desired
            for key, desired in latest.items()
            if desired and not ((plant := self._plants.get(key)) and plant.is_of(desired))
        }
        for key in latest:
            if latest[key] is None or key in new:
                self._remove(key)
        self._add(new, at_us)
        applied = [
            Applied(key, None) if desired is None else self._direct(key, desired, at_us, key in new)
            for key, desired in latest.items()
        ]
        self._regroup()
        return sorted(applied, key=lambda each: each.desired is not None)

    def advance(self, to_us: int) -> None:
        """Simulate all running plants up to ``to_us``."""
        self._advance(self._running(), to_us)

    def oldest_us(self, now_us: int) -> int:
        """Return the time of the running plant that is furthest behind, at most ``now_us``.

        Clocks that are too far behind ``now_us`` to be caught up are moved first.
        """
        slots = self._running()
        self._move_clocks(slots, now_us)
        return int(self._times_us[slots].min(initial=now_us))

    def sample(self, tick_us: int, *, newest_us: int | None = None) -> Sample | None:
        """Simulate and read the plants that are due at ``tick_us``; ``None`` if there are none.

        Those that are due again by ``newest_us``, the newest tick there is, are left out: they are
        not read twice in a row because somebody came late.
        """
        group = self._due(tick_us, tick_us if newest_us is None else newest_us)
        if not len(group.slots):
            return None
        self._advance(group.slots, tick_us)
        return self._read(group, tick_us)

    def look(self, keys: Iterable[str], *, at_us: int) -> Sample | None:
        """Read the running plants among ``keys`` that stand at ``at_us``; ``None`` if none does."""
        plants = [(key, self._plants[key]) for key in keys]
        standing = [
            (key, plant.slot)
            for key, plant in plants
            if plant.running and self._times_us[plant.slot] == at_us
        ]
        return self._read(_group(standing), at_us) if standing else None

    def checkpoint(self, now_us: int) -> Checkpoint:
        """Return the states of all plants. A suspended plant's time is now: its clock stands."""
        plants = list(self._plants.values())
        slots = np.array([plant.slot for plant in plants], dtype=np.int64)
        running = np.array([plant.running for plant in plants], dtype=np.bool_)
        times_us = np.where(running, self._times_us[slots], boundary_before(now_us))
        return Checkpoint(
            shard=self._number,
            layout=LAYOUT,
            keys=list(self._plants),
            uids=[str(plant.desired.uid) for plant in plants],
            times_us=times_us.astype(np.int64),
            states=self._fleet.snapshot(slots),
        )

    def inheritance(self, now_us: int) -> Inheritance:
        """Return the states of all plants, for another :class:`Shard` to begin from."""
        return states_of(self.checkpoint(now_us))

    def _add(self, new: dict[str, DesiredReactor], at_us: int) -> None:
        slots = self._fleet.add([plant_spec(desired) for desired in new.values()])
        self._reserve(int(slots.max(initial=-1)) + 1)
        self._times_us[slots] = at_us
        heirs: list[int] = []
        states: list[npt.NDArray[np.float64]] = []
        for (key, desired), slot in zip(new.items(), slots.tolist(), strict=True):
            self._plants[key] = _Plant(desired, slot)
            state = self._inherited.get(key)
            if state and (state.uid, state.layout) == (str(desired.uid), LAYOUT):
                heirs.append(slot)
                states.append(state.state)
                # A former owner whose clock was ahead is waited for, within reason.
                ahead = state.time_us - at_us > self._catch_up_us
                self._times_us[slot] = at_us if ahead else boundary_before(state.time_us, STEP_US)
        if heirs:
            self._fleet.restore(np.array(heirs, dtype=np.int64), np.stack(states), layout=LAYOUT)

    def _remove(self, key: str) -> None:
        plant = self._plants.pop(key, None)
        if plant is not None:
            self._fleet.remove(np.array([plant.slot], dtype=np.int64))

    def _direct(self, key: str, desired: DesiredReactor, at_us: int, renewed: bool) -> Applied:
        """Give the plant of ``key`` its orders."""
        plant = self._plants[key]
        slot = plant.slot
        if not plant.running and not renewed:
            self._times_us[slot] = at_us
        plant.desired = desired
        self._intervals_us[slot] = desired.interval_milliseconds * 1000
        faults = acting_faults(desired)
        self._fleet.set_setpoint(slot, desired.power_setpoint_permille)
        self._fleet.set_noise(slot, NOISE_FACTORS[desired.noise])
        self._fleet.set_faults(slot, [fault for _, fault in faults])
        return Applied(
            key=key,
            desired=desired,
            slot=slot,
            renewed=renewed,
            faults=[fault for fault, _ in faults],
            trip_cause=int(self._fleet.trip_causes(np.array([slot], dtype=np.int64))[0]),
        )

    def _running(self) -> Slots:
        return np.array(
            [plant.slot for plant in self._plants.values() if plant.running], dtype=np.int64
        )

    def _move_clocks(self, slots: Slots, to_us: int) -> None:
        """Set the clocks of plants that are too far behind."""
        gaps_us = to_us - self._times_us[slots]
        too_far = slots[gaps_us > self._catch_up_us + self._intervals_us[slots]]
        if len(too_far):
            CLOCK_MOVES.inc(len(too_far))
            self._times_us[too_far] = to_us

    def _advance(self, slots: Slots, to_us: int) -> None:
        self._move_clocks(slots, to_us)
        slots = slots[self._times_us[slots] < to_us]
        for from_us in np.unique(self._times_us[slots]).tolist():
            together = slots[self._times_us[slots] == from_us]
            self._fleet.advance(together, from_us, to_us)
        self._times_us[slots] = to_us

    def _read(self, group: _Group, tick_us: int) -> Sample:
        readings = np.ascontiguousarray(self._fleet.readings(group.slots, tick_us).T)
        return Sample(
            tick_us=tick_us,
            reactors=group.reactors,
            slots=group.slots,
            trip_causes=self._fleet.trip_causes(group.slots),
            readings=readings,
            power_permille=10.0 * readings[_NEUTRON_POWER].astype(np.float64),
        )

    def _regroup(self) -> None:
        self._groups.clear()
        self._cadence = Cadence.of_milliseconds(
            plant.desired.interval_milliseconds for plant in self._plants.values() if plant.running
        )

    def _due(self, tick_us: int, newest_us: int) -> _Group:
        """Return the plants due at a tick, found by which intervals divide it."""
        due = frozenset(
            each
            for each in self._cadence.intervals_us
            if tick_us % each == 0 and tick_us + each > newest_us
        )
        group = self._groups.get(due)
        if group is None:
            if len(self._groups) >= MOST_GROUPS:
                self._groups.clear()
            chosen = [
                (key, plant.slot)
                for key, plant in self._plants.items()
                if plant.running and plant.desired.interval_milliseconds * 1000 in due
            ]
            group = self._groups[due] = _group(chosen)
        return group

    def _reserve(self, size: int) -> None:
        missing = size - len(self._times_us)
        if missing > 0:
            room = np.zeros(max(missing, len(self._times_us)), dtype=np.int64)
            self._times_us = np.concatenate([self._times_us, room])
            self._intervals_us = np.concatenate([self._intervals_us, room])


def _group(plants: Sequence[tuple[str, int]]) -> _Group:
    """Return the group of plants given by key and slot."""
    return _Group(
        np.array([slot for _, slot in plants], dtype=np.int64),
        reactor_column([key for key, _ in plants]),
    )


def warm_up() -> None:
    """Have the plant compiled, so that the first tick need not wait for it."""
    fleet = PlantFleet()
    slots = fleet.add([PlantSpec(design) for design in Design])
    fleet.advance(slots, 0, STEP_US)
    fleet.readings(slots, STEP_US)
    fleet.restore(slots, fleet.snapshot(slots), layout=LAYOUT)
