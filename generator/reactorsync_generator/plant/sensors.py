"""Instruments: what the plant's state looks like through lag, noise, range and sensor faults.

Lags and held values are part of the plant's state and advance with it. Noise is a hash of seed,
tick, signal and stream, so a reading does not depend on which readings were taken before.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from reactorsync.signals import SIGNAL_INDEX, SIGNALS
from reactorsync_generator.plant.collocation import Array
from reactorsync_generator.plant.faults import (
    SensorFault,
    accumulated_s,
    intensity_at,
    mean_intensity,
)
from reactorsync_generator.plant.jit import compiled, settled
from reactorsync_generator.plant.layout import SENSORS, Record, Records

LOW: Final = np.array([signal.low for signal in SIGNALS])
HIGH: Final = np.array([signal.high for signal in SIGNALS])

BIAS_SHARE: Final = 0.1
"""Share of the range by which a biased instrument of full severity is wrong."""
DRIFT_SHARE_PER_H: Final = 0.1
"""Share of the range by which a drifting instrument of full severity moves per hour."""
NOISE_SHARE: Final = 0.05
"""Standard deviation of a noisy instrument of full severity, as a share of its range."""

_BIAS: Final = int(SensorFault.SENSOR_BIAS)
_DRIFT: Final = int(SensorFault.SENSOR_DRIFT)
_STUCK: Final = int(SensorFault.SENSOR_STUCK)
_NOISE: Final = int(SensorFault.SENSOR_NOISE)

_NEUTRON_POWER: Final = SIGNAL_INDEX["neutron_power_percent"]
_THERMAL_POWER: Final = SIGNAL_INDEX["thermal_power_mw"]
_REACTIVITY: Final = SIGNAL_INDEX["reactivity_pcm"]
_FUEL_TEMPERATURE: Final = SIGNAL_INDEX["fuel_temperature_c"]
_INLET: Final = SIGNAL_INDEX["core_inlet_temperature_c"]
_OUTLET: Final = SIGNAL_INDEX["core_outlet_temperature_c"]
_PRIMARY_PRESSURE: Final = SIGNAL_INDEX["primary_pressure_mpa"]
_PRIMARY_FLOW: Final = SIGNAL_INDEX["primary_flow_kg_s"]
_PRESSURIZER_LEVEL: Final = SIGNAL_INDEX["pressurizer_level_percent"]
_ROD_POSITION: Final = SIGNAL_INDEX["control_rod_position_percent"]
_ZONE_LEVEL: Final = SIGNAL_INDEX["liquid_zone_level_percent"]
_BORON: Final = SIGNAL_INDEX["boron_concentration_ppm"]
_STEAM_PRESSURE: Final = SIGNAL_INDEX["steam_pressure_mpa"]
_STEAM_GENERATOR_LEVEL: Final = SIGNAL_INDEX["steam_generator_level_percent"]
_STEAM_FLOW: Final = SIGNAL_INDEX["steam_flow_kg_s"]
_FEEDWATER_FLOW: Final = SIGNAL_INDEX["feedwater_flow_kg_s"]
_GENERATOR_POWER: Final = SIGNAL_INDEX["generator_power_mw"]
_CONTAINMENT: Final = SIGNAL_INDEX["containment_pressure_kpa"]
_VIBRATION: Final = SIGNAL_INDEX["pump_vibration_mm_s"]

_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


@compiled
def observe(plant: Record, truth: Array) -> None:
    """Write the plant's measured quantities, in registry order and units, into ``truth``."""
    truth[_NEUTRON_POWER] = 100.0 * plant.power
    truth[_THERMAL_POWER] = plant.heat_to_coolant_mw
    truth[_REACTIVITY] = 1e5 * plant.reactivity
    truth[_FUEL_TEMPERATURE] = plant.fuel_c
    truth[_INLET] = plant.cold_leg_c
    truth[_OUTLET] = plant.hot_leg_c
    truth[_PRIMARY_PRESSURE] = plant.primary_mpa
    truth[_PRIMARY_FLOW] = plant.primary_flow_kg_s
    truth[_PRESSURIZER_LEVEL] = plant.pressurizer_percent
    truth[_ROD_POSITION] = 100.0 * (1.0 - plant.insertion)
    truth[_ZONE_LEVEL] = 100.0 * plant.insertion
    truth[_BORON] = plant.boron_ppm
    truth[_STEAM_PRESSURE] = plant.steam_mpa
    truth[_STEAM_GENERATOR_LEVEL] = plant.steam_generator_percent
    truth[_STEAM_FLOW] = plant.steam_flow_kg_s
    truth[_FEEDWATER_FLOW] = plant.feedwater_kg_s
    truth[_GENERATOR_POWER] = plant.generator_mw
    truth[_CONTAINMENT] = plant.containment_kpa
    truth[_VIBRATION] = plant.vibration_mm_s


