"""The numbers that make a design: read from a TOML file, each with its source, and checked.

``designs/<design>.toml`` holds one table per section of :class:`DesignParameters`. What does not
fit, or does not fit together, is refused by name.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any, Self

from pydantic import ValidationError, model_validator

from reactorsync.designs import Design
from reactorsync.signals import LIMITS
from reactorsync_generator.plant.sections import (
    Containment,
    Core,
    Kinetics,
    Pressurizer,
    Primary,
    ReactivityEffects,
    Regulation,
    Sensor,
    Shutdown,
    SteamGenerator,
    Strict,
    Trips,
    Turbine,
)
from reactorsync_generator.plant.water import (
    liquid_enthalpy_kj_kg,
    saturation_temperature_c,
    steam_enthalpy_kj_kg,
)

BALANCE_TOLERANCE = 0.01
"""Share of rated power by which the full-power heat balances may miss."""


class InvalidDesign(ValueError):
    """A design's numbers cannot be used; the message names the number and what is allowed."""


class DesignParameters(Strict):
    """Everything that tells one design from another."""

    kinetics: Kinetics
    core: Core
    reactivity: ReactivityEffects
    primary: Primary
    pressurizer: Pressurizer
    steam_generator: SteamGenerator
    turbine: Turbine
    regulation: Regulation
    shutdown: Shutdown
    trips: Trips
    containment: Containment
    sensors: dict[str, Sensor]

    @model_validator(mode="after")
    def _heat_balances_close(self) -> Self:
        core, steam = self.core, self.steam_generator
        rated = core.rated_thermal_mw.value
        rise = core.outlet_temperature_c.value - core.inlet_temperature_c.value
        carried = (
            core.primary_flow_kg_s.value * core.coolant_heat_capacity_kj_kg_k.value * rise / 1e3
        )
        if abs(carried / rated - 1.0) > BALANCE_TOLERANCE:
            raise ValueError(
                "core.primary_flow_kg_s x core.coolant_heat_capacity_kj_kg_k x temperature rise "
                f"carries {carried:.1f} MW, core.rated_thermal_mw is {rated:.1f} MW"
            )
        steam_c = saturation_temperature_c(steam.steam_pressure_mpa.value)
        if steam_c >= core.inlet_temperature_c.value:
            raise ValueError(
                f"steam_generator.steam_pressure_mpa boils at {steam_c:.1f} degC, not below "
                f"core.inlet_temperature_c of {core.inlet_temperature_c.value:.1f} degC"
            )
        gain = steam_enthalpy_kj_kg(steam_c) - liquid_enthalpy_kj_kg(
            steam.feedwater_temperature_c.value
        )
        boiled = steam.steam_flow_kg_s.value * gain / 1e3
        if abs(boiled / rated - 1.0) > BALANCE_TOLERANCE:
            raise ValueError(
                "steam_generator.steam_flow_kg_s from steam_generator.feedwater_temperature_c "
                f"takes {boiled:.1f} MW, core.rated_thermal_mw is {rated:.1f} MW"
            )
        return self

    @model_validator(mode="after")
    def _temperatures_ascend(self) -> Self:
        core = self.core
        if not (
            core.inlet_temperature_c.value
            < core.outlet_temperature_c.value
            < core.fuel_temperature_c.value
        ):
            raise ValueError(
                "core.inlet_temperature_c, core.outlet_temperature_c and core.fuel_temperature_c "
                "must ascend"
            )
        return self


def parse_design(document: dict[str, Any], design: Design) -> DesignParameters:
    """Check a parsed design file.

    Raises:
        InvalidDesign: a number is missing, unknown, out of bounds or contradicts another; the
            message names it. So it does when ``sensors`` are not exactly the design's signals.
    """
    try:
        parameters = DesignParameters.model_validate(document)
    except ValidationError as error:
        problems = (
            f"{'.'.join(str(part) for part in each['loc']) or 'balance'}: {each['msg']}"
            for each in error.errors()
        )
        raise InvalidDesign(f"{design}: " + "; ".join(problems)) from error
    missing = LIMITS[design].keys() - parameters.sensors.keys()
    unknown = parameters.sensors.keys() - LIMITS[design].keys()
    if missing or unknown:
        raise InvalidDesign(
            f"{design}: sensors: missing {sorted(missing)}, not of this design {sorted(unknown)}"
        )
    return parameters


@cache
def load_design(design: Design) -> DesignParameters:
    """Return the parameters of ``design`` from its data file.

    Raises:
        InvalidDesign: the file's numbers cannot be used.
    """
    text = (
        resources.files(__package__)
        .joinpath("designs", f"{design.lower()}.toml")
        .read_text("utf-8")
    )
    return parse_design(tomllib.loads(text), design)
