"""The secondary side: steam generators, feedwater, steam valves, turbine and generator."""

from __future__ import annotations

from typing import Final

from reactorsync_generator.plant.jit import compiled, settled
from reactorsync_generator.plant.layout import Mode, Record
from reactorsync_generator.plant.valves import opening
from reactorsync_generator.plant.water import (
    liquid_density_kg_m3,
    liquid_enthalpy_kj_kg,
    saturation_pressure_mpa,
    steam_enthalpy_kj_kg,
)

_DRY_MASS_KG: Final = 1000.0
_INTEGRAL_LIMIT: Final = 0.15
_LARGEST_VALVE: Final = 1.15
_TRIPPED: Final = int(Mode.TRIPPED)


@compiled
def level_percent(design: Record, mass_kg: float, steam_c: float, boiling_share: float) -> float:
    """Return the narrow-range level: water volume, swollen by the bubbles of boiling."""
    change = mass_kg / liquid_density_kg_m3(steam_c) - design.secondary_volume_m3
    swell = design.steam_generator_swell_percent * (boiling_share - 1.0)
    level = (
        design.steam_generator_level_setpoint_percent
        + 100.0 * change / design.steam_generator_level_span_m3
        + swell
    )
    return float(min(max(level, 0.0), 100.0))


@compiled
def heat_per_kg(steam_c: float, feedwater_c: float) -> float:
    """Return the heat that turns feedwater into saturated steam, in MJ/kg."""
    return 1e-3 * (steam_enthalpy_kj_kg(steam_c) - liquid_enthalpy_kj_kg(feedwater_c))


@compiled
def _valve_wanted(plant: Record, design: Record, pressure_mpa: float, available: float) -> float:
    """Turbine valve position that the governor wants, in shares of rated flow at rated pressure."""
    h = design.step_s
    relative = pressure_mpa / design.steam_generator_steam_pressure_mpa
    if design.turbine_follows_reactor > 0.5:
        error = pressure_mpa - design.steam_generator_steam_pressure_mpa
        wanted = plant.valve_integral + design.turbine_pressure_gain_per_mpa * error
        limit = min(available * _LARGEST_VALVE, _LARGEST_VALVE)
        if (
            0.0 <= wanted <= limit
            or (wanted < 0.0 and error > 0.0)
            or (wanted > limit and error < 0.0)
        ):
            plant.valve_integral += h * design.turbine_pressure_integral_per_mpa_s * error
            plant.valve_integral = min(max(plant.valve_integral, 0.0), _LARGEST_VALVE)
        return float(min(max(wanted, 0.0), limit))
    gain = heat_per_kg(plant.steam_c, plant.feedwater_c)
    wanted = (
        plant.load * design.core_rated_thermal_mw / gain / design.steam_generator_steam_flow_kg_s
    )
    return float(min(wanted / relative, available * _LARGEST_VALVE))


@compiled
def _feedwater(plant: Record, design: Record, steam_kg_s: float, lost: float) -> float:
    """Feedwater flow that three-element control and the auxiliary pumps deliver, kg/s.

    ``lost`` is the share of the main pumps' capacity that is lost.
    """
    h = design.step_s
    rated = design.steam_generator_steam_flow_kg_s
    error = design.steam_generator_level_setpoint_percent - plant.steam_generator_percent
    wanted = steam_kg_s + rated * (
        design.steam_generator_feedwater_gain_per_percent * error + plant.feedwater_integral
    )
    capacity = (1.0 - lost) * design.steam_generator_feedwater_capacity * rated
    if 0.0 <= wanted <= capacity:
        step = h * design.steam_generator_feedwater_integral_per_percent_s * error
        moved = plant.feedwater_integral + step
        plant.feedwater_integral = min(max(moved, -_INTEGRAL_LIMIT), _INTEGRAL_LIMIT)
    if int(plant.mode) == _TRIPPED:
        capacity = min(capacity, design.steam_generator_feedwater_after_trip * rated)
    wanted = min(max(wanted, 0.0), capacity)
    shortage = plant.steam_generator_percent - design.steam_generator_auxiliary_start_percent
    auxiliary = design.steam_generator_auxiliary_feedwater * rated
    auxiliary *= min(max(1.0 - 0.1 * shortage, 0.0), 1.0)
    return float(max(wanted, auxiliary))


