import yaml

from tests.local.commands.conftest import Command, Manifest


def state_of(reactorsync: Command, namespace: str, name: str) -> dict[str, str]:
    found = reactorsync("get", "anom", name, "-n", namespace, "-o", "yaml")
    spec = yaml.safe_load(found.stdout)["spec"]
    return {"state": spec["state"], "token": spec.get("runToken", "")}


def test_a_scenario_is_aborted_and_run_again(
    reactorsync: Command, scenario_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=scenario_yaml("drill"))
    aborted = reactorsync("scenario", "abort", "drill", "-n", namespace)
    assert aborted.lines == ["anomalyscenario.reactorsync.dev/drill aborted"]
    assert state_of(reactorsync, namespace, "drill") == {"state": "Aborted", "token": ""}
    started = reactorsync("scenario", "run", "drill", "-n", namespace)
    assert started.lines == ["anomalyscenario.reactorsync.dev/drill run started"]
    after = state_of(reactorsync, namespace, "drill")
    assert after["state"] == "Active"
    assert after["token"]


def test_a_dry_run_is_said_to_inject_nothing(
    reactorsync: Command, scenario_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=scenario_yaml("drill", spec="  mode: DryRun\n"))
    started = reactorsync("scenario", "run", "drill", "-n", namespace)
    assert "nothing is injected" in started.stderr


def test_scenarios_are_listed_of_all_namespaces_or_one(
    reactorsync: Command, scenario_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=scenario_yaml("drill"))
    everywhere = reactorsync("scenario", "list")
    assert any(line.split()[:2] == [namespace, "drill"] for line in everywhere.lines)
    here = reactorsync("scenario", "list", "-n", namespace)
    assert [line.split()[0] for line in here.lines] == ["NAME", "drill"]


def test_a_scenario_that_is_not_there_cannot_be_run(reactorsync: Command, namespace: str) -> None:
    for action in ("run", "abort"):
        refused = reactorsync("scenario", action, "nothing", "-n", namespace)
        assert refused.exit_code == 1
        assert "nothing" in refused.stderr
