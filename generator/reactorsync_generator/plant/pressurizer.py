"""The primary circuit's inventory and pressure: make-up, safety injection, pressurizer."""

from __future__ import annotations

from typing import Final

import numpy as np

from reactorsync_generator.plant.coolant import loop_filling, mean_temperature_c
from reactorsync_generator.plant.jit import compiled
from reactorsync_generator.plant.layout import Record
from reactorsync_generator.plant.valves import opening
from reactorsync_generator.plant.water import (
    liquid_density_kg_m3,
    liquid_enthalpy_kj_kg,
    saturation_temperature_c,
    steam_enthalpy_kj_kg,
    steam_pressure_mpa,
)

PRESSURIZER_METAL_KG: Final = 100.0
"""Heat capacity of the pressurizer's wetted metal, as a mass of water."""

_SMALLEST_STEAM_VOLUME_M3: Final = 0.2
_SMALLEST_STEAM_MASS_KG: Final = 1.0
_LARGEST_STEAM_DENSITY: Final = 190.0
_LARGEST_PRESSURE_MPA: Final = 21.0
_SOLID_MPA_PER_M3: Final = 2.0
_MAKEUP_GAIN_PER_PERCENT: Final = 0.2
_LOOP_FLASHING_TIME_S: Final = 5.0


@compiled
def level_setpoint_percent(plant: Record, design: Record) -> float:
    """Return the pressurizer level wanted at the present average temperature."""
    zero = design.regulation_zero_power_temperature_c
    share = (0.5 * (plant.hot_leg_c + plant.cold_leg_c) - zero) / (design.core_average_c - zero)
    share = min(max(share, 0.0), 1.0)
    low = design.pressurizer_level_at_zero_power_percent
    return float(low + share * (design.pressurizer_level_percent - low))


@compiled
def _inject(plant: Record, design: Record, leak_kg_s: float) -> None:
    """Make-up, letdown, safety injection and leak: mass in and out of the cold leg.

    Safety injection is terminated, as procedures ask, once the pressurizer level is restored.
    """
    h = design.step_s
    error = level_setpoint_percent(plant, design) - plant.pressurizer_percent
    makeup = _MAKEUP_GAIN_PER_PERCENT * error * design.primary_makeup_kg_s
    makeup = min(max(makeup, -design.primary_letdown_kg_s), design.primary_makeup_kg_s)
    deficit = 1.0 - plant.primary_mpa / design.primary_injection_pressure_mpa
    needed = min(max(1.0 + 0.1 * error, 0.0), 1.0)
    injection = needed * design.primary_injection_kg_s * np.sqrt(max(deficit, 0.0))
    mass = design.primary_cold_leg_mass_kg
    before = plant.cold_leg_c
    added = max(makeup, 0.0) * h
    plant.cold_leg_c += added / mass * (design.primary_makeup_temperature_c - plant.cold_leg_c)
    added = injection * h
    plant.cold_leg_c += added / mass * (design.primary_injection_temperature_c - plant.cold_leg_c)
    plant.exchanged_mj += mass * design.heat_capacity_mj_kg_k * (plant.cold_leg_c - before)
    gained = h * (makeup + injection - leak_kg_s)
    plant.primary_mass_kg += gained
    plant.primary_gained_kg += gained


@compiled
def _surge(plant: Record, design: Record, surge_kg: float, liquid_kg: float) -> None:
    """Exchange water between hot leg and pressurizer; ``surge_kg`` flows in when positive."""
    if surge_kg > 0.0:
        held = max(liquid_kg, 0.0)
        plant.pressurizer_c += (
            surge_kg / (held + surge_kg) * (plant.hot_leg_c - plant.pressurizer_c)
        )
    else:
        before = plant.hot_leg_c
        mass = design.primary_hot_leg_mass_kg
        share = min(-surge_kg / mass, 1.0)
        plant.hot_leg_c += share * (plant.pressurizer_c - plant.hot_leg_c)
        gained = mass * design.heat_capacity_mj_kg_k * (plant.hot_leg_c - before)
        plant.exchanged_mj += gained


@compiled
def _flash_loop(plant: Record, design: Record, saturated_c: float, latent: float) -> float:
    """Boil the hot leg where it is superheated, or condense a void in it; return steam made, kg."""
    superheat = plant.hot_leg_c - saturated_c
    void = loop_filling(plant, design) < 1.0
    if superheat > 0.0:
        superheat = max(superheat - design.primary_flashing_margin_k, 0.0)
    elif not void:
        superheat = 0.0
    mass = design.primary_hot_leg_mass_kg
    share = min(design.step_s / _LOOP_FLASHING_TIME_S, 1.0)
    made = share * superheat * mass * design.heat_capacity_mj_kg_k / latent
    room = plant.steam_mass_kg - _SMALLEST_STEAM_MASS_KG
    made = max(made, -0.5 * max(room, 0.0))
    cooled = made * latent / (mass * design.heat_capacity_mj_kg_k)
    plant.hot_leg_c -= cooled
    plant.exchanged_mj -= made * latent
    return float(made)