@compiled
def step_secondary(
    plant: Record,
    design: Record,
    heat_mw: float,
    available: float,
    feedwater_lost: float,
    break_severity: float,
) -> None:
    """Advance the steam generators and the turbine by one step.

    Water and steam are saturated; the heat that is not carried off as steam changes the temperature
    of water and metal. Steam leaves through turbine, bypass, relief and safety valves in proportion
    to pressure (choked). ``available`` is how much of its flow the turbine can take, ``heat_mw``
    the heat from the primary side.
    """
    h = design.step_s
    middle_c = plant.steam_c + 0.5 * h * plant.steam_rate_c_s
    pressure = saturation_pressure_mpa(middle_c)
    relative = pressure / design.steam_generator_steam_pressure_mpa
    rated = design.steam_generator_steam_flow_kg_s
    tripped = int(plant.mode) == _TRIPPED and design.turbine_follows_reactor < 0.5
    wanted = 0.0 if tripped else _valve_wanted(plant, design, pressure, available)
    speed = design.turbine_valve_speed_per_s
    if tripped or available < 1.0:
        speed = design.turbine_trip_valve_speed_per_s
    plant.valve += min(max(wanted - plant.valve, -h * speed), h * speed)
    open_line = 1.0 - plant.isolated
    wet = min(plant.secondary_mass_kg / _DRY_MASS_KG, 1.0) * relative * rated
    turbine = plant.valve * open_line * wet
    bypass = design.steam_generator_bypass_capacity * opening(
        pressure, design.steam_generator_bypass_start_mpa, design.steam_generator_bypass_full_mpa
    )
    relief = design.steam_generator_relief_capacity * opening(
        pressure, design.steam_generator_relief_start_mpa, design.steam_generator_relief_full_mpa
    )
    safety = design.steam_generator_safety_capacity * opening(
        pressure, design.steam_generator_safety_start_mpa, design.steam_generator_safety_full_mpa
    )
    broken = break_severity * design.steam_generator_break_flow_share
    steam = turbine + (open_line * (bypass + broken) + relief + safety) * wet

    feedwater = _feedwater(plant, design, steam, feedwater_lost)
    lag = h / design.steam_generator_feedwater_lag_s
    feedwater = plant.feedwater_kg_s + lag / (1.0 + 0.5 * lag) * (feedwater - plant.feedwater_kg_s)
    plant.feedwater_kg_s = settled(feedwater)
    flowing = plant.feedwater_kg_s

    vapour = 1e-3 * steam_enthalpy_kj_kg(middle_c)
    liquid = 1e-3 * liquid_enthalpy_kj_kg(middle_c)
    warmer = 1e-3 * liquid_enthalpy_kj_kg(middle_c + 1.0)
    supplied = 1e-3 * liquid_enthalpy_kj_kg(plant.feedwater_c)
    gained = h * (flowing - steam)
    holding = plant.secondary_mass_kg + 0.5 * gained
    inertia = (warmer - liquid) * max(holding, 0.0) + design.steam_generator_metal_mj_per_k
    heating = heat_mw - steam * (vapour - liquid) - flowing * (liquid - supplied)
    plant.steam_rate_c_s = heating / inertia
    plant.steam_c += h * plant.steam_rate_c_s
    plant.secondary_mass_kg += gained
    plant.secondary_gained_kg += gained

    share = steam / rated
    swell = h / design.steam_generator_swell_time_s
    share = plant.boiling_share + swell / (1.0 + 0.5 * swell) * (share - plant.boiling_share)
    plant.boiling_share = settled(share)
    plant.steam_flow_kg_s = steam
    plant.steam_mpa = saturation_pressure_mpa(plant.steam_c)
    plant.steam_generator_percent = level_percent(
        design, plant.secondary_mass_kg, plant.steam_c, plant.boiling_share
    )
    _heat_feedwater(plant, design, turbine / rated)
    _generate(plant, design, turbine)


@compiled
def feedwater_temperature_c(design: Record, turbine_share: float) -> float:
    """Return the temperature to which bleed steam heats the feedwater at a turbine flow."""
    cold = design.steam_generator_feedwater_unheated_c
    return float(
        cold + min(turbine_share, 1.1) * (design.steam_generator_feedwater_temperature_c - cold)
    )


@compiled
def _heat_feedwater(plant: Record, design: Record, turbine_share: float) -> None:
    target = feedwater_temperature_c(design, turbine_share)
    auxiliary = design.steam_generator_auxiliary_feedwater * design.steam_generator_steam_flow_kg_s
    if plant.steam_generator_percent < design.steam_generator_auxiliary_start_percent:
        share = min(auxiliary / max(plant.feedwater_kg_s, 1.0), 1.0)
        target += share * (design.steam_generator_auxiliary_temperature_c - target)
    lag = design.step_s / design.steam_generator_feedwater_heating_time_s
    plant.feedwater_c += lag / (1.0 + 0.5 * lag) * (target - plant.feedwater_c)


@compiled
def electrical_mw(design: Record, turbine_kg_s: float, gain_mj_kg: float) -> float:
    """Return the generator's output from a steam flow that took ``gain_mj_kg`` to make."""
    share = turbine_kg_s * gain_mj_kg / design.core_rated_thermal_mw
    idle = design.turbine_no_load_share
    return float(design.turbine_rated_electrical_mw * max(share - idle, 0.0) / (1.0 - idle))


@compiled
def _generate(plant: Record, design: Record, turbine_kg_s: float) -> None:
    output = electrical_mw(design, turbine_kg_s, heat_per_kg(plant.steam_c, plant.feedwater_c))
    lag = design.step_s / design.turbine_generator_lag_s
    output = plant.generator_mw + lag / (1.0 + 0.5 * lag) * (output - plant.generator_mw)
    plant.generator_mw = settled(output)