@compiled
def step_sensors(
    plant: Record,
    design: Record,
    seed: int,
    noise: float,
    faults: Records,
    count: int,
    from_us: int,
    to_us: int,
    truth: Array,
) -> None:
    """Advance the instruments' lags by one step, and take or release what stuck ones hold."""
    observe(plant, truth)
    measured = plant.measured
    held = plant.held
    for slot in range(count):
        fault = faults[slot]
        signal = fault.signal
        if fault.kind != _STUCK or not np.isnan(held[signal]):
            continue
        if mean_intensity(fault, from_us, to_us) > 0.0:
            deviation = noise * design.sensor_noise[signal]
            held[signal] = measured[signal] + deviation * normal(seed, from_us, signal, 0)
    for signal in range(SENSORS):
        gap = truth[signal] - measured[signal]
        measured[signal] = settled(measured[signal] + design.sensor_gain[signal] * gap)
        if not np.isnan(held[signal]):
            stuck = False
            for slot in range(count):
                fault = faults[slot]
                if fault.kind == _STUCK and fault.signal == signal:
                    stuck = stuck or mean_intensity(fault, from_us, to_us) > 0.0
            if not stuck:
                held[signal] = np.nan


@compiled
def _mixed(bits: np.uint64) -> np.uint64:
    """SplitMix64's finaliser: every bit of the result depends on every bit given."""
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
    return bits ^ (bits >> np.uint64(31))


@compiled
def uniform(seed: int, tick_us: int, signal: int, stream: int) -> float:
    """Return a number in (0, 1) that is a function of its arguments alone."""
    bits = _mixed(np.uint64(seed) + _GOLDEN)
    bits = _mixed(bits ^ np.uint64(tick_us))
    bits = _mixed(bits ^ (np.uint64(signal) << np.uint64(32)) ^ np.uint64(stream))
    return (np.float64(bits >> np.uint64(12)) + 0.5) * 2.0**-52


@compiled
def normal(seed: int, tick_us: int, signal: int, stream: int) -> float:
    """Return a standard normal number that is a function of its arguments alone (Box-Muller)."""
    first = uniform(seed, tick_us, signal, 2 * stream)
    second = uniform(seed, tick_us, signal, 2 * stream + 1)
    return float(np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * np.pi * second))


@compiled
def read(
    plant: Record,
    design: Record,
    seed: int,
    noise: float,
    faults: Records,
    count: int,
    tick_us: int,
    values: Array,
) -> None:
    """Write one plant's readings at ``tick_us`` into ``values``: registry order, NaN for none.

    Sensor faults apply in the order given, then the instrument's range clips.
    """
    for signal in range(SENSORS):
        deviation = noise * design.sensor_noise[signal]
        values[signal] = plant.measured[signal]
        if deviation > 0.0:
            values[signal] += deviation * normal(seed, tick_us, signal, 0)
    for slot in range(count):
        fault = faults[slot]
        signal = fault.signal
        if signal < 0:
            continue
        intensity = intensity_at(fault, tick_us)
        if intensity <= 0.0:
            continue
        span = HIGH[signal] - LOW[signal]
        if fault.kind == _BIAS:
            values[signal] += fault.sign * intensity * BIAS_SHARE * span
        elif fault.kind == _DRIFT:
            hours = fault.intensity * accumulated_s(fault, tick_us) / 3600.0
            values[signal] += fault.sign * DRIFT_SHARE_PER_H * span * hours
        elif fault.kind == _NOISE:
            wild = normal(seed, tick_us, signal, 2 * slot + 2)
            values[signal] += intensity * NOISE_SHARE * span * wild
        elif fault.kind == _STUCK:
            if not np.isnan(plant.held[signal]):
                values[signal] = plant.held[signal]
        elif uniform(seed, tick_us, signal, 1000 + slot) < intensity:
            values[signal] = np.nan
    for signal in range(SENSORS):
        if design.sensor_gain[signal] == 0.0:
            values[signal] = np.nan
        elif not np.isnan(values[signal]):
            values[signal] = min(max(values[signal], LOW[signal]), HIGH[signal])
