"""The API as a server on loopback, over a real Postgres and a real broker."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest_asyncio
import uvicorn
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from reactorsync.bus.kafka import KafkaBus
from reactorsync.db.engine import create_engine
from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.store.port import R
from reactorsync.store.postgres import PostgresStore
from reactorsync_api.app import create_app
from reactorsync_api.settings import ApiSettings


@dataclass(frozen=True, slots=True)
class RunningApi:
    """The server, and what a test needs to feed and watch it."""

    url: str
    client: httpx.AsyncClient
    store: PostgresStore
    engine: AsyncEngine
    bus: KafkaBus
    settings: ApiSettings

    @property
    def socket_url(self) -> str:
        """Address of the live socket."""
        return self.url.replace("http", "ws", 1) + "/ws"


@asynccontextmanager
async def running_api(
    database_url: str,
    broker: str,
    *,
    token: str | None = None,
    on_failure: Callable[[], None] = lambda: None,
) -> AsyncIterator[RunningApi]:
    """Serve the API on a free port while the context lasts."""
    settings = ApiSettings(
        database_url=SecretStr(database_url),
        kafka_bootstrap=broker,
        topic_prefix=f"api-{secrets.token_hex(4)}",
        shards=2,
        api_token=SecretStr(token) if token else None,
    )
    engine = create_engine(settings.database_url, application_name="test-api", pool_size=4)
    bus = KafkaBus(broker, session_timeout_ms=2500)
    await bus.ensure_topics(settings.topics.live(0))
    store = PostgresStore(engine)
    app = create_app(settings, store=store, engine=engine, bus=bus, on_failure=on_failure)
    config = uvicorn.Config(app, port=0, log_config=None, ws="websockets-sansio")
    server = uvicorn.Server(config)
    # The test has its own signal handling.
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with httpx.AsyncClient(base_url=url, headers=headers) as client:
            yield RunningApi(url, client, store, engine, bus, settings)
    finally:
        server.should_exit = True
        await serving
        await bus.close()
        await engine.dispose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(module_database_url: str, broker: str) -> AsyncIterator[RunningApi]:
    """The API without login, shared by the tests of a module."""
    async with running_api(module_database_url, broker) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def api(server: RunningApi) -> AsyncIterator[RunningApi]:
    """The shared API, with nothing in it."""
    yield server
    await _delete_all(server, Reactor)
    await _delete_all(server, AnomalyScenario)
    async with server.engine.begin() as connection:
        await connection.execute(text("TRUNCATE telemetry, reactor CASCADE"))


async def _delete_all(server: RunningApi, kind: type[R]) -> None:
    plural = "reactors" if kind is Reactor else "scenarios"
    for item in (await server.store.list(kind)).items:
        path = f"/api/v1/{plural}/{item.metadata.namespace}/{item.metadata.name}"
        await server.client.delete(path)
