"""What the desired state says of each reactor, at hand for those who judge its readings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from reactorsync.designs import Design
from reactorsync.resources.scenario import Shape
from reactorsync.wire.desired import DesiredFault, DesiredReactor


@dataclass(frozen=True, slots=True)
class Aim:
    """What a fault of the desired state acts on: ``signal`` for a sensor fault, else ``None``.

    It begins at ``start_us`` and reaches its full severity ``rise_us`` later.
    """

    signal: str | None
    start_us: int
    rise_us: int

    @classmethod
    def of(cls, fault: DesiredFault) -> Aim:
        """Return what of a fault matters here."""
        match fault.shape:
            case Shape.RAMP:
                rise_us = fault.ramp_us
            case Shape.DRIFT:
                rise_us = fault.end_us - fault.start_us
            case _:
                rise_us = 0
        return cls(fault.signal, fault.start_us, rise_us)


@dataclass(frozen=True, slots=True)
class Plant:
    """A reactor as it is wanted. ``faults`` are those that act or will act, by id."""

    uid: UUID
    design: Design
    faults: Mapping[str, Aim] = field(default_factory=dict)

    @classmethod
    def of(cls, desired: DesiredReactor) -> Plant:
        """Return what of a desired state matters here."""
        faults = {fault.id: Aim.of(fault) for fault in desired.faults}
        return cls(desired.uid, desired.design, faults)


class FleetView:
    """The reactors that exist, by key.

    ``version`` grows whenever a reactor comes, goes or becomes another one; faults do not count.
    """

    def __init__(self) -> None:
        self._plants: dict[str, Plant] = {}
        self.version = 0

    def get(self, key: str) -> Plant | None:
        """Return the reactor of that key, ``None`` while nothing is known of it."""
        return self._plants.get(key)

    def put(self, key: str, plant: Plant) -> None:
        """Take what the newest desired state says."""
        known = self._plants.get(key)
        self._plants[key] = plant
        if known is None or (known.uid, known.design) != (plant.uid, plant.design):
            self.version += 1

    def discard(self, keys: Iterable[str]) -> None:
        """Forget reactors that are gone."""
        for key in keys:
            if self._plants.pop(key, None) is not None:
                self.version += 1

    def begin_with(self, plants: Mapping[str, Plant]) -> None:
        """Take what the database remembers of reactors that no desired state was read of yet."""
        for key, plant in plants.items():
            if key not in self._plants:
                self.put(key, plant)
