"""The steady state of a design at a power setpoint, from which a new plant starts."""

from __future__ import annotations

from functools import cache

import numpy as np

from reactorsync.designs import Design
from reactorsync_generator.plant.constants import DESIGN_ROWS, PCM, constants
from reactorsync_generator.plant.coolant import flow_share, mean_temperature_c, tube_pass
from reactorsync_generator.plant.core import fuel_reactivity
from reactorsync_generator.plant.layout import SENSORS, STATE, Record, Records
from reactorsync_generator.plant.pressurizer import (
    PRESSURIZER_METAL_KG,
    level_setpoint_percent,
    settle_pressure,
)
from reactorsync_generator.plant.regulation import reference_temperature_c
from reactorsync_generator.plant.secondary import (
    electrical_mw,
    feedwater_temperature_c,
    heat_per_kg,
    level_percent,
)
from reactorsync_generator.plant.sensors import observe
from reactorsync_generator.plant.stepping import external_reactivity
from reactorsync_generator.plant.water import (
    liquid_density_kg_m3,
    liquid_enthalpy_kj_kg,
    saturation_pressure_mpa,
    saturation_temperature_c,
    steam_enthalpy_kj_kg,
    steam_pressure_mpa,
)

_ITERATIONS = 60


@cache
def equilibrium(design: Design, setpoint_permille: int, step_s: float) -> Records:
    """Return the state, shape (1,), of a plant of ``design`` at rest at the setpoint.

    Nothing moves in it: xenon and decay heat are in equilibrium, levels and pressures at their
    setpoints, the regulating device at its nominal place, and soluble boron (PWR) or the fuel's
    excess reactivity (CANDU) is what makes the reactor critical there.
    """
    states = np.zeros(1, STATE)
    plant = states.view(np.recarray)[0]
    record = constants(step_s).designs.view(np.recarray)[DESIGN_ROWS[design]]
    power = setpoint_permille / 1000.0
    _settle_core(plant, power, record)
    _settle_coolant(plant, record, power)
    _settle_secondary(plant, record, power)
    _settle_pressurizer(plant, record)
    _settle_reactivity(plant, record, power)
    if setpoint_permille != 1000 and record.reactivity_boron_pcm_per_ppm != 0.0:
        rated = equilibrium(design, 1000, step_s)
        surplus = float(rated["excess"][0]) - plant.excess
        plant.boron_ppm -= surplus / (PCM * record.reactivity_boron_pcm_per_ppm)
        plant.excess = rated["excess"][0]
    truth = np.zeros(SENSORS)
    observe(states[0], truth)
    states["measured"] = np.where(record.sensor_gain > 0.0, truth, 0.0)
    states["held"] = np.nan
    states.flags.writeable = False
    return states


def _settle_core(plant: Record, power: float, design: Record) -> None:
    plant.power = power
    plant.demand = power
    plant.load = power
    plant.lags[:] = power
    plant.iodine = power
    burnup = design.reactivity_xenon_burnup_per_s
    decay = design.reactivity_xenon_decay_per_s
    plant.xenon = (decay + burnup) * power / (decay + burnup * power)


def _settle_coolant(plant: Record, design: Record, power: float) -> None:
    plant.pump_speed = 1.0
    plant.secondary_mass_kg = design.steam_generator_water_mass_kg
    share = rise = 1.0
    for _ in range(_ITERATIONS):
        rise = design.temperature_rise_k * power / share
        share = flow_share(design, plant.pump_speed, rise)
    left = tube_pass(design, share, plant.secondary_mass_kg)
    if design.turbine_follows_reactor > 0.5:
        plant.steam_c = saturation_temperature_c(design.steam_generator_steam_pressure_mpa)
        hot = plant.steam_c + rise / (1.0 - left)
    else:
        hot = reference_temperature_c(design, power) + 0.5 * rise
        plant.steam_c = hot - rise / (1.0 - left)
    plant.hot_leg_c = plant.core_exit_c = hot
    plant.tube_exit_c = plant.cold_leg_c = hot - rise
    plant.core_c = hot - 0.5 * rise
    plant.heat_to_coolant_mw = power * design.core_rated_thermal_mw
    plant.fuel_c = plant.core_c + plant.heat_to_coolant_mw / design.fuel_conductance_mw_per_k
    plant.primary_flow_kg_s = share * design.core_primary_flow_kg_s
    plant.vibration_mm_s = design.primary_vibration_mm_s


