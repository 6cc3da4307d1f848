"""Why a reactor shut itself down: first-out causes of the protection system."""

from __future__ import annotations

from enum import IntEnum


class TripCause(IntEnum):
    """First-out cause of a trip, as telemetry frames carry it in ``trip_cause``.

    Numbers are part of the wire format: never reused, only appended.
    """

    NONE = 0
    HIGH_NEUTRON_POWER = 1
    HIGH_POWER_RATE = 2
    LOW_PRIMARY_PRESSURE = 3
    HIGH_PRIMARY_PRESSURE = 4
    LOW_PRIMARY_FLOW = 5
    LOW_STEAM_GENERATOR_LEVEL = 6
    HIGH_OUTLET_TEMPERATURE = 7
    LOW_PRESSURIZER_LEVEL = 8
    HIGH_CONTAINMENT_PRESSURE = 9
    LOW_STEAM_PRESSURE = 10
    TURBINE_TRIP = 11

    @property
    def label(self) -> str | None:
        """The cause in CamelCase, as status and API show it; ``None`` for no trip."""
        if self is TripCause.NONE:
            return None
        return "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def title(self) -> str:
        """The cause in words, ``Low primary flow``."""
        return self.name.replace("_", " ").capitalize()


def trip_label(code: int) -> str | None:
    """Return the label of a cause by its number, ``Unknown11`` for one of a later version."""
    try:
        return TripCause(code).label
    except ValueError:
        return f"Unknown{code}"
