"""The fault catalogue: what can be injected, what it acts on and what full severity means.

A process fault acts on the physics (a break area, a stopped pump). A sensor fault acts on one
instrument and leaves the plant alone. Neither ever multiplies a finished reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from reactorsync.designs import Design
from reactorsync.signals import LIMITS


class FaultKind(StrEnum):
    """A mechanism of failure."""

    PUMP_TRIP = "PumpTrip"
    PUMP_BEARING_WEAR = "PumpBearingWear"
    PRIMARY_LEAK = "PrimaryLeak"
    LOSS_OF_FEEDWATER = "LossOfFeedwater"
    STEAM_LINE_BREAK = "SteamLineBreak"
    TURBINE_TRIP = "TurbineTrip"
    ROD_WITHDRAWAL = "RodWithdrawal"
    BORON_DILUTION = "BoronDilution"
    LOSS_OF_REGULATION = "LossOfRegulation"
    SENSOR_BIAS = "SensorBias"
    SENSOR_DRIFT = "SensorDrift"
    SENSOR_STUCK = "SensorStuck"
    SENSOR_NOISE = "SensorNoise"
    SENSOR_DROPOUT = "SensorDropout"


@dataclass(frozen=True, slots=True)
class FaultInfo:
    """A catalogue entry.

    ``full_severity`` says in physical terms what ``severityPercent: 100`` does; lower severities
    scale it linearly. ``primary_signal`` is where an engineer looks first, ``None`` for a sensor
    fault, whose signal the scenario names.
    """

    kind: FaultKind
    title: str
    description: str
    full_severity: str
    primary_signal: str | None
    designs: frozenset[Design]

    @property
    def acts_on_sensor(self) -> bool:
        """Whether the fault needs a ``sensor`` and leaves the physics alone."""
        return self.primary_signal is None


_ALL = frozenset(Design)
_PWR = frozenset({Design.PWR_3_LOOP})
_CANDU = frozenset({Design.CANDU6})

FAULTS: Final[dict[FaultKind, FaultInfo]] = {
    info.kind: info
    for info in (
        FaultInfo(
            FaultKind.PUMP_TRIP,
            "Primary pump trip",
            "Primary pumps lose drive and coast down on their flywheels; core flow falls, the "
            "coolant heats up and the plant trips on low flow.",
            "all primary pumps without drive",
            "primary_flow_kg_s",
            _ALL,
        ),
        FaultInfo(
            FaultKind.PUMP_BEARING_WEAR,
            "Primary pump bearing wear",
            "A pump bearing wears: vibration grows and the pump loses a little of its head.",
            "bearing at the end of its life: about 12 mm/s rms and 4 % of flow lost",
            "pump_vibration_mm_s",
            _ALL,
        ),
        FaultInfo(
            FaultKind.PRIMARY_LEAK,
            "Primary coolant leak",
            "Coolant escapes into the containment; pressure and pressurizer level fall while "
            "containment pressure rises.",
            "small break of 10 cm2 flow area",
            "primary_pressure_mpa",
            _ALL,
        ),
        FaultInfo(
            FaultKind.LOSS_OF_FEEDWATER,
            "Loss of feedwater",
            "Main feedwater is lost; the steam generators boil down, the heat sink shrinks.",
            "no main feedwater at all",
            "feedwater_flow_kg_s",
            _ALL,
        ),
        FaultInfo(
            FaultKind.STEAM_LINE_BREAK,
            "Steam line break",
            "Steam escapes; steam pressure falls, the primary cools down and, in a PWR, gains "
            "reactivity.",
            "break that passes half of the rated steam flow at rated pressure",
            "steam_pressure_mpa",
            _ALL,
        ),
        FaultInfo(
            FaultKind.TURBINE_TRIP,
            "Turbine trip",
            "The turbine stops taking steam; steam pressure rises until bypass and relief valves "
            "take the load. A PWR above half of its power trips; below it, and a CANDU at any "
            "power, run back to what the bypass carries.",
            "no steam to the turbine",
            "generator_power_mw",
            _ALL,
        ),
        FaultInfo(
            FaultKind.ROD_WITHDRAWAL,
            "Uncontrolled rod withdrawal",
            "The regulating bank is driven out against its controller; reactivity and power rise.",
            "withdrawal at full drive speed until the bank is out",
            "control_rod_position_percent",
            _PWR,
        ),
        FaultInfo(
            FaultKind.BORON_DILUTION,
            "Boron dilution",
            "Unborated water enters the primary circuit; boron falls and reactivity rises slowly.",
            "dilution by 20 kg/s of pure water",
            "boron_concentration_ppm",
            _PWR,
        ),
        FaultInfo(
            FaultKind.LOSS_OF_REGULATION,
            "Loss of regulation",
            "The liquid zones drain against their controller; reactivity and power rise until a "
            "trip.",
            "all zones drain at the largest possible rate",
            "liquid_zone_level_percent",
            _CANDU,
        ),
        FaultInfo(
            FaultKind.SENSOR_BIAS,
            "Sensor bias",
            "One instrument reads wrong by a constant.",
            "wrong by 10 % of the instrument's range",
            None,
            _ALL,
        ),
        FaultInfo(
            FaultKind.SENSOR_DRIFT,
            "Sensor drift",
            "One instrument moves away from the truth more and more.",
            "drifts by 10 % of the instrument's range per hour",
            None,
            _ALL,
        ),
        FaultInfo(
            FaultKind.SENSOR_STUCK,
            "Sensor stuck",
            "One instrument repeats its last reading; any severity does the same.",
            "reading frozen",
            None,
            _ALL,
        ),
        FaultInfo(
            FaultKind.SENSOR_NOISE,
            "Sensor noise",
            "One instrument becomes noisy.",
            "noise of 5 % of the instrument's range (one standard deviation)",
            None,
            _ALL,
        ),
        FaultInfo(
            FaultKind.SENSOR_DROPOUT,
            "Sensor dropout",
            "One instrument gives no reading for a share of the ticks.",
            "no reading at all",
            None,
            _ALL,
        ),
    )
}


def inapplicable(kind: FaultKind, design: Design, signal: str | None) -> str | None:
    """Return why ``kind`` cannot act on a reactor of ``design``, or ``None`` when it can.

    ``signal`` is the instrument a sensor fault names.
    """
    if design not in FAULTS[kind].designs:
        return f"{kind} has no mechanism in a {design}"
    if signal is not None and signal not in LIMITS[design]:
        return f"a {design} has no {signal}"
    return None
