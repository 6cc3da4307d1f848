"""The core: reactivity, neutron power, decay heat, fuel temperature, xenon."""

from __future__ import annotations

from typing import Final

import numpy as np

from reactorsync_generator.plant.collocation import Array
from reactorsync_generator.plant.jit import compiled
from reactorsync_generator.plant.kinetics import DIVISIONS, division_level, solve_stages
from reactorsync_generator.plant.layout import DECAY, DELAYED, STAGES, Record
from reactorsync_generator.plant.water import liquid_density_kg_m3

_PCM: Final = 1e-5


@compiled
def device_reactivity(
    design: Record, insertion: float, adjusters_out: float, shutdown: float
) -> float:
    """Return the reactivity of regulating device, adjusters and shutdown rods, at their positions.

    A rod bank's worth follows the S-curve of a cosine-shaped flux; liquid zones are linear.
    """
    bend = design.regulation_s_curve * np.sin(2.0 * np.pi * insertion) / (2.0 * np.pi)
    drop = shutdown - np.sin(2.0 * np.pi * shutdown) / (2.0 * np.pi)
    return float(
        _PCM
        * (
            design.regulation_adjuster_worth_pcm * adjusters_out
            - design.regulation_worth_pcm * (insertion - bend)
            - design.shutdown_worth_pcm * drop
        )
    )


@compiled
def poison_reactivity(
    design: Record, boron_ppm: float, xenon: float, moderator_poison: float
) -> float:
    """Return the reactivity of boron, xenon and the poison in the moderator."""
    return float(
        _PCM
        * (
            design.reactivity_boron_pcm_per_ppm * boron_ppm
            - design.reactivity_xenon_worth_pcm * xenon
            - design.regulation_poison_worth_pcm * moderator_poison
        )
    )


@compiled
def coolant_reactivity(design: Record, coolant_c: float) -> float:
    """Return the reactivity of the coolant's density, 0 at the rated average temperature.

    The coefficient holds per unit of density, so it weakens as the coolant gets colder.
    """
    change = liquid_density_kg_m3(coolant_c) - design.coolant_density_kg_m3
    return float(design.coolant_worth_per_kg_m3 * change)


@compiled
def fuel_reactivity(design: Record, fuel_c: float) -> float:
    """Return the Doppler reactivity, 0 at the rated fuel temperature."""
    return float(
        design.reactivity_doppler_pcm_per_k * _PCM * (fuel_c - design.core_fuel_temperature_c)
    )


