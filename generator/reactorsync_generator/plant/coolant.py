"""The primary loops: pumps, flow, and the ring of coolant nodes that carries the heat."""

from __future__ import annotations

from typing import Final

import numpy as np

from reactorsync_generator.plant.jit import compiled, settled
from reactorsync_generator.plant.layout import Record
from reactorsync_generator.plant.water import liquid_density_kg_m3

_SMALLEST_LOOP_SHARE: Final = 0.05


@compiled
def flow_share(design: Record, pump_speed: float, rise_k: float) -> float:
    """Return the primary flow as a share of rated flow.

    Pump head goes with speed squared, buoyancy with the temperature rise; together they drive a
    flow against quadratic friction.
    """
    buoyancy = design.primary_natural_circulation_share * design.primary_natural_circulation_share
    head = (1.0 - buoyancy) * pump_speed * pump_speed
    head += buoyancy * max(rise_k, 0.0) / design.temperature_rise_k
    return float(np.sqrt(max(head, 1e-6)))


@compiled
def tube_pass(design: Record, flow: float, secondary_mass_kg: float) -> float:
    """Return the share of the primary-to-secondary temperature difference left after the tubes.

    ``exp(-NTU)`` of a condensing-side heat exchanger. The tubes' resistance has a part that grows
    as the primary flow's film coefficient falls (Dittus-Boelter), and uncovered tubes do not count.
    """
    fixed = design.steam_generator_flow_independent_resistance
    resistance = fixed + (1.0 - fixed) * flow**-0.8
    covered = min(secondary_mass_kg / design.steam_generator_uncovered_mass_kg, 1.0)
    return float(np.exp(-design.transfer_units * covered / (resistance * flow)))


@compiled
def step_pumps(plant: Record, design: Record, tripped: float, worn: float) -> None:
    """Advance pump speed and bearing wear.

    ``tripped`` is the share of pumps without drive: the flywheels then lose speed by quadratic and
    linear friction. Wear follows the fault and leaves with it, as the pump is taken care of.
    """
    h = design.step_s
    quadratic = design.primary_pump_quadratic_friction_per_s
    linear = design.primary_pump_linear_friction_per_s
    drive = (1.0 - tripped) * (quadratic + linear)
    loss = 1.0 - design.primary_pump_wear_flow_loss * plant.bearing_wear
    drive *= loss * (quadratic * loss + linear) / (quadratic + linear)
    speed = plant.pump_speed
    middle = speed + 0.5 * h * (drive - (quadratic * speed + linear) * speed)
    plant.pump_speed = settled(speed + h * (drive - (quadratic * middle + linear) * middle))
    wear = plant.bearing_wear + h / design.primary_pump_wear_time_s * (worn - plant.bearing_wear)
    plant.bearing_wear = settled(wear)
    healthy = design.primary_vibration_mm_s
    grown = healthy + (design.primary_worn_vibration_mm_s - healthy) * plant.bearing_wear
    plant.vibration_mm_s = grown * plant.pump_speed * plant.pump_speed


@compiled
def step_coolant(plant: Record, design: Record, heat_mw: float) -> float:
    """Carry the core's heat once around the ring of five nodes (trapezoidal rule, solved exactly).

    Core and core exit after Mann, each taking half of the heat; hot leg; tubes, whose exit
    temperature follows from :func:`tube_pass`; cold leg. What leaves one node enters the next.

    Returns:
        Heat passed to the secondary side, in MW.
    """
    h = design.step_s
    share = flow_share(design, plant.pump_speed, plant.hot_leg_c - plant.cold_leg_c)
    filled = max(min(loop_filling(plant, design), 1.0), _SMALLEST_LOOP_SHARE)
    share *= filled
    flow = share * design.core_primary_flow_kg_s
    left = tube_pass(design, share, plant.secondary_mass_kg)
    steam_c = plant.steam_c + 0.5 * h * plant.steam_rate_c_s
    heating = 0.5 * h * heat_mw / (0.5 * design.primary_core_mass_kg * design.heat_capacity_mj_kg_k)
    core = 0.5 * h * flow / (0.5 * design.primary_core_mass_kg)
    hot = 0.5 * h * flow / design.primary_hot_leg_mass_kg
    tube = 0.5 * h * flow / design.primary_tube_mass_kg
    cold = 0.5 * h * flow / design.primary_cold_leg_mass_kg

    # Each new temperature is offset + slope * (new cold leg temperature), node after node.
    offset = plant.core_c * (1.0 - core) + core * plant.cold_leg_c + heating
    core_offset = offset / (1.0 + core)
    core_slope = core / (1.0 + core)
    offset = plant.core_exit_c * (1.0 - core) + core * plant.core_c + heating
    exit_offset = (offset + core * core_offset) / (1.0 + core)
    exit_slope = core * core_slope / (1.0 + core)
    offset = plant.hot_leg_c * (1.0 - hot) + hot * plant.core_exit_c
    hot_offset = (offset + hot * exit_offset) / (1.0 + hot)
    hot_slope = hot * exit_slope / (1.0 + hot)
    offset = plant.tube_exit_c * (1.0 - tube)
    offset += tube * (2.0 * steam_c * (1.0 - left) + plant.hot_leg_c * left)
    tube_offset = (offset + tube * left * hot_offset) / (1.0 + tube)
    tube_slope = tube * left * hot_slope / (1.0 + tube)
    offset = plant.cold_leg_c * (1.0 - cold) + cold * plant.tube_exit_c
    cold_offset = (offset + cold * tube_offset) / (1.0 + cold)
    cold_slope = cold * tube_slope / (1.0 + cold)

    before = plant.hot_leg_c
    coolant_before = plant.core_c
    plant.cold_leg_c = cold_offset / (1.0 - cold_slope)
    plant.core_c = core_offset + core_slope * plant.cold_leg_c
    plant.core_exit_c = exit_offset + exit_slope * plant.cold_leg_c
    plant.hot_leg_c = hot_offset + hot_slope * plant.cold_leg_c
    plant.tube_exit_c = tube_offset + tube_slope * plant.cold_leg_c
    plant.core_rate_c_s = (plant.core_c - coolant_before) / h
    plant.primary_flow_kg_s = flow
    passed = 0.5 * (before + plant.hot_leg_c) - steam_c
    return float(flow * design.heat_capacity_mj_kg_k * (1.0 - left) * passed)


@compiled
def mean_temperature_c(plant: Record, design: Record) -> float:
    """Return the mass-averaged temperature of the loops."""
    core = 0.5 * design.primary_core_mass_kg
    hot = design.primary_hot_leg_mass_kg
    tube = design.primary_tube_mass_kg
    cold = design.primary_cold_leg_mass_kg
    total = 2.0 * core + hot + tube + cold
    return float(
        (
            core * (plant.core_c + plant.core_exit_c)
            + hot * plant.hot_leg_c
            + tube * plant.tube_exit_c
            + cold * plant.cold_leg_c
        )
        / total
    )


@compiled
def loop_filling(plant: Record, design: Record) -> float:
    """Return the primary circuit's liquid as a share of what fills the loops.

    Above 1, the rest stands in the pressurizer.
    """
    full = liquid_density_kg_m3(mean_temperature_c(plant, design)) * design.primary_loop_volume_m3
    return float((plant.primary_mass_kg - plant.steam_mass_kg) / full)
