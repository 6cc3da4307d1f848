"""The operator with no more rights than `operator/deploy` grants it."""

from pathlib import Path
from typing import Final

import pytest
import yaml

from reactorsync.kube import KubeClient
from tests.cluster.conftest import OwnCluster
from tests.cluster_installation import ClusterInstallation
from tests.clusters import JsonObject, service_account_kubeconfig
from tests.part_process import until

DEPLOY: Final = Path(__file__).parents[2] / "operator" / "deploy" / "base"
SYSTEM: Final = "reactorsync-system"
ACCOUNT: Final = f"system:serviceaccount:{SYSTEM}:reactorsync-operator"
_RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
PATHS: Final = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": f"/api/v1/namespaces/{SYSTEM}/serviceaccounts",
    "ClusterRole": f"{_RBAC}/clusterroles",
    "ClusterRoleBinding": f"{_RBAC}/clusterrolebindings",
    "Role": f"{_RBAC}/namespaces/{SYSTEM}/roles",
    "RoleBinding": f"{_RBAC}/namespaces/{SYSTEM}/rolebindings",
    "StatefulSet": f"/apis/apps/v1/namespaces/{SYSTEM}/statefulsets",
}

GENERATORS: Final[JsonObject] = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "reactorsync-generator", "namespace": SYSTEM},
    "spec": {
        "replicas": 0,
        "serviceName": "reactorsync-generator",
        "selector": {"matchLabels": {"app": "generator"}},
        "template": {
            "metadata": {"labels": {"app": "generator"}},
            "spec": {"containers": [{"name": "generator", "image": "generator"}]},
        },
    },
}


@pytest.fixture
async def granted(own_kube: KubeClient, tmp_path: Path) -> Path:
    """A kubeconfig of the service account, bound to the roles that are shipped."""
    for name in ("namespace", "service_account", "cluster_role", "role"):
        for manifest in yaml.safe_load_all((DEPLOY / f"{name}.yaml").read_text()):
            await own_kube.apply(
                f"{PATHS[manifest['kind']]}/{manifest['metadata']['name']}", manifest
            )
    await own_kube.apply(f"{PATHS['StatefulSet']}/reactorsync-generator", GENERATORS)
    path = tmp_path / "service-account.kubeconfig"
    document = await service_account_kubeconfig(own_kube, SYSTEM, "reactorsync-operator")
    path.write_text(yaml.safe_dump(document))
    return path


async def test_it_does_all_its_work_with_the_shipped_rights(
    own_cluster: OwnCluster, own_installation: ClusterInstallation, granted: Path
) -> None:
    installation = own_installation
    operator = installation.operator(
        kubeconfig=granted,
        namespaces="",
        lease_namespace=SYSTEM,
        generator_workload="statefulset/reactorsync-generator",
    )
    await installation.apply("Reactor", "unit-1", {"design": "Candu6"})
    await installation.until_it_says("Reactor", "unit-1", "Ready", seconds=40)
    leak = {"name": "leak", "fault": "PrimaryLeak", "durationSeconds": 2}
    spec: JsonObject = {
        "targets": {"selector": {}},
        "stages": [leak],
        "ttlSecondsAfterFinished": 0,
    }
    # Without a historian the verdict is final a minute after the end.
    await installation.apply("AnomalyScenario", "leak", spec)

    await until(lambda: installation.is_gone("AnomalyScenario", "leak"), seconds=90)

    async def generators_are_asked_for() -> bool:
        found: JsonObject = await installation.kube.get(
            f"{PATHS['StatefulSet']}/reactorsync-generator"
        )
        return bool(found["spec"]["replicas"] == 1)

    await until(generators_are_asked_for)
    entries = [entry for entry in own_cluster.plane.audit() if entry.user == ACCOUNT]
    assert {entry.resource for entry in entries} >= {
        "anomalyscenarios",
        "anomalyscenarios/status",
        "events",
        "leases",
        "reactors",
        "reactors/status",
        "statefulsets/scale",
    }
    assert [entry for entry in entries if entry.code == 403] == []
    assert "orbidden" not in operator.log
