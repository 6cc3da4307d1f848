"""The API server of the tests: real, with the custom resources, and safe to use."""

from pathlib import Path

import pytest
import yaml

from reactorsync.kube import ApiError, ApiUnavailable, KubeClient, load_cluster
from tests.clusters import (
    CUSTOM_RESOURCES,
    KUBECONFIG_VARIABLE,
    NAMESPACE_PREFIX,
    JsonObject,
    connected,
    given_cluster,
    service_account_kubeconfig,
)
from tests.control_plane import ASSETS_VARIABLE, Binaries, ControlPlane

UNIT: JsonObject = {
    "apiVersion": "reactorsync.dev/v1alpha1",
    "kind": "Reactor",
    "metadata": {"name": "unit-1"},
    "spec": {"design": "Candu6"},
}


async def test_the_custom_resources_are_served(kube: KubeClient, kube_namespace: str) -> None:
    path = f"{CUSTOM_RESOURCES}/namespaces/{kube_namespace}/reactors"
    await kube.post(path, UNIT)

    listed: JsonObject = await kube.get(path)

    assert [item["metadata"]["name"] for item in listed["items"]] == ["unit-1"]


async def test_a_test_has_a_namespace_of_its_own(kube: KubeClient, kube_namespace: str) -> None:
    listed: JsonObject = await kube.get(f"{CUSTOM_RESOURCES}/namespaces/{kube_namespace}/reactors")

    assert kube_namespace.startswith(NAMESPACE_PREFIX)
    assert listed["items"] == []


async def test_a_service_account_may_do_nothing_that_nobody_granted(
    kube: KubeClient, kube_namespace: str, tmp_path: Path
) -> None:
    account: JsonObject = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "nobody"},
    }
    await kube.post(f"/api/v1/namespaces/{kube_namespace}/serviceaccounts", account)
    config = tmp_path / "kubeconfig"
    config.write_text(
        yaml.safe_dump(await service_account_kubeconfig(kube, kube_namespace, "nobody"))
    )

    async with connected(load_cluster(config)) as nobody:
        with pytest.raises(ApiError, match="Forbidden"):
            await nobody.get(f"{CUSTOM_RESOURCES}/namespaces/{kube_namespace}/reactors")


async def test_it_has_its_data_after_a_restart(binaries: Binaries, tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path, binaries)
    await plane.start()
    try:
        async with connected(load_cluster(plane.kubeconfig)) as kube:
            namespace: JsonObject = {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": "kept"},
            }
            await kube.post("/api/v1/namespaces", namespace)

            await plane.stop_api_server()
            with pytest.raises(ApiUnavailable):
                await kube.get("/api/v1/namespaces/kept")
            await plane.start_api_server()

            assert await kube.get("/api/v1/namespaces/kept")
    finally:
        await plane.stop()


def test_the_users_own_kubeconfig_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(KUBECONFIG_VARIABLE, raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "production"))

    assert given_cluster() is None


def test_without_binaries_there_is_no_control_plane(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(ASSETS_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    assert Binaries.find() is None
