"""A break of the primary circuit, and the containment that it blows into."""

from __future__ import annotations

from typing import Final

import numpy as np

from reactorsync_generator.plant.coolant import loop_filling
from reactorsync_generator.plant.jit import compiled, settled
from reactorsync_generator.plant.layout import Record
from reactorsync_generator.plant.water import (
    liquid_density_kg_m3,
    liquid_enthalpy_kj_kg,
    saturation_pressure_mpa,
)

_ATMOSPHERE_MPA: Final = 0.1013


@compiled
def leak_flow(plant: Record, design: Record, severity: float) -> float:
    """Return the flow through a break at the cold leg, in kg/s.

    Subcooled liquid, critical at 0.9 of its saturation pressure, by Bernoulli with a discharge
    coefficient; less once the loops have voided.
    """
    back = max(0.9 * saturation_pressure_mpa(plant.cold_leg_c), _ATMOSPHERE_MPA)
    head = max(plant.primary_mpa - back, 0.0)
    density = liquid_density_kg_m3(plant.cold_leg_c)
    speed_flow = np.sqrt(2.0 * density * head * 1e6)
    filled = min(loop_filling(plant, design), 1.0)
    area = severity * design.primary_leak_area_m2
    return float(design.primary_leak_discharge_coefficient * area * speed_flow * filled)


@compiled
def step_containment(plant: Record, design: Record, leak_kg_s: float) -> None:
    """Advance the containment's steam: flashed from the leak, condensed by coolers and walls."""
    h = design.step_s
    excess = liquid_enthalpy_kj_kg(plant.cold_leg_c) - 419.0
    flashed = leak_kg_s * min(max(excess / 2257.0, 0.0), 1.0)
    removal = h / design.containment_cooling_time_s
    plant.containment_steam_kg = settled(
        (plant.containment_steam_kg + h * flashed) / (1.0 + removal)
    )
    kelvin = 273.15 + design.containment_temperature_c
    partial = plant.containment_steam_kg * 0.4615 * kelvin / design.containment_volume_m3
    plant.containment_kpa = design.containment_pressure_kpa + partial
