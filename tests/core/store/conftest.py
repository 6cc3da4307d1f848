"""Stores under test. The contract runs against each, in namespaces of one test alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from reactorsync.db.engine import create_engine
from reactorsync.db.migrate import upgrade
from reactorsync.kube import KubeClient
from reactorsync.store import ResourceStore
from reactorsync.store.kubernetes import KubernetesStore
from reactorsync.store.postgres import PostgresStore
from reactorsync_local.embedded import EmbeddedPostgres
from reactorsync_local.supervisor import LogFile, SupervisedProcess, free_port
from tests.clusters import fresh_namespace
from tests.servers import TEST_SETTINGS

_numbers = count(1)


@pytest.fixture
def namespace_number() -> int:
    return next(_numbers)


@pytest.fixture
def namespace(postgres_namespace: str) -> str:
    """A namespace that no other test uses."""
    return postgres_namespace


@pytest.fixture
async def engine(module_database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(module_database_url, application_name="test", pool_size=8)
    yield engine
    await engine.dispose()


@pytest.fixture
def store(postgres_store: ResourceStore) -> ResourceStore:
    return postgres_store


@pytest.fixture
def postgres_store(engine: AsyncEngine) -> ResourceStore:
    return PostgresStore(engine)


@pytest.fixture
def postgres_namespace(namespace_number: int) -> str:
    return f"test-{namespace_number}"


@pytest.fixture
def other_postgres_namespace(namespace_number: int) -> str:
    return f"test-{namespace_number}-b"


@pytest.fixture
def kubernetes_store(kube: KubeClient) -> ResourceStore:
    return KubernetesStore(kube)


@pytest.fixture
def kubernetes_namespace(kube_namespace: str) -> str:
    return kube_namespace


@pytest.fixture
async def other_kubernetes_namespace(kube: KubeClient) -> AsyncIterator[str]:
    async with fresh_namespace(kube) as name:
        yield name


class FreshPostgres:
    """A Postgres of one test alone, which the test may stop and start."""

    def __init__(self, folder: Path) -> None:
        self._postgres = EmbeddedPostgres(folder, port=free_port(), settings=TEST_SETTINGS)
        self._log = LogFile(folder / "postgres.log")
        self._process: SupervisedProcess | None = None

    @property
    def database_url(self) -> str:
        return self._postgres.database_url

    async def start(self) -> None:
        self._process = SupervisedProcess(self._postgres.service(), log=self._log)
        await self._process.start()

    async def stop(self) -> None:
        if self._process is not None:
            await self._process.stop()
            self._process = None


@pytest.fixture
async def fresh_postgres(tmp_path: Path) -> AsyncIterator[FreshPostgres]:
    postgres = FreshPostgres(tmp_path)
    await postgres.start()
    upgrade(postgres.database_url)
    yield postgres
    await postgres.stop()
