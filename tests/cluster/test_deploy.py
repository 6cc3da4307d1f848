"""The manifests of ``operator/deploy``: a real API server takes what kustomize makes of them."""

import shutil
import subprocess
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from reactorsync.kube import Cluster
from reactorsync_operator.settings import OperatorSettings
from tests.cluster.asking import Asker, Json, asking, place_of

DEPLOY = Path(__file__).parents[2] / "operator" / "deploy"
FOLDERS = (".", "base", "namespaced", "namespaced/existence", "people", "policies")
KUBECTL = shutil.which("kubectl") or ""

needs_kubectl = pytest.mark.skipif(not KUBECTL, reason="kubectl is not there to run kustomize")


@cache
def built(folder: str) -> str:
    return subprocess.run(
        [KUBECTL, "kustomize", str(DEPLOY / folder)], capture_output=True, text=True, check=True
    ).stdout


def documents(folder: str) -> list[Json]:
    return list(yaml.safe_load_all(built(folder)))


def deployment() -> Json:
    return yaml.safe_load((DEPLOY / "base" / "deployment.yaml").read_text())


def container(pod: Json) -> Json:
    return pod["spec"]["template"]["spec"]["containers"][0]


def environment(document: Json) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in container(document)["env"]}


@pytest.fixture
async def admin(kube_cluster: Cluster) -> AsyncIterator[Asker]:
    async with asking(kube_cluster) as asker:
        yield asker


async def restricted(admin: Asker, namespace: str) -> None:
    """Make the server warn of pods that are not as the restricted standard wants them."""
    labels = {"pod-security.kubernetes.io/warn": "restricted"}
    await admin.ask(
        "PATCH",
        f"/api/v1/namespaces/{namespace}",
        {"metadata": {"labels": labels}},
        content_type="application/merge-patch+json",
    )


@needs_kubectl
@pytest.mark.parametrize("folder", FOLDERS)
async def test_all_of_it_is_taken_without_warnings(
    folder: str, admin: Asker, kube_namespace: str
) -> None:
    await restricted(admin, kube_namespace)

    for document in documents(folder):
        text = yaml.safe_dump(document)
        for namespace in ("reactorsync-system", "default"):
            text = text.replace(f"namespace: {namespace}\n", f"namespace: {kube_namespace}\n")
        adapted = yaml.safe_load(text)
        answer = await admin.apply(
            place_of(adapted),
            adapted,
            manager="reactorsync-tests",
            dryRun="All",
            force="true",
            fieldValidation="Strict",
        )
        assert answer.code in (200, 201), answer.message
        assert answer.warnings == []


async def test_the_server_would_warn_of_a_pod_with_more_rights(
    admin: Asker, kube_namespace: str
) -> None:
    """So that no warning means something."""
    await restricted(admin, kube_namespace)
    document = deployment()
    document["metadata"]["namespace"] = kube_namespace
    del container(document)["securityContext"]["capabilities"]

    answer = await admin.apply(
        place_of(document), document, manager="reactorsync-tests", dryRun="All"
    )

    assert any("unrestricted capabilities" in warning for warning in answer.warnings)


@needs_kubectl
def test_in_named_namespaces_there_is_no_right_in_all() -> None:
    kinds = {document["kind"] for document in documents("namespaced")}

    assert kinds.isdisjoint({"ClusterRole", "ClusterRoleBinding"})


@needs_kubectl
def test_that_namespaces_exist_may_be_asked_of_those_that_are_served_alone() -> None:
    (rule,) = next(
        doc["rules"] for doc in documents("namespaced/existence") if doc["kind"] == "ClusterRole"
    )
    operator = next(doc for doc in documents("namespaced") if doc["kind"] == "Deployment")

    assert (rule["resources"], rule["verbs"]) == (["namespaces"], ["get"])
    assert ",".join(rule["resourceNames"]) == environment(operator)["REACTORSYNC_NAMESPACES"]


@needs_kubectl
def test_in_named_namespaces_the_operator_serves_those_it_has_rights_in() -> None:
    bound = {
        document["metadata"]["namespace"]
        for document in documents("namespaced")
        if document["kind"] == "RoleBinding"
        and document["roleRef"]["name"] == "reactorsync-operator-access"
    }
    operator = next(doc for doc in documents("namespaced") if doc["kind"] == "Deployment")

    assert {environment(operator)["REACTORSYNC_NAMESPACES"]} == bound == {"default"}
    assert "REACTORSYNC_KAFKA_BOOTSTRAP" in environment(operator)


@needs_kubectl
@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_made_is_the_same_each_time(folder: str) -> None:
    first = built(folder)
    built.cache_clear()

    assert built(folder) == first


# The pod


def test_every_variable_is_a_setting_of_the_operator() -> None:
    known = {f"REACTORSYNC_{name.upper()}" for name in OperatorSettings.model_fields}

    assert environment(deployment()).keys() <= known


def test_the_operator_starts_with_these_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(deployment()).items():
        monkeypatch.setenv(name, value)

    settings = OperatorSettings()

    assert settings.control_plane == "kubernetes"
    assert settings.kafka_session_timeout_ms == 6000
    assert settings.served_namespaces is None


def test_the_roles_name_what_the_settings_name() -> None:
    role = next(yaml.safe_load_all((DEPLOY / "base" / "role.yaml").read_text()))
    lease, _, scale = role["rules"]
    workload = environment(deployment())["REACTORSYNC_GENERATOR_WORKLOAD"]

    assert lease["resourceNames"] == [OperatorSettings.model_fields["lease_name"].default]
    assert workload == f"statefulset/{scale['resourceNames'][0]}"


def test_the_pod_is_watched_and_bounded() -> None:
    operator = container(deployment())

    assert operator["resources"]["limits"] == {"memory": "512Mi"}
    assert operator["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    assert operator["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert operator["ports"][0]["containerPort"] == int(
        environment(deployment())["REACTORSYNC_METRICS_PORT"]
    )
    assert operator["securityContext"]["readOnlyRootFilesystem"] is True
