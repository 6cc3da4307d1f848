"""Power regulation: rods on average temperature, or liquid zones on power, and the way back up.

After a trip has been reset the plant is in ``Mode.RESTART``: shutdown rods are withdrawn, then the
regulating device raises the power along a demand that grows at a limited period and a limited rate.
A plant whose reactor follows the turbine (PWR) goes to ``Mode.RUN`` when it can take load, and
raises the load to the setpoint; one whose turbine follows (CANDU) when the power has reached the
setpoint. Without its turbine a plant runs back: a CANDU to what its bypass carries, a PWR, in
``Mode.RESTART`` again, to the power at which it will take load.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from reactorsync_generator.plant.jit import compiled, settled
from reactorsync_generator.plant.layout import Mode, Record

_RUN: Final = int(Mode.RUN)
_TRIPPED: Final = int(Mode.TRIPPED)
_RESTART: Final = int(Mode.RESTART)
_RATE_LAG_S: Final = 1.0
_FALL_PER_S: Final = 0.2
_DEMAND_LEAD: Final = 2.0
_TRIM_BAND: Final = 0.05
_LOADING_STOP_K: Final = 3.0
_TURBINE_LOST: Final = 0.5
_LOWEST_DEMAND: Final = 1e-9


@compiled
def reference_temperature_c(design: Record, load: float) -> float:
    """Return the average coolant temperature wanted at a turbine load."""
    zero = design.regulation_zero_power_temperature_c
    return float(zero + load * (design.core_average_c - zero))


@compiled
def turbine_lost(available: float) -> bool:
    """Return whether a turbine that can take this share of its flow counts as tripped."""
    return available < _TURBINE_LOST


@compiled
def _average_c(plant: Record) -> float:
    return float(0.5 * (plant.hot_leg_c + plant.cold_leg_c))


@compiled
def _power_speed(plant: Record, design: Record) -> float:
    """Speed of insertion that brings the power to the demand by way of a wanted rate of change."""
    ratio = max(plant.demand, _LOWEST_DEMAND) / max(plant.power, _LOWEST_DEMAND)
    wanted = design.regulation_power_gain_per_s * np.log(ratio)
    wanted = min(max(wanted, -_FALL_PER_S), design.regulation_raise_log_per_s)
    return float(design.regulation_power_rate_gain * (plant.log_rate_per_s - wanted))


@compiled
def _temperature_speed(plant: Record, design: Record) -> float:
    """Speed of insertion by the temperature program: deadband, then proportional to the error."""
    error = _average_c(plant) - reference_temperature_c(design, plant.load)
    beyond = abs(error) - design.regulation_deadband_k
    if beyond <= 0.0:
        return 0.0
    span = design.regulation_full_speed_error_k - design.regulation_deadband_k
    speed = design.regulation_speed_per_s * min(beyond / span, 1.0)
    if error > 0.0:
        return float(speed)
    return 0.0 if plant.log_rate_per_s > design.regulation_raise_log_per_s else float(-speed)


@compiled
def _move_demand(plant: Record, design: Record, limit: float) -> None:
    h = design.step_s
    if plant.demand > limit:
        plant.demand = max(plant.demand - h * design.regulation_lower_per_s, limit)
    else:
        demand = max(plant.demand, _LOWEST_DEMAND)
        growth = min(design.regulation_raise_per_s, design.regulation_raise_log_per_s * demand)
        raised = min(demand + h * growth, limit)
        plant.demand = max(min(raised, _DEMAND_LEAD * plant.power), min(demand, raised))


@compiled
def _withdraw_shutdown_rods(plant: Record, design: Record) -> None:
    """Withdraw shutdown rods while the power rises slowly and regulation can hold it back.

    A bank that fell with them holds back by staying in until they are out.
    """
    in_reserve = design.shutdown_drops_regulating_device > 0.5
    highest = design.regulation_trim_high_insertion + _TRIM_BAND
    room = in_reserve or plant.insertion < highest
    if room and plant.log_rate_per_s < design.regulation_raise_log_per_s:
        moved = plant.shutdown_insertion - design.step_s / design.shutdown_withdrawal_time_s
        plant.shutdown_insertion = max(moved, 0.0)


@compiled
def _drop_rods(plant: Record, design: Record) -> None:
    plant.demand = plant.power
    plant.load = 0.0
    if plant.trip_time_s < design.shutdown_delay_s:
        return
    travel = design.step_s / design.shutdown_insertion_time_s
    plant.shutdown_insertion = min(plant.shutdown_insertion + travel, 1.0)
    if design.shutdown_drops_regulating_device > 0.5:
        plant.insertion = min(plant.insertion + travel, 1.0)


@compiled
def _move_load(plant: Record, design: Record, setpoint: float, available: float) -> None:
    h = design.step_s
    target = min(setpoint, available)
    if available < plant.load:
        plant.load = available
    elif plant.load > target:
        plant.load = max(plant.load - h * design.turbine_load_ramp_per_s, target)
    elif _average_c(plant) > reference_temperature_c(design, plant.load) - _LOADING_STOP_K:
        plant.load = min(plant.load + h * design.turbine_load_ramp_per_s, target)


@compiled
def step_regulation(
    plant: Record, design: Record, setpoint: float, available: float, runaway: float
) -> None:
    """Move demand, load, regulating device, its trim and shutdown rods by one step.

    ``available`` is the share of its flow that the turbine can take; ``runaway`` above 0 drives the
    regulating device out at that share of its speed, against the controller.
    """
    h = design.step_s
    mode = int(plant.mode)
    if mode == _TRIPPED:
        _drop_rods(plant, design)
        return
    by_temperature = design.regulation_controls_temperature > 0.5
    lost = turbine_lost(available)
    lowest = 0.0
    if by_temperature and lost and mode == _RUN:
        mode = _RESTART
        plant.mode = _RESTART
        plant.demand = plant.power
        plant.load = 0.0
    if mode == _RESTART:
        limit = min(setpoint, design.turbine_synchronisation_power) if by_temperature else setpoint
        if plant.shutdown_insertion > 0.0:
            _withdraw_shutdown_rods(plant, design)
            lowest = 1.0 if by_temperature else design.regulation_insertion
        _move_demand(plant, design, limit)
        arrived = plant.demand <= limit and plant.power > 0.95 * limit
        if arrived and plant.shutdown_insertion == 0.0 and not (by_temperature and lost):
            plant.mode = _RUN
            plant.load = min(plant.power, setpoint)
        speed = _power_speed(plant, design)
    elif by_temperature:
        _move_load(plant, design, setpoint, available)
        plant.demand = plant.load
        speed = _temperature_speed(plant, design)
    else:
        limit = min(setpoint, design.regulation_turbine_trip_power) if lost else setpoint
        _move_demand(plant, design, limit)
        speed = _power_speed(plant, design)
    fastest = design.regulation_speed_per_s
    speed = min(max(speed, -fastest), fastest)
    if runaway > 0.0:
        speed = -runaway * fastest
        lowest = 0.0
    plant.insertion = min(max(plant.insertion + h * speed, min(lowest, plant.insertion)), 1.0)
    _trim(plant, design)


@compiled
def _trim(plant: Record, design: Record) -> None:
    """Move adjusters and moderator poison while the regulating device is near its range's end.

    Too much reactivity (xenon below the equilibrium of full power) takes in the adjusters, then
    adds poison; too little removes the poison, then takes the adjusters out. While shutdown rods
    come out only the former happens: rods that are still in must not be made up for, and after a
    long shutdown they wait for the poison that replaces the decayed xenon.
    """
    h = design.step_s / _TRIM_BAND
    excess = min(plant.insertion - design.regulation_trim_high_insertion, _TRIM_BAND)
    short = min(design.regulation_trim_low_insertion - plant.insertion, _TRIM_BAND)
    adjusters = h * design.regulation_adjuster_speed_per_s
    poison = h * design.regulation_poison_speed_per_s
    if excess > 0.0:
        if plant.adjusters_out > 0.0:
            plant.adjusters_out = max(plant.adjusters_out - adjusters * excess, 0.0)
        else:
            plant.moderator_poison = min(plant.moderator_poison + poison * excess, 1.0)
    elif short > 0.0 and plant.shutdown_insertion == 0.0:
        if plant.moderator_poison > 0.0:
            plant.moderator_poison = max(plant.moderator_poison - poison * short, 0.0)
        else:
            plant.adjusters_out = min(plant.adjusters_out + adjusters * short, 1.0)


@compiled
def dilution_kg_s(plant: Record, design: Record) -> float:
    """Return the pure water that helps a bank which has nothing left to withdraw."""
    if int(plant.mode) == _TRIPPED or plant.shutdown_insertion > 0.0:
        return 0.0
    cold = _average_c(plant) < reference_temperature_c(design, plant.load)
    if cold and plant.insertion < design.regulation_trim_low_insertion:
        return float(design.regulation_dilution_kg_s)
    return 0.0


@compiled
def boration_ppm_s(plant: Record, design: Record) -> float:
    """Return the boration that keeps the regulating bank above its insertion limit."""
    if int(plant.mode) == _RUN and plant.insertion > design.regulation_trim_high_insertion:
        return float(design.regulation_boration_ppm_s)
    return 0.0


@compiled
def measure_rates(plant: Record, design: Record, power_before: float) -> None:
    """Update the lagged rates of the power, absolute and logarithmic."""
    h = design.step_s
    share = h / (_RATE_LAG_S + 0.5 * h)
    change = (plant.power - power_before) / h
    middle = max(0.5 * (plant.power + power_before), 1e-30)
    rate = plant.power_rate_per_s + share * (change - plant.power_rate_per_s)
    plant.power_rate_per_s = settled(rate)
    rate = plant.log_rate_per_s + share * (change / middle - plant.log_rate_per_s)
    plant.log_rate_per_s = settled(rate)