@compiled
def step_pressurizer(
    plant: Record, design: Record, leak_kg_s: float, liquid_before_kg: float
) -> None:
    """Advance inventory, pressurizer liquid and steam, and with them level and pressure.

    Steam is saturated vapour whose density gives the pressure; the liquid has its own temperature,
    flashes quickly when it is superheated and takes steam slowly when it is subcooled (two regions,
    not in equilibrium). ``liquid_before_kg`` is the pressurizer's liquid before the loops changed
    temperature in this step.
    """
    h = design.step_s
    heat_capacity = design.heat_capacity_mj_kg_k
    _inject(plant, design, leak_kg_s)
    loop_kg = (
        liquid_density_kg_m3(mean_temperature_c(plant, design)) * design.primary_loop_volume_m3
    )
    liquid = plant.primary_mass_kg - plant.steam_mass_kg - loop_kg
    _surge(plant, design, max(liquid, 0.0) - max(liquid_before_kg, 0.0), max(liquid_before_kg, 0.0))
    held = max(liquid, 0.0) + PRESSURIZER_METAL_KG

    pressure = plant.primary_mpa
    saturated_c = saturation_temperature_c(pressure)
    latent = 1e-3 * (steam_enthalpy_kj_kg(saturated_c) - liquid_enthalpy_kj_kg(saturated_c))
    demand = (design.pressurizer_pressure_mpa - pressure) / design.pressurizer_heater_band_mpa
    base = design.pressurizer_wall_loss_mw / design.pressurizer_heater_mw
    heater = design.pressurizer_heater_mw * min(max(base + demand, 0.0), 1.0)
    if liquid <= 0.0:
        heater = 0.0
    superheat = plant.pressurizer_c - saturated_c
    rate = 1.0 / design.pressurizer_flashing_time_s
    if superheat < 0.0:
        rate = 1.0 / design.pressurizer_condensation_time_s
    # Steam made raises the pressure and so the boiling point: linearly implicit in that.
    slope = (saturation_temperature_c(pressure * 1.001) - saturated_c) / (0.001 * pressure)
    warmer = liquid_enthalpy_kj_kg(plant.pressurizer_c + 1.0)
    colder = liquid_enthalpy_kj_kg(plant.pressurizer_c - 1.0)
    heat_held = held * 0.5e-3 * (warmer - colder)
    stiffness = rate * heat_held / latent * slope * pressure / plant.steam_mass_kg
    boiled = h * rate * heat_held * superheat / latent / (1.0 + h * stiffness)
    spray = (
        design.pressurizer_spray_kg_s
        * plant.pump_speed
        * opening(pressure, design.pressurizer_spray_start_mpa, design.pressurizer_spray_full_mpa)
    )
    cooling = spray * heat_capacity * max(saturated_c - plant.cold_leg_c, 0.0)
    condensed = h * (cooling + design.pressurizer_wall_loss_mw) / latent
    relief = design.pressurizer_relief_kg_s * opening(
        pressure, design.pressurizer_relief_start_mpa, design.pressurizer_relief_full_mpa
    )
    relief += design.pressurizer_safety_kg_s * opening(
        pressure, design.pressurizer_safety_start_mpa, design.pressurizer_safety_full_mpa
    )
    relieved = h * relief * pressure / design.pressurizer_pressure_mpa
    looped = _flash_loop(plant, design, saturated_c, latent)
    change = boiled + looped - condensed - relieved
    change = max(change, -0.5 * (plant.steam_mass_kg - _SMALLEST_STEAM_MASS_KG))
    plant.steam_mass_kg += change
    plant.primary_mass_kg -= relieved
    plant.primary_gained_kg -= relieved
    plant.pressurizer_c += (h * heater - boiled * latent) / heat_held
    returned = h * (spray + cooling / latent)
    plant.pressurizer_c += returned / (held + returned) * (saturated_c - plant.pressurizer_c)
    settle_pressure(plant, design)


@compiled
def settle_pressure(plant: Record, design: Record) -> None:
    """Set pressurizer level and primary pressure from the masses and temperatures.

    A pressurizer that has gone solid presses back with the compressibility of the water.
    """
    loop_density = liquid_density_kg_m3(mean_temperature_c(plant, design))
    loop_volume = design.primary_loop_volume_m3
    liquid = plant.primary_mass_kg - plant.steam_mass_kg - loop_density * loop_volume
    volume = design.pressurizer_volume_m3
    if liquid > 0.0:
        filled = liquid / liquid_density_kg_m3(plant.pressurizer_c)
        room = volume - filled
        plant.pressurizer_percent = 100.0 * min(filled / volume, 1.0)
    else:
        room = volume - liquid / loop_density
        plant.pressurizer_percent = 0.0
    density = plant.steam_mass_kg / max(room, _SMALLEST_STEAM_VOLUME_M3)
    pressure = steam_pressure_mpa(min(density, _LARGEST_STEAM_DENSITY))
    pressure += _SOLID_MPA_PER_M3 * max(_SMALLEST_STEAM_VOLUME_M3 - room, 0.0)
    plant.primary_mpa = min(pressure, _LARGEST_PRESSURE_MPA)


@compiled
def pressurizer_liquid_kg(plant: Record, design: Record) -> float:
    """Return the liquid in the pressurizer; negative when the loops themselves are not full."""
    loop_kg = (
        liquid_density_kg_m3(mean_temperature_c(plant, design)) * design.primary_loop_volume_m3
    )
    return float(plant.primary_mass_kg - plant.steam_mass_kg - loop_kg)
