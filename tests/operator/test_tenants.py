"""An operator of named namespaces when one of them is deleted, with no more rights than shipped."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from reactorsync.kube import ApiError, Cluster, JsonObject, KubeClient, load_cluster
from reactorsync.store.kubernetes import KubernetesStore
from reactorsync_operator.settings import OperatorSettings
from tests.clusters import NAMESPACE_PREFIX, service_account_kubeconfig
from tests.operator.plant import Plants
from tests.operator.test_on_kubernetes import kube_settings, operating, plants, reactor, until

__all__ = ["kube_settings", "plants"]

DEPLOY: Final = Path(__file__).parents[2] / "operator" / "deploy"
ACCOUNT: Final = "reactorsync-operator"
RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"


@dataclass(frozen=True)
class Tenant:
    """A namespace beside the operator's own, and what the operator may do there."""

    kube: KubeClient
    home: str
    name: str
    operator: Cluster

    async def grant(self, place: str, file: str, **changes: Any) -> None:
        """Give the operator's account what a shipped manifest gives, under other names."""
        for document in yaml.safe_load_all((DEPLOY / file).read_text()):
            document["metadata"] = {"name": self.home}
            for subject in document.get("subjects", ()):
                subject["namespace"] = self.home
            if "roleRef" in document:
                document["roleRef"]["name"] = self.home
            else:
                document["rules"][0].update(changes)
            await self.kube.apply(
                f"{place}/{document['kind'].lower()}s/{document['metadata']['name']}", document
            )

    async def delete(self) -> None:
        """Delete it with all it holds, as the controllers of a whole cluster do."""
        inside = f"{RBAC}/namespaces/{self.name}"
        for collection in (
            f"{inside}/rolebindings",
            f"{inside}/roles",
            f"/apis/reactorsync.dev/v1alpha1/namespaces/{self.name}/reactors",
        ):
            await self.kube.delete(collection)
        path = f"/api/v1/namespaces/{self.name}"
        with suppress(ApiError):
            await self.kube.delete(path)
            left: JsonObject = {**await self.kube.get(path), "spec": {"finalizers": []}}
            await self.kube.put(f"{path}/finalize", left)


@pytest.fixture
async def tenant(kube: KubeClient, kube_namespace: str, tmp_path: Path) -> AsyncIterator[Tenant]:
    name = f"{NAMESPACE_PREFIX}{secrets.token_hex(4)}"
    metadata: JsonObject = {"name": name}
    await kube.post("/api/v1/namespaces", {"metadata": metadata})
    account: JsonObject = {"metadata": {"name": ACCOUNT}}
    await kube.post(f"/api/v1/namespaces/{kube_namespace}/serviceaccounts", account)
    kubeconfig = tmp_path / "operator.kubeconfig"
    document = await service_account_kubeconfig(kube, kube_namespace, ACCOUNT)
    kubeconfig.write_text(yaml.safe_dump(document))
    tenant = Tenant(kube, kube_namespace, name, load_cluster(kubeconfig))
    for namespace in (kube_namespace, name):
        await tenant.grant(f"{RBAC}/namespaces/{namespace}", "namespaced/access/role.yaml")
    lease: JsonObject = {
        "metadata": {"name": "lease"},
        "rules": [
            {
                "apiGroups": ["coordination.k8s.io"],
                "resources": ["leases"],
                "verbs": ["get", "create", "update"],
            }
        ],
    }
    bound: JsonObject = {
        "metadata": {"name": "lease"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lease"},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": kube_namespace}],
    }
    await kube.post(f"{RBAC}/namespaces/{kube_namespace}/roles", lease)
    await kube.post(f"{RBAC}/namespaces/{kube_namespace}/rolebindings", bound)
    try:
        yield tenant
    finally:
        await tenant.delete()
        for plural in ("clusterrolebindings", "clusterroles"):
            with suppress(ApiError):
                await kube.delete(f"{RBAC}/{plural}/{kube_namespace}")


async def test_reactors_of_a_namespace_that_was_deleted_meanwhile_end_once_that_is_certain(
    tenant: Tenant, kube: KubeClient, kube_settings: OperatorSettings, plants: Plants
) -> None:
    home, away = f"{tenant.home}/bruce-1", f"{tenant.name}/pickering-1"
    settings = kube_settings.model_copy(
        update={"namespaces": (tenant.home, tenant.name), "sweep_seconds": 2.0}
    )
    store = KubernetesStore(kube, namespaces=[tenant.home, tenant.name])
    await store.create(reactor(tenant.home, "bruce-1"))
    await store.create(reactor(tenant.name, "pickering-1"))
    async with operating(settings, tenant.operator) as operator:
        await until(lambda: operator.idle and set(plants.desired) == {home, away})
    await tenant.delete()

    async with operating(settings, tenant.operator) as operator:
        await until(lambda: operator.idle)
        await asyncio.sleep(2 * settings.sweep_seconds)
        assert set(plants.desired) == {home, away}, "it may only be closed to this operator"

        await tenant.grant(
            RBAC, "namespaced/existence/cluster_role.yaml", resourceNames=[tenant.name]
        )

        await until(lambda: set(plants.desired) == {home})
        await until(lambda: operator.idle)


async def test_reactors_of_a_namespace_that_is_deleted_before_our_eyes_end_without_that_right(
    tenant: Tenant, kube: KubeClient, kube_settings: OperatorSettings, plants: Plants
) -> None:
    home, away = f"{tenant.home}/bruce-1", f"{tenant.name}/pickering-1"
    settings = kube_settings.model_copy(update={"namespaces": (tenant.home, tenant.name)})
    store = KubernetesStore(kube, namespaces=[tenant.home, tenant.name])
    await store.create(reactor(tenant.home, "bruce-1"))
    await store.create(reactor(tenant.name, "pickering-1"))
    async with operating(settings, tenant.operator) as operator:
        await until(lambda: operator.idle and set(plants.desired) == {home, away})
        await tenant.delete()
        await until(lambda: set(plants.desired) == {home})
