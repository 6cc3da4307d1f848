"""A design's parameters in the form that the kernels take: one record, and its stage tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import exp, log
from typing import Any, Final

import numpy as np
from pydantic import BaseModel

from reactorsync.designs import Design
from reactorsync.signals import SIGNALS
from reactorsync_generator.plant.collocation import lag_weights, radau_iia
from reactorsync_generator.plant.jit import sources_digest
from reactorsync_generator.plant.kinetics import DIVISIONS, PointKinetics, stage_tables
from reactorsync_generator.plant.layout import (
    DECAY,
    DELAYED,
    SENSORS,
    STAGE_TABLE,
    STAGES,
    Records,
)
from reactorsync_generator.plant.parameters import (
    DesignParameters,
    InvalidDesign,
    load_design,
)
from reactorsync_generator.plant.sections import Parameter
from reactorsync_generator.plant.water import (
    liquid_density_kg_m3,
    saturation_temperature_c,
)

PCM: Final = 1e-5
"""One pcm of reactivity."""

_SECTIONS: Final = tuple(
    name for name in DesignParameters.model_fields if name not in ("kinetics", "sensors")
)
_DERIVED: Final = (
    "beta",
    "delayed_groups",
    "mean_decay_per_s",
    "generation_time_s",
    "source_reactivity",
    "prompt_heat_share",
    "heat_capacity_mj_kg_k",
    "fuel_conductance_mw_per_k",
    "fuel_capacity_mj_per_k",
    "transfer_units",
    "core_average_c",
    "temperature_rise_k",
    "coolant_density_kg_m3",
    "coolant_worth_per_kg_m3",
    "secondary_volume_m3",
    "step_s",
)


def _scalars(section: BaseModel) -> dict[str, float]:
    values = ((name, getattr(section, name)) for name in type(section).model_fields)
    return {name: value.value for name, value in values if isinstance(value, Parameter)}


def _design_type() -> np.dtype[np.void]:
    fields: list[tuple[Any, ...]] = []
    for section in _SECTIONS:
        model = DesignParameters.model_fields[section].annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            fields += [(f"{section}_{name}", np.float64) for name in model.model_fields]
    fields += [(name, np.float64) for name in _DERIVED]
    fields += [
        ("sensor_gain", np.float64, (SENSORS,)),
        ("sensor_noise", np.float64, (SENSORS,)),
        # See sources_digest: never read, it ties the compiled kernels to these sources.
        (f"sources_{sources_digest()}", np.float64),
    ]
    return np.dtype(fields)


DESIGN: Final = _design_type()
"""Record of a design: every parameter as ``<section>_<name>``, and what follows from them."""

DESIGN_ROWS: Final = {design: row for row, design in enumerate(Design)}


@dataclass(frozen=True, slots=True, eq=False)
class Constants:
    """What the kernels know of all designs, for one length of the plant's step.

    Attributes:
        designs: one DESIGN record per design, in the order of DESIGN_ROWS.
        tables: STAGE_TABLE records, shape (designs, divisions of the step).
    """

    step_s: float
    designs: Records
    tables: Records


def kinetics_of(parameters: DesignParameters) -> PointKinetics:
    """Return the kinetic parameters of a design, photoneutrons after the precursors."""
    groups = [parameters.kinetics.precursors]
    if parameters.kinetics.photoneutrons is not None:
        groups.append(parameters.kinetics.photoneutrons)
    return PointKinetics(
        decay_constants_per_s=tuple(rate for each in groups for rate in each.decay_per_s),
        fractions=tuple(fraction for each in groups for fraction in each.fraction),
        generation_time_s=parameters.kinetics.generation_time_s.value,
    )


def density_slope(temperature_c: float) -> float:
    """Return how much the density of liquid water changes per kelvin, in kg/(m3 K)."""
    return (
        liquid_density_kg_m3(temperature_c + 0.5) - liquid_density_kg_m3(temperature_c - 0.5)
    ) / 1.0


def _derived(parameters: DesignParameters, step_s: float) -> dict[str, float]:
    core, steam = parameters.core, parameters.steam_generator
    kinetics = kinetics_of(parameters)
    rated = core.rated_thermal_mw.value
    heat_capacity = core.coolant_heat_capacity_kj_kg_k.value / 1e3
    rise = rated / (core.primary_flow_kg_s.value * heat_capacity)
    average = 0.5 * (core.inlet_temperature_c.value + core.outlet_temperature_c.value)
    inlet, outlet = average - 0.5 * rise, average + 0.5 * rise
    conductance = rated / (core.fuel_temperature_c.value - average)
    steam_c = saturation_temperature_c(steam.steam_pressure_mpa.value)
    slope = density_slope(average)
    return {
        "beta": kinetics.beta,
        "delayed_groups": float(len(kinetics.fractions)),
        "mean_decay_per_s": kinetics.mean_decay_per_s,
        "generation_time_s": kinetics.generation_time_s,
        "source_reactivity": parameters.kinetics.source_reactivity.value,
        "prompt_heat_share": 1.0 - sum(parameters.kinetics.decay_heat.fraction),
        "heat_capacity_mj_kg_k": heat_capacity,
        "fuel_conductance_mw_per_k": conductance,
        "fuel_capacity_mj_per_k": conductance * core.fuel_time_constant_s.value,
        "transfer_units": log((outlet - steam_c) / (inlet - steam_c)),
        "core_average_c": average,
        "temperature_rise_k": rise,
        "coolant_density_kg_m3": liquid_density_kg_m3(average),
        "coolant_worth_per_kg_m3": parameters.reactivity.coolant_pcm_per_k.value * PCM / slope,
        "secondary_volume_m3": steam.water_mass_kg.value / liquid_density_kg_m3(steam_c),
        "step_s": step_s,
    }


def _tables(parameters: DesignParameters, derived: dict[str, float], step_s: float) -> Records:
    kinetics = kinetics_of(parameters)
    groups = len(kinetics.fractions)
    heat = parameters.kinetics.decay_heat
    if groups > DELAYED or len(heat.decay_per_s) != DECAY:
        raise InvalidDesign(
            f"kinetics: at most {DELAYED} delayed and exactly {DECAY} decay-heat groups fit, "
            f"found {groups} and {len(heat.decay_per_s)}"
        )
    collocation = radau_iia(STAGES)
    tables = np.zeros(len(DIVISIONS), STAGE_TABLE)
    for table, parts in zip(tables, DIVISIONS, strict=True):
        h = step_s / parts
        stage = stage_tables(kinetics, h, STAGES)
        decay = lag_weights(collocation, np.array(heat.decay_per_s), h)
        shares = np.array(heat.fraction)
        fuel = lag_weights(
            collocation, np.array([1.0 / parameters.core.fuel_time_constant_s.value]), h
        )[0]
        heat_gain = derived["prompt_heat_share"] * np.eye(STAGES)
        heat_gain += np.einsum("i,ijk->jk", shares, decay)
        rise_per_power = (
            parameters.core.rated_thermal_mw.value / derived["fuel_conductance_mw_per_k"]
        )
        table["prompt"] = stage.prompt
        table["emission"][:groups] = stage.emission
        table["rise"][:groups] = stage.rise[:, -1]
        table["gain"][:groups] = stage.weights[:, -1]
        table["rise"][DELAYED:] = decay[:, -1].sum(axis=1)
        table["gain"][DELAYED:] = decay[:, -1]
        table["heat_share"] = shares
        table["heat_rise"] = shares[:, None] * decay.sum(axis=2)
        table["heat_gain"] = heat_gain
        table["fuel_gain"] = fuel
        table["feedback"] = (
            parameters.reactivity.doppler_pcm_per_k.value * PCM * rise_per_power * fuel @ heat_gain
        )
        table["nodes"] = collocation.nodes
        table["weights"] = collocation.weights
    return tables


def compile_design(parameters: DesignParameters, step_s: float) -> tuple[Records, Records]:
    """Return a design's DESIGN record, shape (1,), and stage tables, shape (divisions,)."""
    record = np.zeros(1, DESIGN)
    for section in _SECTIONS:
        for name, value in _scalars(getattr(parameters, section)).items():
            record[f"{section}_{name}"] = value
    derived = _derived(parameters, step_s)
    for name, value in derived.items():
        record[name] = value
    for column, signal in enumerate(SIGNALS):
        sensor = parameters.sensors.get(signal.name)
        gain = 0.0 if sensor is None else 1.0 - exp(-step_s / sensor.lag_s)
        record["sensor_gain"][0, column] = gain
        record["sensor_noise"][0, column] = 0.0 if sensor is None else sensor.noise
    return record, _tables(parameters, derived, step_s)


@cache
def constants(step_s: float) -> Constants:
    """Return the constants of all designs for a plant step of ``step_s``."""
    compiled = [compile_design(load_design(design), step_s) for design in DESIGN_ROWS]
    return Constants(
        step_s=step_s,
        designs=np.concatenate([record for record, _ in compiled]),
        tables=np.stack([tables for _, tables in compiled]),
    )
