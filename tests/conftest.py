"""Real servers for every part's tests: one Postgres and one broker a session."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from sqlalchemy.engine import make_url

from reactorsync_local.embedded import EmbeddedBroker, EmbeddedPostgres
from reactorsync_local.supervisor import LogFile, Service, SupervisedProcess, free_port
from tests.servers import TEST_SETTINGS, FreshBroker, PostgresServer


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
