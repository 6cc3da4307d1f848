"""Real servers for every part's tests: one Postgres, one broker and one API server a session."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from sqlalchemy.engine import make_url

from reactorsync.kube import Cluster, KubeClient
from reactorsync_local.embedded import EmbeddedBroker, EmbeddedPostgres
from reactorsync_local.supervisor import LogFile, Service, SupervisedProcess, free_port
from tests.clusters import (
    NO_CLUSTER,
    TestCluster,
    connected,
    fresh_namespace,
    given_cluster,
    install_definitions,
    own_cluster,
)
from tests.control_plane import Binaries, ControlPlane
from tests.servers import TEST_SETTINGS, FreshBroker, PostgresServer


def pytest_configure() -> None:
    """Let no plugin make an event loop that nobody asked for, as looptime does in plain tests."""
    asyncio.set_event_loop(None)


@contextmanager
def _running(portal: BlockingPortal, service: Service, log: Path) -> Iterator[None]:
    process = SupervisedProcess(service, log=LogFile(log))
    portal.call(process.start)
    try:
        yield
    finally:
        portal.call(process.stop)


@pytest.fixture(scope="session")
def servers_portal() -> Iterator[BlockingPortal]:
    """An event loop in a thread of its own, which supervises the servers of the session."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def postgres_server(
    servers_portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresServer]:
    """The session's Postgres server, empty but for the role and the vector extension."""
    folder = tmp_path_factory.mktemp("postgres")
    postgres = EmbeddedPostgres(folder, port=free_port(), settings=TEST_SETTINGS)
    with _running(servers_portal, postgres.service(), folder / "postgres.log"):
        yield PostgresServer(postgres)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    """Name of a database with all tables and no rows. Copy it, never use it."""
    from reactorsync.db.migrate import upgrade  # not needed by tests without tables

    url = postgres_server.create_database()
    upgrade(url)
    return make_url(url).database or ""


@pytest.fixture
def database_url(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """A migrated database of this test alone."""
    url = postgres_server.create_database(template=migrated_template)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="module")
def module_database_url(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """A migrated database that the tests of one module share."""
    url = postgres_server.create_database(template=migrated_template)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def empty_database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database of this test alone, without tables."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def broker(
    servers_portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Bootstrap address of the session's broker: shared, so use topics and groups of your own."""
    embedded = EmbeddedBroker(port=free_port())
    log = tmp_path_factory.mktemp("broker") / "broker.log"
    with _running(servers_portal, embedded.service(), log):
        yield embedded.bootstrap


@pytest.fixture
async def fresh_broker(tmp_path: Path) -> AsyncIterator[FreshBroker]:
    """A running broker of this test alone, which the test may stop and restart."""
    fresh = FreshBroker(port=free_port(), log=tmp_path / "broker.log")
    await fresh.start()
    yield fresh
    await fresh.stop()


_USED_CLUSTER = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def test_cluster(
    servers_portal: BlockingPortal,
    tmp_path_factory: pytest.TempPathFactory,
    pytestconfig: pytest.Config,
    record_testsuite_property: Callable[[str, object], None],
) -> Iterator[TestCluster]:
    """The session's cluster with the custom resources installed; without one the test is left out.

    Other tests use it too: work in a namespace of your own.
    """
    binaries = Binaries.find()
    if (given := given_cluster()) is not None:
        pytestconfig.stash[_USED_CLUSTER] = given.description
        record_testsuite_property("api-server", given.description)
        servers_portal.call(install_definitions, given)
        yield given
    elif binaries is not None:
        plane = ControlPlane(tmp_path_factory.mktemp("control-plane"), binaries)
        servers_portal.call(plane.start)
        try:
            own = own_cluster(plane.kubeconfig, binaries)
            pytestconfig.stash[_USED_CLUSTER] = own.description
            record_testsuite_property("api-server", own.description)
            servers_portal.call(install_definitions, own)
            yield own
        finally:
            servers_portal.call(plane.stop)
    else:
        pytest.skip(NO_CLUSTER)


@pytest.fixture(scope="session")
def kube_cluster(test_cluster: TestCluster) -> Cluster:
    """Address and administrator's credentials of the session's cluster."""
    return test_cluster.cluster


@pytest.fixture
async def kube(kube_cluster: Cluster) -> AsyncIterator[KubeClient]:
    """A client of this test alone, with an administrator's rights."""
    async with connected(kube_cluster) as client:
        yield client


@pytest.fixture
async def kube_namespace(kube: KubeClient) -> AsyncIterator[str]:
    """The name of a namespace of this test alone."""
    async with fresh_namespace(kube) as name:
        yield name


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which API server the tests ran on, or how many were left out for want of one."""
    left_out = sum(
        isinstance(report.longrepr, tuple) and report.longrepr[2].endswith(NO_CLUSTER)
        for report in terminalreporter.getreports("skipped")
    )
    if left_out:
        terminalreporter.line(f"API server: none; tests left out: {left_out}")
    elif (used := config.stash.get(_USED_CLUSTER, None)) is not None:
        terminalreporter.line(f"API server: {used}")
