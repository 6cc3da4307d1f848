"""Protection: which condition shuts the reactor down first, and when the trip can be reset.

A condition must last for a confirmation time, then the trip latches with its first-out cause. It
is reset when no fault acts on the process and every parameter has been healthy for
``shutdown.reset_delay_s``; the plant then starts up again by itself (see ``regulation``).
Protection has redundant channels of its own: it sees the process, not the instruments that faults
disturb.
"""

from __future__ import annotations

from typing import Final

from reactorsync.trips import TripCause
from reactorsync_generator.plant.jit import compiled
from reactorsync_generator.plant.layout import Mode, Record
from reactorsync_generator.plant.water import saturation_temperature_c

_NONE: Final = int(TripCause.NONE)
_HIGH_NEUTRON_POWER: Final = int(TripCause.HIGH_NEUTRON_POWER)
_HIGH_POWER_RATE: Final = int(TripCause.HIGH_POWER_RATE)
_LOW_PRIMARY_PRESSURE: Final = int(TripCause.LOW_PRIMARY_PRESSURE)
_HIGH_PRIMARY_PRESSURE: Final = int(TripCause.HIGH_PRIMARY_PRESSURE)
_LOW_PRIMARY_FLOW: Final = int(TripCause.LOW_PRIMARY_FLOW)
_LOW_STEAM_GENERATOR_LEVEL: Final = int(TripCause.LOW_STEAM_GENERATOR_LEVEL)
_HIGH_OUTLET_TEMPERATURE: Final = int(TripCause.HIGH_OUTLET_TEMPERATURE)
_LOW_PRESSURIZER_LEVEL: Final = int(TripCause.LOW_PRESSURIZER_LEVEL)
_HIGH_CONTAINMENT_PRESSURE: Final = int(TripCause.HIGH_CONTAINMENT_PRESSURE)
_LOW_STEAM_PRESSURE: Final = int(TripCause.LOW_STEAM_PRESSURE)
_TRIPPED: Final = int(Mode.TRIPPED)
_RESTART: Final = int(Mode.RESTART)


@compiled
def trip_condition(plant: Record, design: Record) -> int:
    """Return the first condition beyond its setpoint, as a ``TripCause`` number; 0 for none."""
    flow = plant.primary_flow_kg_s / design.core_primary_flow_kg_s
    if plant.power > design.trips_high_neutron_power:
        return _HIGH_NEUTRON_POWER
    if plant.power_rate_per_s > design.trips_high_power_rate_per_s:
        return _HIGH_POWER_RATE
    if plant.primary_mpa < design.trips_low_primary_pressure_mpa:
        return _LOW_PRIMARY_PRESSURE
    if plant.primary_mpa > design.trips_high_primary_pressure_mpa:
        return _HIGH_PRIMARY_PRESSURE
    if flow < design.trips_low_primary_flow:
        return _LOW_PRIMARY_FLOW
    if plant.steam_generator_percent < design.trips_low_steam_generator_level_percent:
        return _LOW_STEAM_GENERATOR_LEVEL
    if plant.hot_leg_c > design.trips_high_outlet_temperature_c:
        return _HIGH_OUTLET_TEMPERATURE
    if plant.pressurizer_percent < design.trips_low_pressurizer_level_percent:
        return _LOW_PRESSURIZER_LEVEL
    if plant.containment_kpa > design.trips_high_containment_pressure_kpa:
        return _HIGH_CONTAINMENT_PRESSURE
    if plant.steam_mpa < design.trips_low_steam_pressure_mpa:
        return _LOW_STEAM_PRESSURE
    return _NONE


@compiled
def healthy(plant: Record, design: Record) -> bool:
    """Return whether a shut-down plant is fit to start up."""
    saturated_c = saturation_temperature_c(plant.primary_mpa) + design.primary_flashing_margin_k
    flow = plant.primary_flow_kg_s / design.core_primary_flow_kg_s
    relative = plant.primary_mpa / design.pressurizer_pressure_mpa
    level_error = plant.steam_generator_percent - design.steam_generator_level_setpoint_percent
    return bool(
        trip_condition(plant, design) == _NONE
        and 0.97 < relative < 1.03
        and flow > 0.95
        and plant.pressurizer_percent > 0.6 * design.pressurizer_level_at_zero_power_percent
        and abs(level_error) < 20.0
        and plant.hot_leg_c < saturated_c - 5.0
        and plant.shutdown_insertion == 1.0
    )


@compiled
def step_protection(plant: Record, design: Record, disturbed: bool) -> None:
    """Advance the trip logic by one step; ``disturbed`` says that a fault acts on the process."""
    h = design.step_s
    cause = trip_condition(plant, design)
    if plant.steam_mpa < design.trips_low_steam_pressure_mpa:
        plant.isolated = 1.0
    if int(plant.mode) == _TRIPPED:
        plant.trip_time_s += h
        fit = healthy(plant, design) and not disturbed
        plant.healthy_s = plant.healthy_s + h if fit else 0.0
        if plant.healthy_s >= design.shutdown_reset_delay_s:
            plant.mode = _RESTART
            plant.trip_cause = _NONE
            plant.isolated = 0.0
            plant.healthy_s = 0.0
            plant.suspected_cause = _NONE
            plant.suspected_s = 0.0
        return
    if cause == _NONE or cause != int(plant.suspected_cause):
        plant.suspected_s = 0.0
    plant.suspected_cause = cause
    if cause == _NONE:
        return
    plant.suspected_s += h
    if plant.suspected_s >= design.trips_confirmation_s - 1e-9:
        plant.mode = _TRIPPED
        plant.trip_cause = cause
        plant.trip_time_s = 0.0
        plant.healthy_s = 0.0
