"""Two operators, one of which may write: what happens when that one dies, leaves or freezes."""

import asyncio
import signal
import time
from pathlib import Path

import pytest
import yaml

from reactorsync.kube import KubeClient
from tests.cluster.conftest import OwnCluster
from tests.cluster_installation import ClusterInstallation
from tests.clusters import JsonObject, service_account_kubeconfig
from tests.control_plane import AuditEntry
from tests.part_process import PartProcess, until

CANDU: JsonObject = {"design": "Candu6"}
LEASE_SECONDS = 15
MARGIN_SECONDS = 4


async def administrator(kube: KubeClient, namespace: str, name: str) -> JsonObject:
    """Make a service account that may do everything; return its kubeconfig."""
    account: JsonObject = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name},
    }
    await kube.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
    binding: JsonObject = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"{namespace}-{name}"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    await kube.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    return await service_account_kubeconfig(kube, namespace, name)


class Pair:
    """Two operators with accounts of their own, so that the record tells them apart."""

    def __init__(self, cluster: OwnCluster, installation: ClusterInstallation, folder: Path):
        self.installation = installation
        self._cluster = cluster
        self._folder = folder
        self.first: PartProcess
        self.second: PartProcess

    async def start(self) -> None:
        self.first = await self._operator("first")
        await self.led_by("first", seconds=30)
        self.second = await self._operator("second")
        await self.installation.apply("Reactor", "unit-1", CANDU)
        await self.installation.until_it_says("Reactor", "unit-1", "Ready", seconds=40)
        await self.second.ready(seconds=40)

    async def _operator(self, name: str) -> PartProcess:
        installation = self.installation
        document = await administrator(installation.kube, installation.namespace, name)
        path = self._folder / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(document))
        return installation.operator(kubeconfig=path, identity=name)

    async def led_by(self, name: str, *, seconds: float) -> float:
        """Wait until ``name`` leads; return how long that took."""
        began = time.monotonic()

        async def leads() -> bool:
            return name in await self.installation.leader()

        await until(leads, seconds=seconds, what=f"{name} leads")
        return time.monotonic() - began

    async def works(self, unit: str) -> None:
        """See whether somebody reconciles."""
        await self.installation.apply("Reactor", unit, CANDU)
        await self.installation.until_it_says("Reactor", unit, "Ready")

    def writes(self, name: str) -> list[AuditEntry]:
        """What one of them wrote, but for the lease."""
        user = f"system:serviceaccount:{self.installation.namespace}:{name}"
        return [
            entry
            for entry in self._cluster.plane.audit()
            if entry.user == user
            and entry.verb not in ("get", "list", "watch")
            and entry.resource != "leases"
            and entry.code < 400
        ]

    def assert_never_two_writers(self) -> None:
        first, second = self.writes("first"), self.writes("second")
        assert first
        assert second
        assert max(entry.at for entry in first) < min(entry.at for entry in second)


@pytest.fixture
async def pair(
    own_cluster: OwnCluster, own_installation: ClusterInstallation, tmp_path: Path
) -> Pair:
    """The first leads, the second waits."""
    pair = Pair(own_cluster, own_installation, tmp_path)
    await pair.start()
    return pair


async def test_the_one_that_waits_writes_nothing(pair: Pair) -> None:
    await pair.works("unit-2")

    assert pair.writes("first")
    assert pair.writes("second") == []


async def test_a_killed_leader_is_replaced_within_the_lease(pair: Pair) -> None:
    pair.first.kill()

    seconds = await pair.led_by("second", seconds=LEASE_SECONDS + MARGIN_SECONDS)
    await pair.works("unit-2")

    assert seconds <= LEASE_SECONDS + MARGIN_SECONDS
    pair.assert_never_two_writers()


async def test_a_leader_that_leaves_in_good_order_is_replaced_sooner(pair: Pair) -> None:
    pair.first.signal(signal.SIGTERM)

    seconds = await pair.led_by("second", seconds=LEASE_SECONDS)
    await pair.works("unit-2")

    assert seconds < LEASE_SECONDS / 2
    assert await pair.first.ended() == 0
    pair.assert_never_two_writers()


async def test_a_leader_that_was_frozen_writes_no_more(pair: Pair) -> None:
    pair.first.signal(signal.SIGSTOP)
    await pair.led_by("second", seconds=LEASE_SECONDS + MARGIN_SECONDS)
    await pair.works("unit-2")

    pair.first.signal(signal.SIGCONT)
    # Something for it to write, if it thought it might.
    await pair.installation.apply("Reactor", "unit-1", {**CANDU, "powerSetpointPermille": 900})
    await pair.installation.until_it_says("Reactor", "unit-1", "Ready")
    await asyncio.sleep(3)

    assert "second" in await pair.installation.leader()
    pair.assert_never_two_writers()
