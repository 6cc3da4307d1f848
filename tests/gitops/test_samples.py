"""The samples: taken by a real API server under its policies, built by kustomize, fit for git."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from reactorsync.kube import KubeClient
from reactorsync.resources import AnomalyScenario, Kind, Reactor

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
MANIFESTS = sorted(path for path in SAMPLES.rglob("*.yaml"))
PLURALS = {Kind.REACTOR: "reactors", Kind.ANOMALY_SCENARIO: "anomalyscenarios"}

JsonObject = dict[str, Any]

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl")


def documents(path: Path) -> list[JsonObject]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def scenarios() -> list[tuple[Path, AnomalyScenario]]:
    return [
        (path, AnomalyScenario.model_validate(document))
        for path in MANIFESTS
        for document in documents(path)
        if document["kind"] == Kind.ANOMALY_SCENARIO
    ]


def limits() -> dict[str, int]:
    """The limits of the policy on severe stages, which are the first of its variables."""
    path = ROOT / "operator" / "deploy" / "policies" / "severe_needs_duration.yaml"
    variables = {one["name"]: one["expression"] for one in documents(path)[0]["spec"]["variables"]}
    return {name: int(variables[name]) for name in ("severeFrom", "longest")}


def kustomized(folder: str) -> list[JsonObject]:
    built = subprocess.run(
        [shutil.which("kubectl") or "kubectl", "kustomize", str(SAMPLES / folder)],
        check=True,
        capture_output=True,
        text=True,
    )
    return list(yaml.safe_load_all(built.stdout))


async def test_a_real_api_server_takes_every_sample(kube: KubeClient, kube_namespace: str) -> None:
    for path in MANIFESTS:
        for document in documents(path):
            plural = PLURALS[Kind(document["kind"])]
            document["metadata"]["namespace"] = kube_namespace
            created: Any = await kube.post(
                f"/apis/reactorsync.dev/v1alpha1/namespaces/{kube_namespace}/{plural}", document
            )
            assert created["metadata"]["name"] == document["metadata"]["name"]


@pytest.mark.parametrize(
    ("path", "scenario"), scenarios(), ids=lambda value: getattr(value, "stem", "")
)
def test_severe_stages_are_short_as_the_policy_wants_it(
    path: Path, scenario: AnomalyScenario
) -> None:
    most, severe = limits()["longest"], limits()["severeFrom"]
    assert [
        stage.name
        for stage in scenario.spec.stages
        if stage.severity_percent >= severe
        and (stage.duration_seconds > most or "duration_seconds" not in stage.model_fields_set)
    ] == []


def test_samples_show_what_a_scenario_can_do() -> None:
    specs = [scenario.spec for _, scenario in scenarios()]
    phases = {probe.phase for spec in specs for probe in spec.probes}

    assert phases == {"Before", "During", "After"}
    assert any(spec.abort_when for spec in specs)
    assert any(spec.suspend_policy == "HoldClock" for spec in specs)
    assert any(spec.guard_override for spec in specs)
    assert any(spec.ttl_seconds_after_finished is not None for spec in specs)
    assert {spec.schedule.time_zone for spec in specs if spec.schedule} - {"UTC"}


def test_scenarios_name_reactors_of_the_sample_fleet() -> None:
    fleet = {
        document["metadata"]["name"]
        for path in (SAMPLES / "fleet").glob("*.yaml")
        for document in documents(path)
    }
    for path, scenario in scenarios():
        assert set(scenario.spec.targets.names or ()) <= fleet, path


@needs_kubectl
class TestKustomize:
    def test_the_base_is_the_fleet_with_all_scenarios_but_those_that_delete_themselves(
        self,
    ) -> None:
        built = kustomized("kustomize/base")
        assert {one["kind"] for one in built} == {"Reactor", "AnomalyScenario"}
        lasting = {
            scenario.metadata.name
            for path, scenario in scenarios()
            if path.parent.name == "scenarios" and scenario.spec.ttl_seconds_after_finished is None
        }
        assert {one["metadata"]["name"] for one in built if one["kind"] != "Reactor"} == lasting

    def test_staging_renames_reactors_also_where_scenarios_name_them(self) -> None:
        built = kustomized("kustomize/staging")
        reactors = {one["metadata"]["name"] for one in built if one["kind"] == "Reactor"}
        assert all(name.startswith("staging-") for name in reactors)
        for one in built:
            if one["kind"] == "AnomalyScenario":
                assert set(one["spec"]["targets"].get("names", ())) <= reactors
                assert one["spec"]["environment"] == "staging"

    @pytest.mark.parametrize("folder", ["base", "staging", "production"])
    def test_what_is_built_is_valid(self, folder: str) -> None:
        for one in kustomized(f"kustomize/{folder}"):
            if one["kind"] != "Namespace":
                model = Reactor if one["kind"] == "Reactor" else AnomalyScenario
                model.model_validate(one)

    @pytest.mark.parametrize("folder", ["staging", "production"])
    def test_the_namespace_comes_first_and_pruning_leaves_it(self, folder: str) -> None:
        first, *others = kustomized(f"kustomize/{folder}")
        assert first["kind"] == "Namespace"
        assert {one["metadata"]["namespace"] for one in others} == {first["metadata"]["name"]}
        annotations = first["metadata"]["annotations"]
        assert annotations["argocd.argoproj.io/sync-options"] == "Prune=false"
        assert annotations["kustomize.toolkit.fluxcd.io/prune"] == "disabled"

    def test_it_can_be_built_from_what_git_ops_tools_are_pointed_at(self) -> None:
        flux = documents(ROOT / "gitops" / "flux" / "reactors.yaml")[0]
        argo = documents(ROOT / "gitops" / "argocd" / "application.yaml")[0]
        for path in (flux["spec"]["path"], argo["spec"]["source"]["path"]):
            assert (ROOT / path / "Kustomization").is_file()