@compiled
def step_power(
    plant: Record,
    design: Record,
    tables: Record,
    reactivity: float,
    reactivity_end: float,
    scratch: Array,
) -> tuple[float, float]:
    """Advance neutron power, delayed groups, decay heat and fuel temperature by one plant step.

    All of it is one implicit collocation system, so the Doppler feedback is as accurate as the
    kinetics. ``reactivity`` and ``reactivity_end`` are everything but Doppler, at the start and
    the end of the step, linear between; so is the coolant temperature at its last known rate.
    ``tables`` are the design's stage tables. ``scratch`` is workspace, shape (4, 3, 3).

    Returns:
        Mean heat released in the fuel and mean heat passed to the coolant, both in MW.
    """
    step_s = design.step_s
    doppler = fuel_reactivity(design, plant.fuel_c)
    level = division_level(
        max(reactivity, reactivity_end) + doppler,
        step_s,
        design.beta,
        design.mean_decay_per_s,
        design.generation_time_s,
    )
    table = tables[level]
    parts = DIVISIONS[level]
    h = step_s / parts
    groups = int(design.delayed_groups)
    rated = design.core_rated_thermal_mw
    rise_per_power = rated / design.fuel_conductance_mw_per_k
    doppler_slope = design.reactivity_doppler_pcm_per_k * _PCM
    feedback = table.feedback
    increments = scratch[0, 0]
    residual = scratch[0, 1]
    known = scratch[0, 2]
    emission = scratch[1, 0]
    heat = scratch[1, 1]
    drive = scratch[1, 2]
    fuel = scratch[3, 0]
    released = 0.0
    passed = 0.0
    lags = plant.lags
    for part in range(parts):
        power = plant.power
        begin = part * h
        stored = design.prompt_heat_share * power
        for i in range(DECAY):
            stored += table.heat_share[i] * lags[DELAYED + i]
        for j in range(STAGES):
            emission[j] = 0.0
            heat[j] = stored
        for i in range(groups):
            gap = lags[i] - power
            for j in range(STAGES):
                emission[j] += table.emission[i, j] * gap
        for i in range(DECAY):
            gap = power - lags[DELAYED + i]
            for j in range(STAGES):
                heat[j] += table.heat_rise[i, j] * gap
        for j in range(STAGES):
            at = begin + table.nodes[j] * h
            coolant_c = plant.core_c + plant.core_rate_c_s * at
            drive[j] = rise_per_power * heat[j] + coolant_c - plant.fuel_c
        for j in range(STAGES):
            change = 0.0
            for k in range(STAGES):
                change += table.fuel_gain[j, k] * drive[k]
            at = begin + table.nodes[j] * h
            external = reactivity + (reactivity_end - reactivity) * at / step_s
            known[j] = external + fuel_reactivity(design, plant.fuel_c) + doppler_slope * change
        solve_stages(
            power,
            known,
            emission,
            feedback,
            table.prompt,
            design.source_reactivity,
            increments,
            scratch[2],
            residual,
        )
        for j in range(STAGES):
            for k in range(STAGES):
                heat[j] += table.heat_gain[j, k] * increments[k]
            at = begin + table.nodes[j] * h
            drive[j] = (
                rise_per_power * heat[j] + plant.core_c + plant.core_rate_c_s * at - plant.fuel_c
            )
        for j in range(STAGES):
            fuel[j] = plant.fuel_c
            for k in range(STAGES):
                fuel[j] += table.fuel_gain[j, k] * drive[k]
            at = begin + table.nodes[j] * h
            coolant_c = plant.core_c + plant.core_rate_c_s * at
            released += table.weights[j] * heat[j]
            passed += table.weights[j] * (fuel[j] - coolant_c)
        for i in range(groups):
            change = table.rise[i] * (power - lags[i])
            for k in range(STAGES):
                change += table.gain[i, k] * increments[k]
            lags[i] += change
        for i in range(DELAYED, DELAYED + DECAY):
            change = table.rise[i] * (power - lags[i])
            for k in range(STAGES):
                change += table.gain[i, k] * increments[k]
            lags[i] += change
        plant.power = power + increments[STAGES - 1]
        plant.fuel_c = fuel[STAGES - 1]
    plant.reactivity = reactivity_end + fuel_reactivity(design, plant.fuel_c)
    return rated * released / parts, design.fuel_conductance_mw_per_k * passed / parts


@compiled
def step_poisons(plant: Record, design: Record, power: float, step_s: float) -> None:
    """Advance iodine and xenon by ``step_s`` at constant ``power`` (second order).

    Both are shares of their equilibrium at full power.
    """
    half = 0.5 * step_s * design.reactivity_iodine_decay_per_s
    iodine = (plant.iodine * (1.0 - half) + 2.0 * half * power) / (1.0 + half)
    total = design.reactivity_iodine_yield + design.reactivity_xenon_yield
    from_iodine = design.reactivity_iodine_yield / total
    removal = design.reactivity_xenon_decay_per_s + design.reactivity_xenon_burnup_per_s
    supply = removal * (from_iodine * 0.5 * (plant.iodine + iodine) + (1.0 - from_iodine) * power)
    half = (
        0.5
        * step_s
        * (design.reactivity_xenon_decay_per_s + design.reactivity_xenon_burnup_per_s * power)
    )
    plant.xenon = (plant.xenon * (1.0 - half) + step_s * supply) / (1.0 + half)
    plant.iodine = iodine


@compiled
def step_boron(plant: Record, design: Record, water_kg_s: float, boron_ppm_s: float) -> None:
    """Dilute the coolant with ``water_kg_s`` of pure water, or add boron."""
    h = design.step_s
    mass = max(plant.primary_mass_kg, 1000.0)
    plant.boron_ppm = plant.boron_ppm / (1.0 + h * water_kg_s / mass) + h * boron_ppm_s
