"""Design files: what is in them holds together, and what does not is refused by name."""

import copy
import tomllib
from importlib import resources
from typing import Any

import pytest

from reactorsync.designs import DESIGNS, Design
from reactorsync.signals import LIMITS
from reactorsync_generator.plant import InvalidDesign, load_design
from reactorsync_generator.plant.parameters import parse_design


def document(design: Design) -> dict[str, Any]:
    folder = resources.files("reactorsync_generator.plant").joinpath("designs")
    return tomllib.loads(folder.joinpath(f"{design.lower()}.toml").read_text("utf-8"))


@pytest.mark.parametrize("design", Design)
def test_every_design_loads_and_agrees_with_its_catalogue_entry(design: Design) -> None:
    parameters = load_design(design)
    assert parameters.core.rated_thermal_mw.value == DESIGNS[design].rated_thermal_mw
    assert parameters.turbine.rated_electrical_mw.value == DESIGNS[design].rated_electrical_mw
    assert parameters.sensors.keys() == LIMITS[design].keys()


@pytest.mark.parametrize("design", Design)
def test_every_number_names_its_source(design: Design) -> None:
    for section, entries in document(design).items():
        for name, entry in entries.items():
            if section != "sensors":
                assert entry["source"], f"{section}.{name}"


def changed(section: str, name: str, change: Any) -> dict[str, Any]:
    changed = copy.deepcopy(document(Design.PWR_3_LOOP))
    entry = changed[section][name]
    if isinstance(change, dict):
        entry.update(change)
    else:
        entry["value"] = change
    return changed


@pytest.mark.parametrize(
    ("section", "name", "change", "message"),
    [
        ("core", "rated_thermal_mw", -1.0, r"core\.rated_thermal_mw: .*above 0, is -1"),
        ("core", "rated_thermal_mw", float("nan"), r"core\.rated_thermal_mw\.value"),
        ("core", "primary_flow_kg_s", 12000.0, r"core\.primary_flow_kg_s .* carries 25\d\d\.\d MW"),
        ("core", "fuel_temperature_c", 300.0, r"core\.fuel_temperature_c\s+must ascend"),
        (
            "steam_generator",
            "steam_flow_kg_s",
            1500.0,
            r"steam_generator\.steam_flow_kg_s .* takes",
        ),
        (
            "steam_generator",
            "steam_pressure_mpa",
            8.0,
            r"steam_generator\.steam_pressure_mpa boils",
        ),
        ("trips", "low_primary_flow", 1.2, r"trips\.low_primary_flow: .*from 0 to 1, is 1\.2"),
        ("shutdown", "delay_s", {"source": ""}, r"shutdown\.delay_s\.source"),
        ("shutdown", "delay_s", {"unit": "s"}, r"shutdown\.delay_s\.unit: Extra inputs"),
        (
            "kinetics",
            "precursors",
            {"total_fraction": 0.0075},
            r"kinetics\.precursors: .*fraction adds up to 0\.00648\d*, total_fraction says 0\.0075",
        ),
        (
            "kinetics",
            "decay_heat",
            {"decay_per_s": [1.0, 2.0]},
            r"kinetics\.decay_heat: .*decay_per_s has 2 groups, fraction 11",
        ),
        ("sensors", "fuel_temperature_c", {"lag_s": 0.0}, r"sensors\.fuel_temperature_c\.lag_s"),
    ],
)
def test_a_number_that_does_not_fit_is_refused_by_name(
    section: str, name: str, change: Any, message: str
) -> None:
    with pytest.raises(InvalidDesign, match=message):
        parse_design(changed(section, name, change), Design.PWR_3_LOOP)


def test_a_missing_number_is_named() -> None:
    incomplete = document(Design.PWR_3_LOOP)
    del incomplete["primary"]["loop_volume_m3"]
    with pytest.raises(InvalidDesign, match=r"primary\.loop_volume_m3: Field required"):
        parse_design(incomplete, Design.PWR_3_LOOP)


def test_the_instruments_must_be_those_of_the_design() -> None:
    wrong = document(Design.PWR_3_LOOP)
    wrong["sensors"]["liquid_zone_level_percent"] = wrong["sensors"].pop("boron_concentration_ppm")
    with pytest.raises(InvalidDesign, match=r"missing .'boron_concentration_ppm'.*'liquid_zone"):
        parse_design(wrong, Design.PWR_3_LOOP)


@pytest.mark.parametrize("design", Design)
def test_alarms_come_no_later_than_trips(design: Design) -> None:
    parameters, limits = load_design(design), LIMITS[design]
    trips = parameters.trips
    rated_flow = parameters.core.primary_flow_kg_s.value
    for name, setpoint in {
        "neutron_power_percent": 100 * trips.high_neutron_power.value,
        "primary_pressure_mpa": trips.high_primary_pressure_mpa.value,
        "core_outlet_temperature_c": trips.high_outlet_temperature_c.value,
        "containment_pressure_kpa": trips.high_containment_pressure_kpa.value,
    }.items():
        highest = limits[name].high_high
        assert highest is not None
        assert highest <= setpoint, name
    for name, setpoint in {
        "primary_pressure_mpa": trips.low_primary_pressure_mpa.value,
        "primary_flow_kg_s": trips.low_primary_flow.value * rated_flow - 5.0,
        "pressurizer_level_percent": trips.low_pressurizer_level_percent.value,
        "steam_generator_level_percent": trips.low_steam_generator_level_percent.value,
        "steam_pressure_mpa": trips.low_steam_pressure_mpa.value,
    }.items():
        lowest = limits[name].low_low
        assert lowest is not None
        assert lowest >= setpoint, name
