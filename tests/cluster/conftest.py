"""Installations on the session's API server: a namespace, a generator, and operators as asked."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

from reactorsync.kube import Cluster, KubeClient, load_cluster
from tests.cluster_installation import PLURALS, ClusterInstallation
from tests.clusters import (
    NO_CLUSTER,
    TestCluster,
    connected,
    fresh_namespace,
    install_definitions,
)
from tests.control_plane import Binaries, ControlPlane


@dataclass(frozen=True)
class Place:
    """Where the installations of a module are: its tests share the namespace and the generator."""

    namespace: str
    kubeconfig: Path
    bootstrap: str
    folder: Path

    def installation(self, kube: KubeClient) -> ClusterInstallation:
        """Return the place as one test sees it; who asks for it stops its processes."""
        return ClusterInstallation(
            kube,
            namespace=self.namespace,
            kubeconfig=self.kubeconfig,
            bootstrap=self.bootstrap,
            folder=self.folder,
        )


@asynccontextmanager
async def _namespace(cluster: Cluster) -> AsyncIterator[str]:
    async with connected(cluster) as kube, fresh_namespace(kube) as name:
        yield name


@pytest.fixture(scope="module")
def module_namespace(servers_portal: BlockingPortal, kube_cluster: Cluster) -> Iterator[str]:
    """A namespace that the tests of one module share."""
    context: AbstractAsyncContextManager[str] = _namespace(kube_cluster)
    with servers_portal.wrap_async_context_manager(context) as name:
        yield name


@pytest.fixture(scope="module")
def place(
    module_namespace: str,
    test_cluster: TestCluster,
    broker: str,
    servers_portal: BlockingPortal,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    """The module's namespace with a generator, which is ready once an operator has spoken."""
    place = Place(
        namespace=module_namespace,
        kubeconfig=test_cluster.kubeconfig,
        bootstrap=broker,
        folder=tmp_path_factory.mktemp("installation"),
    )
    with servers_portal.wrap_async_context_manager(_generating(place)):
        yield place


@asynccontextmanager
async def _generating(place: Place) -> AsyncIterator[None]:
    async with connected(load_cluster(place.kubeconfig)) as kube:
        installation = place.installation(kube)
        await installation.make_topics()
        installation.generator(generator_name="generator-0")
        try:
            yield
        finally:
            await installation.stop()


@pytest.fixture
async def installation(
    place: Place, kube: KubeClient, tmp_path: Path
) -> AsyncIterator[ClusterInstallation]:
    """The module's installation, without an operator; the test's operators and objects go after it.

    Objects go while no operator runs, so the next one has to find out by itself.
    """
    installation = place.installation(kube)
    installation.folder = tmp_path
    yield installation
    await installation.stop()
    await installation.drop_lease()
    for kind in PLURALS:
        await kube.delete(installation.path(kind))


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    """What an API server of one's own is started from."""
    found = Binaries.find()
    if found is None:
        pytest.skip(NO_CLUSTER)
    return found


@dataclass(frozen=True)
class OwnCluster:
    """An API server that a test may stop, and whose record of requests it may read."""

    plane: ControlPlane
    portal: BlockingPortal

    async def stop_api_server(self) -> None:
        await asyncio.to_thread(self.portal.call, self.plane.stop_api_server)

    async def start_api_server(self) -> None:
        await asyncio.to_thread(self.portal.call, self.plane.start_api_server)


@pytest.fixture(scope="session")
def own_cluster(
    binaries: Binaries, servers_portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OwnCluster]:
    """A second API server of the session, for tests that do to it what others could not stand."""
    plane = ControlPlane(tmp_path_factory.mktemp("own-control-plane"), binaries, audited=True)
    servers_portal.call(plane.start)
    try:
        cluster = TestCluster(kubeconfig=plane.kubeconfig, description="own", owned=True)
        servers_portal.call(install_definitions, cluster)
        yield OwnCluster(plane, servers_portal)
    finally:
        servers_portal.call(plane.stop)


@pytest.fixture
async def own_kube(own_cluster: OwnCluster) -> AsyncIterator[KubeClient]:
    """An administrator's client of one's own API server."""
    async with connected(load_cluster(own_cluster.plane.kubeconfig)) as client:
        yield client


@pytest.fixture
async def own_installation(
    own_cluster: OwnCluster, own_kube: KubeClient, broker: str, tmp_path: Path
) -> AsyncIterator[ClusterInstallation]:
    """An installation of this test alone on one's own API server, with a generator."""
    async with fresh_namespace(own_kube) as namespace:
        installation = ClusterInstallation(
            own_kube,
            namespace=namespace,
            kubeconfig=own_cluster.plane.kubeconfig,
            bootstrap=broker,
            folder=tmp_path,
        )
        await installation.make_topics()
        installation.generator(generator_name="generator-0")
        try:
            yield installation
        finally:
            await installation.stop()
