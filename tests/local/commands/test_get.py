import json

import pytest
import yaml

from tests.local.commands.conftest import Command, Manifest


@pytest.fixture
def fleet(reactorsync: Command, reactor_yaml: Manifest, scenario_yaml: Manifest) -> Command:
    manifest = (
        reactor_yaml("unit-1", labels="{site: bruce}")
        + reactor_yaml("unit-2", design="Pwr3Loop", labels="{site: doel}")
        + scenario_yaml("drill")
    )
    assert reactorsync("apply", "-f", "-", stdin=manifest).exit_code == 0
    return reactorsync


def test_reactors_are_listed_with_titles(fleet: Command, namespace: str) -> None:
    listed = fleet("get", "reactors", "-n", namespace)
    assert listed.lines[0].split() == [
        "NAME", "DESIGN", "POWER", "HEALTH", "READY", "FAULTS", "AGE"
    ]  # fmt: skip
    assert [line.split()[:2] for line in listed.lines[1:]] == [
        ["unit-1", "Candu6"],
        ["unit-2", "Pwr3Loop"],
    ]


@pytest.mark.parametrize("kind", ["scenarios", "scenario", "anom", "anomalyscenarios"])
def test_a_kind_goes_by_many_names(fleet: Command, namespace: str, kind: str) -> None:
    listed = fleet("get", kind, "-n", namespace)
    assert listed.lines[1].split()[:2] == ["drill", "PumpTrip"]


def test_every_row_has_a_field_for_every_title_for_scripts(fleet: Command, namespace: str) -> None:
    for kind in ("rx", "anom"):
        titles, *rows = fleet("get", kind, "-n", namespace, "-o", "wide").lines
        for row in rows:
            assert len([cell for cell in row.split("   ") if cell]) == len(titles.split())


@pytest.mark.parametrize(
    ("option", "terms", "found"),
    [
        ("-l", "site=bruce", ["unit-1"]),
        ("-l", "site in (bruce,doel)", ["unit-1", "unit-2"]),
        ("-l", "site!=bruce", ["unit-2"]),
        ("--field-selector", "spec.design=Pwr3Loop", ["unit-2"]),
        ("--field-selector", "spec.state!=Running", []),
    ],
)
def test_selectors_choose(
    fleet: Command, namespace: str, option: str, terms: str, found: list[str]
) -> None:
    listed = fleet("get", "rx", "-n", namespace, option, terms, "-o", "name")
    assert listed.lines == [f"reactor.reactorsync.dev/{name}" for name in found]


def test_every_namespace_can_be_looked_into(fleet: Command, namespace: str) -> None:
    listed = fleet("get", "rx", "-A")
    assert listed.lines[0].startswith("NAMESPACE")
    assert any(line.split()[:2] == [namespace, "unit-1"] for line in listed.lines)


def test_one_object_by_name_is_one_document(fleet: Command, namespace: str) -> None:
    document = yaml.safe_load(fleet("get", "rx", "unit-1", "-n", namespace, "-o", "yaml").stdout)
    assert document["kind"] == "Reactor"
    assert document["metadata"]["name"] == "unit-1"


def test_many_objects_are_a_list_in_json(fleet: Command, namespace: str) -> None:
    document = json.loads(fleet("get", "rx", "-n", namespace, "-o", "json").stdout)
    assert [item["metadata"]["name"] for item in document["items"]] == ["unit-1", "unit-2"]


def test_an_empty_list_is_said_beside_the_result(reactorsync: Command, namespace: str) -> None:
    listed = reactorsync("get", "rx", "-n", namespace)
    assert (listed.exit_code, listed.stdout) == (0, "")
    assert f"No reactors found in namespace {namespace}." in listed.stderr


def test_a_missing_object_is_one_line_and_exit_code_1(reactorsync: Command, namespace: str) -> None:
    missing = reactorsync("get", "rx", "nowhere", "-n", namespace)
    assert missing.exit_code == 1
    assert f"{namespace}/nowhere" in missing.stderr
    assert len(missing.stderr.splitlines()) == 1


def test_a_selector_that_cannot_be_read_is_refused_with_what_is_expected(
    reactorsync: Command,
) -> None:
    refused = reactorsync("get", "rx", "-l", "site in bruce")
    assert refused.exit_code == 1
    assert "key in (a,b)" in refused.stderr


def test_an_unknown_kind_is_refused_with_those_there_are(reactorsync: Command) -> None:
    refused = reactorsync("get", "pods")
    assert refused.exit_code == 1
    assert "reactors (rx) or scenarios (anom)" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("get",),
        ("get", "rx", "unit-1", "-l", "site=bruce"),
        ("get", "rx", "-o", "xml"),
        ("delete",),
        ("delete", "rx"),
        ("telemetry", "unit-1", "--since", "soon"),
        ("watch", "--count", "3"),
        ("no-such-command",),
    ],
)
def test_wrong_usage_is_exit_code_2(reactorsync: Command, arguments: tuple[str, ...]) -> None:
    assert reactorsync(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", "rx"),
        ("describe", "rx", "unit-1"),
        ("delete", "rx", "unit-1"),
        ("scenario", "run", "drill"),
        ("telemetry", "unit-1"),
        ("watch", "--plain"),
        ("watch", "unit-1", "--plain"),
        ("explain", "some-scenario"),
    ],
)
def test_a_server_out_of_reach_is_exit_code_3_with_what_to_do(
    offline: Command, arguments: tuple[str, ...]
) -> None:
    unreachable = offline(*arguments, "--server", "http://127.0.0.1:1")
    assert unreachable.exit_code == 3
    assert "no ReactorSync server answers at http://127.0.0.1:1" in unreachable.stderr
    assert "reactorsync up" in unreachable.stderr


@pytest.mark.parametrize("command", ["get", "describe", "delete"])
def test_a_name_with_a_namespace_before_it_is_told_how_to_write_that(
    offline: Command, command: str
) -> None:
    refused = offline(command, "rx", "other/b12")
    assert refused.exit_code == 1
    assert "'other/b12' is no name" in refused.stderr
    assert "b12 -n other" in refused.stderr


def test_a_suspended_reactor_shows_neither_power_nor_health(
    reactorsync: Command, reactor_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=reactor_yaml("unit-1", spec="  state: Suspended\n"))
    [_, row] = reactorsync("get", "rx", "-n", namespace).lines
    assert row.split()[:4] == ["unit-1", "Candu6", "-", "Suspended"]
