"""The signal registry: every measured quantity by name, with unit, meaning, range and limits.

The order of :data:`SIGNALS` is the column order of telemetry frames, of the ``telemetry`` table and
of the generator's reading matrix. New signals are appended, never inserted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reactorsync.designs import Design


@dataclass(frozen=True, slots=True)
class Signal:
    """One measured quantity.

    ``low`` and ``high`` bound what the instrument can show, in ``unit``: a reading is clipped to
    them. ``decimals`` is how many digits after the point mean something to a reader.
    """

    name: str
    unit: str
    title: str
    description: str
    low: float
    high: float
    decimals: int

    @property
    def span(self) -> float:
        """Width of the instrument's range, in the signal's unit."""
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Limits:
    """What is normal for a signal in one design, in the signal's unit.

    The normal band holds at full power and in steady regulation. An alarm limit that does not
    apply is ``None``. Severity grows outward from the band: ``low`` then ``low_low``, ``high`` then
    ``high_high``.
    """

    normal_low: float
    normal_high: float
    low_low: float | None = None
    low: float | None = None
    high: float | None = None
    high_high: float | None = None


SIGNALS: Final[tuple[Signal, ...]] = (
    Signal(
        "neutron_power_percent",
        "%",
        "Neutron power",
        "Neutron power by the ion chambers, as a share of rated thermal power.",
        0.0,
        200.0,
        2,
    ),
    Signal(
        "thermal_power_mw",
        "MW",
        "Thermal power",
        "Heat passed from fuel to coolant, by calorimetry.",
        0.0,
        5000.0,
        1,
    ),
    Signal(
        "reactivity_pcm",
        "pcm",
        "Reactivity",
        "Net reactivity shown by the reactivity meter (inverse kinetics), 1 pcm = 1e-5.",
        -12000.0,
        1500.0,
        2,
    ),
    Signal(
        "fuel_temperature_c",
        "degC",
        "Fuel temperature",
        "Average fuel temperature, inferred from power and coolant temperature.",
        0.0,
        2800.0,
        1,
    ),
    Signal(
        "core_inlet_temperature_c",
        "degC",
        "Core inlet temperature",
        "Coolant temperature at the core inlet (cold leg).",
        0.0,
        400.0,
        2,
    ),
    Signal(
        "core_outlet_temperature_c",
        "degC",
        "Core outlet temperature",
        "Coolant temperature at the core outlet (hot leg).",
        0.0,
        400.0,
        2,
    ),
    Signal(
        "primary_pressure_mpa",
        "MPa",
        "Primary pressure",
        "Absolute pressure of the primary coolant at the core outlet.",
        0.0,
        20.0,
        3,
    ),
    Signal(
        "primary_flow_kg_s",
        "kg/s",
        "Primary flow",
        "Coolant mass flow through the core.",
        0.0,
        25000.0,
        0,
    ),
    Signal(
        "pressurizer_level_percent",
        "%",
        "Pressurizer level",
        "Liquid level in the pressurizer, share of its measuring range.",
        0.0,
        100.0,
        1,
    ),
    Signal(
        "control_rod_position_percent",
        "%",
        "Control rod position",
        "Position of the regulating bank, 100 % is fully withdrawn.",
        0.0,
        100.0,
        1,
    ),
    Signal(
        "liquid_zone_level_percent",
        "%",
        "Liquid zone level",
        "Average light-water level of the liquid zone controllers; more water absorbs more.",
        0.0,
        100.0,
        1,
    ),
    Signal(
        "boron_concentration_ppm",
        "ppm",
        "Boron concentration",
        "Soluble boron in the primary coolant.",
        0.0,
        3000.0,
        1,
    ),
    Signal(
        "steam_pressure_mpa",
        "MPa",
        "Steam pressure",
        "Absolute pressure of the steam generators' secondary side.",
        0.0,
        12.0,
        3,
    ),
    Signal(
        "steam_generator_level_percent",
        "%",
        "Steam generator level",
        "Narrow-range level of the steam generators, average.",
        0.0,
        100.0,
        1,
    ),
    Signal(
        "steam_flow_kg_s",
        "kg/s",
        "Steam flow",
        "Steam mass flow leaving the steam generators.",
        0.0,
        4000.0,
        0,
    ),
    Signal(
        "feedwater_flow_kg_s",
        "kg/s",
        "Feedwater flow",
        "Feedwater mass flow into the steam generators.",
        0.0,
        4000.0,
        0,
    ),
    Signal(
        "generator_power_mw",
        "MW",
        "Generator output",
        "Gross electrical output of the turbine generator.",
        0.0,
        2000.0,
        1,
    ),
    Signal(
        "containment_pressure_kpa",
        "kPa",
        "Containment pressure",
        "Absolute pressure inside the containment.",
        0.0,
        700.0,
        2,
    ),
    Signal(
        "pump_vibration_mm_s",
        "mm/s",
        "Primary pump vibration",
        "Bearing vibration velocity (rms) of the worst primary pump.",
        0.0,
        50.0,
        2,
    ),
)

SIGNAL_NAMES: Final[tuple[str, ...]] = tuple(signal.name for signal in SIGNALS)
SIGNAL_INDEX: Final[dict[str, int]] = {name: index for index, name in enumerate(SIGNAL_NAMES)}

LIMITS: Final[dict[Design, dict[str, Limits]]] = {
    Design.PWR_3_LOOP: {
        "neutron_power_percent": Limits(98.0, 102.0, None, None, 104.0, 109.0),
        "thermal_power_mw": Limits(2830.0, 2960.0, None, None, 3010.0, 3150.0),
        "reactivity_pcm": Limits(-20.0, 20.0, None, None, 60.0, 150.0),
        "fuel_temperature_c": Limits(760.0, 820.0, None, None, 900.0, 1100.0),
        "core_inlet_temperature_c": Limits(290.0, 294.5, 275.0, 283.0, 297.0, 302.0),
        "core_outlet_temperature_c": Limits(325.5, 330.0, None, None, 333.0, 338.0),
        "primary_pressure_mpa": Limits(15.35, 15.75, 13.2, 14.9, 16.1, 16.5),
        "primary_flow_kg_s": Limits(13500.0, 14050.0, 11970.0, 12800.0, None, None),
        "pressurizer_level_percent": Limits(58.0, 66.0, 17.0, 40.0, 75.0, 92.0),
        "control_rod_position_percent": Limits(60.0, 95.0, 15.0, 30.0, None, None),
        "boron_concentration_ppm": Limits(150.0, 900.0, None, None, None, None),
        "steam_pressure_mpa": Limits(6.5, 6.9, 4.2, 5.8, 7.6, 8.2),
        "steam_generator_level_percent": Limits(45.0, 55.0, 17.0, 30.0, 70.0, 82.0),
        "steam_flow_kg_s": Limits(1540.0, 1650.0, None, None, 1760.0, 2200.0),
        "feedwater_flow_kg_s": Limits(1500.0, 1690.0, 400.0, 1100.0, None, None),
        "generator_power_mw": Limits(915.0, 965.0, None, None, 985.0, None),
        "containment_pressure_kpa": Limits(98.0, 104.0, None, None, 108.0, 130.0),
        "pump_vibration_mm_s": Limits(0.5, 2.8, None, None, 4.5, 7.1),
    },
    Design.CANDU6: {
        "neutron_power_percent": Limits(98.0, 102.0, None, None, 104.0, 110.0),
        "thermal_power_mw": Limits(2015.0, 2110.0, None, None, 2145.0, 2270.0),
        "reactivity_pcm": Limits(-20.0, 20.0, None, None, 60.0, 150.0),
        "fuel_temperature_c": Limits(700.0, 780.0, None, None, 850.0, 1000.0),
        "core_inlet_temperature_c": Limits(262.5, 268.0, 245.0, 256.0, 272.0, 280.0),
        "core_outlet_temperature_c": Limits(307.5, 312.5, None, None, 315.0, 320.0),
        "primary_pressure_mpa": Limits(9.75, 10.05, 8.7, 9.4, 10.3, 10.55),
        "primary_flow_kg_s": Limits(8400.0, 8800.0, 7200.0, 7900.0, None, None),
        "pressurizer_level_percent": Limits(58.0, 68.0, 20.0, 40.0, 78.0, 92.0),
        "liquid_zone_level_percent": Limits(30.0, 70.0, 10.0, 20.0, 80.0, 90.0),
        "steam_pressure_mpa": Limits(4.5, 4.8, 3.0, 4.0, 5.1, 5.4),
        "steam_generator_level_percent": Limits(45.0, 55.0, 17.0, 30.0, 70.0, 82.0),
        "steam_flow_kg_s": Limits(1000.0, 1080.0, None, None, 1150.0, 1400.0),
        "feedwater_flow_kg_s": Limits(975.0, 1105.0, 260.0, 720.0, None, None),
        "generator_power_mw": Limits(685.0, 728.0, None, None, 742.0, None),
        "containment_pressure_kpa": Limits(98.0, 103.0, None, None, 103.5, 104.8),
        "pump_vibration_mm_s": Limits(0.5, 2.8, None, None, 4.5, 7.1),
    },
}


def signals_of(design: Design) -> tuple[Signal, ...]:
    """Return the signals that ``design`` has, in registry order.

    A signal a design lacks (boron in a CANDU, liquid zones in a PWR) travels as NaN.
    """
    return tuple(signal for signal in SIGNALS if signal.name in LIMITS[design])
