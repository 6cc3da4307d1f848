"""Protection: which condition shuts the reactor down first, and when the trip can be reset.

Every condition has a timer of its own: one that lasts for the confirmation time trips the reactor,
and the first to do so is the trip's first-out cause. The trip latches. It is reset when no fault
acts on the process and every parameter has been healthy for ``shutdown.reset_delay_s``; the plant
then starts up again by itself (see ``regulation``).

Low steam pressure, once confirmed, also isolates the steam lines, tripped or not. As it trips the
reactor too, isolated lines always go with a trip, and the trip's reset opens them again.

Protection has redundant channels of its own: it sees the process, not the instruments that faults
disturb.
"""

from __future__ import annotations

from typing import Final

from reactorsync.trips import TripCause
from reactorsync_generator.plant.jit import compiled
from reactorsync_generator.plant.layout import TRIP_CAUSES, Mode, Record
from reactorsync_generator.plant.regulation import turbine_lost
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
_TURBINE_TRIP: Final = int(TripCause.TURBINE_TRIP)
_TRIPPED: Final = int(Mode.TRIPPED)
_RESTART: Final = int(Mode.RESTART)
_ROUNDING_S: Final = 1e-9


@compiled
def _time(plant: Record, design: Record, cause: int, beyond: bool) -> None:
    plant.suspected_s[cause] = plant.suspected_s[cause] + design.step_s if beyond else 0.0


@compiled
def _confirmed(plant: Record, design: Record, cause: int) -> bool:
    return bool(plant.suspected_s[cause] >= design.trips_confirmation_s - _ROUNDING_S)


@compiled
def time_conditions(plant: Record, design: Record, available: float) -> None:
    """Advance the timers of the conditions beyond their setpoints by one step, reset the others.

    ``available`` is the share of its flow that the turbine can take.
    """
    flow = plant.primary_flow_kg_s / design.core_primary_flow_kg_s
    level = plant.steam_generator_percent
    lost = turbine_lost(available) and plant.power > design.trips_turbine_trip_interlock_power
    _time(plant, design, _HIGH_NEUTRON_POWER, plant.power > design.trips_high_neutron_power)
    _time(
        plant, design, _HIGH_POWER_RATE, plant.power_rate_per_s > design.trips_high_power_rate_per_s
    )
    _time(
        plant,
        design,
        _LOW_PRIMARY_PRESSURE,
        plant.primary_mpa < design.trips_low_primary_pressure_mpa,
    )
    _time(
        plant,
        design,
        _HIGH_PRIMARY_PRESSURE,
        plant.primary_mpa > design.trips_high_primary_pressure_mpa,
    )
    _time(plant, design, _LOW_PRIMARY_FLOW, flow < design.trips_low_primary_flow)
    _time(
        plant,
        design,
        _LOW_STEAM_GENERATOR_LEVEL,
        level < design.trips_low_steam_generator_level_percent,
    )
    _time(
        plant,
        design,
        _HIGH_OUTLET_TEMPERATURE,
        plant.hot_leg_c > design.trips_high_outlet_temperature_c,
    )
    _time(
        plant,
        design,
        _LOW_PRESSURIZER_LEVEL,
        plant.pressurizer_percent < design.trips_low_pressurizer_level_percent,
    )
    _time(
        plant,
        design,
        _HIGH_CONTAINMENT_PRESSURE,
        plant.containment_kpa > design.trips_high_containment_pressure_kpa,
    )
    _time(plant, design, _LOW_STEAM_PRESSURE, plant.steam_mpa < design.trips_low_steam_pressure_mpa)
    _time(plant, design, _TURBINE_TRIP, lost)


@compiled
def first_out(plant: Record, design: Record) -> int:
    """Return the ``TripCause`` whose condition is confirmed first, 0 for none.

    Of conditions that are confirmed in the same step it is the one with the lowest number.
    """
    for cause in range(1, TRIP_CAUSES):
        if _confirmed(plant, design, cause):
            return cause
    return _NONE


@compiled
def healthy(plant: Record, design: Record) -> bool:
    """Return whether a shut-down plant is fit to start up."""
    saturated_c = saturation_temperature_c(plant.primary_mpa) + design.primary_flashing_margin_k
    flow = plant.primary_flow_kg_s / design.core_primary_flow_kg_s
    relative = plant.primary_mpa / design.pressurizer_pressure_mpa
    level_error = plant.steam_generator_percent - design.steam_generator_level_setpoint_percent
    return bool(
        plant.suspected_s.max() == 0.0
        and 0.97 < relative < 1.03
        and flow > 0.95
        and plant.pressurizer_percent > 0.6 * design.pressurizer_level_at_zero_power_percent
        and abs(level_error) < 20.0
        and plant.hot_leg_c < saturated_c - 5.0
        and plant.shutdown_insertion == 1.0
    )


@compiled
def step_protection(plant: Record, design: Record, available: float, disturbed: bool) -> None:
    """Advance the trip logic by one step.

    ``available`` is the share of its flow that the turbine can take; ``disturbed`` says that a
    fault acts on the process.
    """
    time_conditions(plant, design, available)
    if _confirmed(plant, design, _LOW_STEAM_PRESSURE):
        plant.isolated = 1.0
    if int(plant.mode) == _TRIPPED:
        plant.trip_time_s += design.step_s
        fit = healthy(plant, design) and not disturbed
        plant.healthy_s = plant.healthy_s + design.step_s if fit else 0.0
        if plant.healthy_s >= design.shutdown_reset_delay_s:
            plant.mode = _RESTART
            plant.trip_cause = _NONE
            plant.isolated = 0.0
            plant.healthy_s = 0.0
        return
    cause = first_out(plant, design)
    if cause != _NONE:
        plant.mode = _TRIPPED
        plant.trip_cause = cause
        plant.trip_time_s = 0.0
        plant.healthy_s = 0.0
