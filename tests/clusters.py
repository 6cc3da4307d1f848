"""Which Kubernetes cluster the tests may touch, and what they put into it.

Never one they were not given: either ``REACTORSYNC_TEST_KUBECONFIG`` names it, or they start an API
server of their own. The user's default kubeconfig is not looked at.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from reactorsync.kube import ApiError, Cluster, KubeClient, load_cluster
from tests.control_plane import ASSETS_VARIABLE, DEFAULT_ASSETS, Binaries, kubeconfig

KUBECONFIG_VARIABLE: Final = "REACTORSYNC_TEST_KUBECONFIG"
NAMESPACE_PREFIX: Final = "reactorsync-test-"
FIELD_MANAGER: Final = "reactorsync-tests"
NO_CLUSTER: Final = (
    f"no API server: {KUBECONFIG_VARIABLE} is not set, and etcd and kube-apiserver are neither in "
    f"{ASSETS_VARIABLE} ({DEFAULT_ASSETS}) nor on PATH"
)

CUSTOM_RESOURCES: Final = "/apis/reactorsync.dev/v1alpha1"
_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ROOT: Final = Path(__file__).parent.parent
_ESTABLISHED_SECONDS: Final = 20

JsonObject = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class TestCluster:
    """A cluster that tests may use. ``owned`` says that it ends with the tests."""

    __test__ = False

    kubeconfig: Path
    description: str
    owned: bool

    @property
    def cluster(self) -> Cluster:
        """Where it is and how to authenticate, as a cluster administrator."""
        return load_cluster(self.kubeconfig)


def given_cluster() -> TestCluster | None:
    """Return the cluster that the environment names, if it names one."""
    path = os.environ.get(KUBECONFIG_VARIABLE)
    if not path:
        return None
    kubeconfig = Path(path)
    server = load_cluster(kubeconfig).server
    return TestCluster(kubeconfig=kubeconfig, description=f"{server}, as given", owned=False)


def own_cluster(kubeconfig: Path, binaries: Binaries) -> TestCluster:
    """Return the cluster of a control plane that the tests have started."""
    description = f"{binaries.version} from binaries"
    return TestCluster(kubeconfig=kubeconfig, description=description, owned=True)


def custom_resource_definitions() -> list[JsonObject]:
    """Return the repository's definitions."""
    return [yaml.safe_load(path.read_text()) for path in sorted((_ROOT / "crds").glob("*.yaml"))]


async def install_definitions(cluster: TestCluster) -> None:
    """Put the custom resources into the cluster and wait until it serves them.

    In a cluster that was given, definitions that are already there have to be the same ones: others
    may live by them, so nothing is replaced. Raises ``AssertionError`` when they differ.
    """
    async with connected(cluster.cluster) as kube:
        for definition in custom_resource_definitions():
            path = f"{_DEFINITIONS}/{definition['metadata']['name']}"
            there = None if cluster.owned else await _found(kube, path)
            if there is None:
                await kube.apply(path, definition)
            else:
                assert _agrees(definition["spec"], there["spec"]), (
                    f"{cluster.description} has another {definition['metadata']['name']}: "
                    "apply crds/ yourself or use another cluster"
                )
            async with asyncio.timeout(_ESTABLISHED_SECONDS):
                while not _is_established(await kube.get(path)):
                    await asyncio.sleep(0.05)


@asynccontextmanager
async def connected(cluster: Cluster) -> AsyncIterator[KubeClient]:
    """A client that is closed at the end."""
    kube = KubeClient(cluster, field_manager=FIELD_MANAGER)
    try:
        yield kube
    finally:
        await kube.close()


@asynccontextmanager
async def fresh_namespace(kube: KubeClient) -> AsyncIterator[str]:
    """A namespace of one test, deleted with all it holds."""
    name = f"{NAMESPACE_PREFIX}{secrets.token_hex(4)}"
    manifest: JsonObject = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name},
    }
    await kube.post("/api/v1/namespaces", manifest)
    try:
        yield name
    finally:
        # Where no controller empties a namespace that is deleted, its objects would stay for ever.
        for plural in ("anomalyscenarios", "reactors"):
            await kube.delete(f"{CUSTOM_RESOURCES}/namespaces/{name}/{plural}")
        await kube.delete(f"/api/v1/namespaces/{name}")


async def service_account_kubeconfig(
    kube: KubeClient, namespace: str, account: str
) -> dict[str, object]:
    """Return a kubeconfig for a service account that exists, valid for an hour."""
    request: JsonObject = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 3600},
    }
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    answer: JsonObject = await kube.post(path, request)
    cluster: dict[str, object] = {"server": kube.cluster.server}
    if kube.cluster.certificate_authority is not None:
        authority = base64.b64encode(kube.cluster.certificate_authority.encode()).decode()
        cluster["certificate-authority-data"] = authority
    elif kube.cluster.is_insecure:
        cluster["insecure-skip-tls-verify"] = True
    return kubeconfig(cluster, token=answer["status"]["token"])


async def _found(kube: KubeClient, path: str) -> JsonObject | None:
    try:
        return dict(await kube.get(path))
    except ApiError as error:
        if error.code != 404:
            raise
        return None


def _agrees(wanted: object, there: object) -> bool:
    """Return whether all of ``wanted`` is in ``there``, which may have defaults beside it."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(
            key in there and _agrees(value, there[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(there, list)
            and len(wanted) == len(there)
            and all(_agrees(one, other) for one, other in zip(wanted, there, strict=True))
        )
    return wanted == there


def _is_established(definition: JsonObject) -> bool:
    conditions = definition.get("status", {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
