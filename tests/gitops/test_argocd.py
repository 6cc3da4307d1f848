"""What Argo CD shows of ReactorSync's resources and offers to do with them.

The tables (``health_test.yaml``, ``action_test.yaml``) are those that Argo CD's own tests read.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from reactorsync.resources import AnomalyScenario, Kind, Model, Reactor
from tests.gitops.lua import JsonObject, run_lua

ARGOCD = Path(__file__).parents[2] / "gitops" / "argocd"
GROUP = ARGOCD / "resource_customizations" / "reactorsync.dev"
MODELS: dict[Kind, type[Model]] = {Kind.REACTOR: Reactor, Kind.ANOMALY_SCENARIO: AnomalyScenario}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def health_cases() -> list[Any]:
    return list(_health_cases())


def _health_cases() -> Iterator[Any]:
    for table in sorted(GROUP.glob("*/health_test.yaml")):
        for case in load(table)["tests"]:
            name = f"{table.parent.name}-{Path(case['inputPath']).stem}"
            yield pytest.param(table.parent, case, id=name)


def action_cases(section: str) -> list[Any]:
    return list(_action_cases(section))


def _action_cases(section: str) -> Iterator[Any]:
    for table in sorted(GROUP.glob("*/actions/action_test.yaml")):
        for case in load(table)[section]:
            kind = table.parent.parent.name
            name = f"{kind}-{case.get('action', 'discovery')}-{Path(case['inputPath']).stem}"
            yield pytest.param(table.parent, case, id=name)


@pytest.mark.parametrize(("folder", "case"), health_cases())
def test_health(folder: Path, case: JsonObject) -> None:
    obj = load(folder / case["inputPath"])
    assert run_lua((folder / "health.lua").read_text(), obj) == case["healthStatus"]


@pytest.mark.parametrize(("folder", "case"), action_cases("discoveryTests"))
def test_actions_offered(folder: Path, case: JsonObject) -> None:
    obj = load(folder / case["inputPath"])
    offered = run_lua((folder / "discovery.lua").read_text(), obj)
    assert offered == {one["name"]: {"disabled": one["disabled"]} for one in case["result"]}


@pytest.mark.parametrize(("folder", "case"), action_cases("actionTests"))
def test_actions(folder: Path, case: JsonObject) -> None:
    obj = load(folder / case["inputPath"])
    script = (folder / case["action"] / "action.lua").read_text()
    assert run_lua(script, obj) == load(folder / case["expectedOutputPath"])


@pytest.mark.parametrize(
    "path", sorted(GROUP.rglob("testdata/*.yaml")), ids=lambda p: str(p.relative_to(GROUP))
)
def test_the_examples_are_resources_as_an_api_server_returns_them(path: Path) -> None:
    document = load(path)
    MODELS[Kind(document["kind"])].model_validate(document)


@pytest.mark.parametrize("kind", [kind.value for kind in Kind])
def test_every_action_is_offered_and_tested(kind: str) -> None:
    actions = GROUP / kind / "actions"
    table = load(actions / "action_test.yaml")
    scripts = {path.parent.name for path in actions.glob("*/action.lua")}

    assert {case["action"] for case in table["actionTests"]} == scripts
    for case in table["discoveryTests"]:
        assert {one["name"] for one in case["result"]} == scripts


@pytest.mark.parametrize("kind", [kind.value for kind in Kind])
def test_every_example_is_in_a_table(kind: str) -> None:
    for folder, table in (
        (GROUP / kind, GROUP / kind / "health_test.yaml"),
        (GROUP / kind / "actions", GROUP / kind / "actions" / "action_test.yaml"),
    ):
        text = table.read_text()
        examples = [path.name for path in (folder / "testdata").iterdir()]
        assert [name for name in examples if f"testdata/{name}" not in text] == []


class TestConfigMap:
    """For those who cannot build Argo CD with the folder in it."""

    @pytest.fixture
    def module(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location("argocd_cm", ARGOCD / "argocd_cm.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def test_it_is_made_from_the_folder(self, module: ModuleType) -> None:
        assert (ARGOCD / "argocd-cm.yaml").read_text(encoding="utf-8") == module.to_yaml()

    @pytest.mark.parametrize("kind", [kind.value for kind in Kind])
    def test_it_holds_the_scripts_under_the_keys_argo_cd_reads(self, kind: str) -> None:
        data = load(ARGOCD / "argocd-cm.yaml")["data"]
        health = data[f"resource.customizations.health.reactorsync.dev_{kind}"]
        actions = yaml.safe_load(data[f"resource.customizations.actions.reactorsync.dev_{kind}"])

        assert health == (GROUP / kind / "health.lua").read_text()
        assert actions["discovery.lua"] == (GROUP / kind / "actions/discovery.lua").read_text()
        assert {one["name"]: one["action.lua"] for one in actions["definitions"]} == {
            path.parent.name: path.read_text() for path in (GROUP / kind).glob("actions/*/*.lua")
        }
