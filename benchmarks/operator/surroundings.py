"""What a case runs in: an API server and a broker on this machine, and ReactorSync on them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from reactorsync.kube import KubeClient, load_cluster
from reactorsync_local.embedded import EmbeddedBroker
from reactorsync_local.supervisor import LogFile, SupervisedProcess, free_port
from tests.cluster_installation import ClusterInstallation
from tests.clusters import JsonObject, TestCluster, install_definitions
from tests.control_plane import Binaries, ControlPlane

CONNECTIONS = 16
"""Of the client that declares objects, so that it leaves the API server something to do for the
operator.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """An API server with the custom resources, a broker, and an administrator's client."""

    plane: ControlPlane
    bootstrap: str
    kube: KubeClient
    folder: Path

    @asynccontextmanager
    async def installation(
        self, name: str, *, shards: int = 8
    ) -> AsyncIterator[ClusterInstallation]:
        """A namespace with topics of its own; its processes are stopped at the end."""
        manifest: JsonObject = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name},
        }
        await self.kube.post("/api/v1/namespaces", manifest)
        folder = self.folder / name
        folder.mkdir()
        installation = ClusterInstallation(
            self.kube,
            namespace=name,
            kubeconfig=self.plane.kubeconfig,
            bootstrap=self.bootstrap,
            folder=folder,
            shards=shards,
        )
        await installation.make_topics()
        try:
            yield installation
        finally:
            await installation.stop()


@asynccontextmanager
async def surroundings() -> AsyncIterator[Surroundings]:
    """Start everything in a temporary folder, with nothing in it; stop it at the end.

    Raises ``SystemExit`` where this machine has no API server to start.
    """
    binaries = Binaries.find()
    if binaries is None:
        raise SystemExit("needs etcd and kube-apiserver: set KUBEBUILDER_ASSETS to their folder")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        plane = ControlPlane(folder / "control-plane", binaries)
        embedded = EmbeddedBroker(port=free_port())
        broker = SupervisedProcess(embedded.service(), log=LogFile(folder / "broker.log"))
        await asyncio.gather(plane.start(), broker.start())
        kube = KubeClient(
            load_cluster(plane.kubeconfig),
            field_manager="benchmark",
            connections=CONNECTIONS,
            timeout_seconds=60.0,
        )
        try:
            own = TestCluster(kubeconfig=plane.kubeconfig, description="own", owned=True)
            await install_definitions(own)
            yield Surroundings(plane=plane, bootstrap=embedded.bootstrap, kube=kube, folder=folder)
        finally:
            await kube.close()
            await plane.stop()
            await broker.stop()