def _settle_secondary(plant: Record, design: Record, power: float) -> None:
    rated = design.steam_generator_steam_flow_kg_s
    plant.steam_mpa = saturation_pressure_mpa(plant.steam_c)
    relative = plant.steam_mpa / design.steam_generator_steam_pressure_mpa
    flow = power * rated
    gain = 1.0
    for _ in range(_ITERATIONS):
        plant.feedwater_c = feedwater_temperature_c(design, flow / rated)
        gain = heat_per_kg(plant.steam_c, plant.feedwater_c)
        flow = plant.heat_to_coolant_mw / gain
    plant.steam_flow_kg_s = plant.feedwater_kg_s = flow
    plant.boiling_share = flow / rated
    plant.valve = plant.valve_integral = flow / (rated * relative)
    swell = design.steam_generator_swell_percent * (plant.boiling_share - 1.0)
    volume = design.secondary_volume_m3 - 0.01 * swell * design.steam_generator_level_span_m3
    plant.secondary_mass_kg = volume * liquid_density_kg_m3(plant.steam_c)
    plant.steam_generator_percent = level_percent(
        design, plant.secondary_mass_kg, plant.steam_c, plant.boiling_share
    )
    plant.generator_mw = electrical_mw(design, flow, gain)
    plant.containment_kpa = design.containment_pressure_kpa


def _steam_density(pressure_mpa: float) -> float:
    low, high = 0.0, 190.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if steam_pressure_mpa(middle) < pressure_mpa:
            low = middle
        else:
            high = middle
    return high


def _settle_pressurizer(plant: Record, design: Record) -> None:
    pressure = design.pressurizer_pressure_mpa
    saturated_c = saturation_temperature_c(pressure)
    latent = 1e-3 * (steam_enthalpy_kj_kg(saturated_c) - liquid_enthalpy_kj_kg(saturated_c))
    slope = (saturation_temperature_c(pressure * 1.001) - saturated_c) / (0.001 * pressure)
    liquid_m3 = 0.01 * level_setpoint_percent(plant, design) * design.pressurizer_volume_m3
    steam_kg = _steam_density(pressure) * (design.pressurizer_volume_m3 - liquid_m3)
    plant.pressurizer_c = saturated_c
    liquid_kg = 0.0
    for _ in range(_ITERATIONS):
        liquid_kg = liquid_m3 * liquid_density_kg_m3(plant.pressurizer_c)
        warmer = liquid_enthalpy_kj_kg(plant.pressurizer_c + 1.0)
        colder = liquid_enthalpy_kj_kg(plant.pressurizer_c - 1.0)
        held = (liquid_kg + PRESSURIZER_METAL_KG) * 0.5e-3 * (warmer - colder)
        rate = 1.0 / design.pressurizer_flashing_time_s
        stiffness = rate * held / latent * slope * pressure / steam_kg
        lost = design.pressurizer_wall_loss_mw * (1.0 + design.step_s * stiffness)
        plant.pressurizer_c = saturated_c + lost / (rate * held)
    loop_kg = (
        liquid_density_kg_m3(mean_temperature_c(plant, design)) * design.primary_loop_volume_m3
    )
    plant.steam_mass_kg = steam_kg
    plant.primary_mass_kg = loop_kg + liquid_kg + steam_kg
    settle_pressure(plant, design)


def _settle_reactivity(plant: Record, design: Record, power: float) -> None:
    empty = design.regulation_insertion_at_zero_power
    plant.insertion = empty + power * (design.regulation_insertion - empty)
    plant.boron_ppm = design.reactivity_boron_ppm
    wanted = -design.source_reactivity / power
    plant.excess = 0.0
    known = external_reactivity(plant, design, plant.core_c) + fuel_reactivity(design, plant.fuel_c)
    plant.excess = wanted - known
    plant.reactivity = wanted
