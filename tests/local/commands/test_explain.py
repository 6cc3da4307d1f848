import re
from pathlib import Path

import pytest

from reactorsync.designs import DESIGNS
from reactorsync.faults import FAULTS
from reactorsync.resources.meta import NAME_PATTERN
from reactorsync.signals import SIGNALS
from tests.local.commands.conftest import Command, Manifest


def test_a_stored_scenario_is_told_with_its_targets(
    reactorsync: Command, reactor_yaml: Manifest, scenario_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=reactor_yaml("unit-1") + scenario_yaml("drill"))
    told = reactorsync("explain", "drill", "-n", namespace)
    assert told.exit_code == 0
    assert f"{namespace}/drill acts on 1 reactor named in it: unit-1." in told.stdout
    assert "Primary pump trip" in told.stdout


def test_a_manifest_is_told_against_the_fleet_of_the_server(
    reactorsync: Command, reactor_yaml: Manifest, scenario_yaml: Manifest, tmp_path: Path
) -> None:
    reactorsync("apply", "-f", "-", stdin=reactor_yaml("unit-1"))
    (tmp_path / "drill.yaml").write_text(scenario_yaml("drill"))
    assert "acts on 1 reactor" in reactorsync("explain", "drill.yaml").stdout


def test_without_a_server_a_manifest_is_told_with_the_reactors_beside_it(
    offline: Command, reactor_yaml: Manifest, scenario_yaml: Manifest, tmp_path: Path
) -> None:
    (tmp_path / "all.yaml").write_text(reactor_yaml("unit-1") + scenario_yaml("drill"))
    told = offline("explain", "all.yaml", "--server", "http://127.0.0.1:1")
    assert told.exit_code == 0
    assert "acts on 1 reactor" in told.stdout
    assert "explained without its fleet" in told.stderr


def test_fields_are_explained_without_a_server(offline: Command) -> None:
    told = offline("explain", "reactor.spec.telemetry")
    assert told.exit_code == 0
    assert "intervalMilliseconds  <integer>" in told.stdout


@pytest.mark.parametrize("fault", [kind.value for kind in FAULTS])
def test_every_fault_is_explained_with_a_stage_to_copy(
    offline: Command, fault: str, tmp_path: Path
) -> None:
    told = offline("explain", "fault", fault).stdout
    stage = told.split("A stage with it:\n")[1]
    (tmp_path / "scenario.yaml").write_text(
        "apiVersion: reactorsync.dev/v1alpha1\nkind: AnomalyScenario\nmetadata: {name: x}\n"
        f"spec:\n  targets: {{selector: {{}}}}\n  stages:\n{stage}"
    )
    assert offline("explain", "scenario.yaml", "--server", "http://127.0.0.1:1").exit_code == 0


@pytest.mark.parametrize("signal", [signal.name for signal in SIGNALS])
def test_every_signal_is_explained(offline: Command, signal: str) -> None:
    assert "instrument range" in offline("explain", "signal", signal).stdout


@pytest.mark.parametrize("catalogue", ["faults", "signals", "designs"])
def test_catalogues_are_listed(offline: Command, catalogue: str) -> None:
    assert len(offline("explain", catalogue).lines) > 2


def test_designs_are_found_whatever_their_case(offline: Command) -> None:
    assert "CANDU 6" in offline("explain", "design", "candu6").stdout


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("PumpTrip", "Primary pump trip"),
        ("Candu6", "CANDU 6"),
        ("steam_flow_kg_s", "instrument range"),
    ],
)
def test_a_name_of_a_catalogue_needs_no_kind(offline: Command, name: str, told: str) -> None:
    assert told in offline("explain", name).stdout


def test_names_of_catalogues_are_unique_and_none_can_be_that_of_a_scenario() -> None:
    names = [*map(str, FAULTS), *(signal.name for signal in SIGNALS), *map(str, DESIGNS)]
    assert len({name.lower() for name in names}) == len(names)
    assert [name for name in names if re.fullmatch(NAME_PATTERN, name)] == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("pumptrip", "did you mean PumpTrip?"),
        ("steam-flow-kg-s", "did you mean steam_flow_kg_s?"),
    ],
)
def test_what_nearly_names_an_entry_is_guessed(reactorsync: Command, name: str, hint: str) -> None:
    refused = reactorsync("explain", name)
    assert refused.exit_code == 1
    assert hint in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("fault", "PumpTripp"), "did you mean PumpTrip?"),
        (("signal", "primary_presure_mpa"), "did you mean primary_pressure_mpa?"),
        (("signal", "zz"), "`reactorsync explain signals` lists them"),
        (("reactor.spec.telemetri",), "did you mean reactor.spec.telemetry?"),
    ],
)
def test_what_is_misspelt_is_guessed(
    offline: Command, arguments: tuple[str, ...], hint: str
) -> None:
    refused = offline("explain", *arguments)
    assert refused.exit_code == 1
    assert hint in refused.stderr


def test_what_is_nothing_is_said_to_be(reactorsync: Command) -> None:
    refused = reactorsync("explain", "nothing-at-all")
    assert refused.exit_code == 1
    assert "nothing to explain" in refused.stderr
