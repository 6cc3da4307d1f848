"""No background task ends unnoticed."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from reactorsync.db.engine import create_engine
from reactorsync.service import Readiness
from reactorsync_api.background import DATABASE, Background, watch_database
from reactorsync_api.live import LiveHub
from reactorsync_api.main import serve
from reactorsync_api.settings import ApiSettings
from tests.servers import PostgresServer


class Failures:
    """Counts, and tells who waits."""

    def __init__(self) -> None:
        self.count = 0
        self.first = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self.first.set()


async def breaks(_: asyncio.Event) -> None:
    raise KeyError("a mistake")


async def gives_up(_: asyncio.Event) -> None:
    return


async def works(stopping: asyncio.Event) -> None:
    await stopping.wait()


@pytest.mark.parametrize("run", [breaks, gives_up])
async def test_a_task_that_ends_by_itself_is_told_and_logged(
    run: object, caplog: pytest.LogCaptureFixture
) -> None:
    readiness, failures = Readiness(), Failures()
    background = Background(readiness, on_failure=failures)
    background.start("other", works)
    background.start("hub", run)  # type: ignore[arg-type]

    await asyncio.wait_for(failures.first.wait(), 5)
    await background.stop()

    assert failures.count == 1
    assert not readiness.ready
    assert "ended unexpectedly" in readiness.report()["task-hub"]
    assert "hub ended" in caplog.text


async def test_a_task_that_is_asked_to_end_is_no_failure() -> None:
    readiness, failures = Readiness(), Failures()
    background = Background(readiness, on_failure=failures)
    background.start("hub", works, leave_seconds=5)
    background.start("slow", lambda _: asyncio.sleep(60))
    await asyncio.sleep(0)

    await asyncio.wait_for(background.stop(), 5)

    assert failures.count == 0
    assert readiness.report() == {}


async def test_the_process_ends_when_a_task_meets_a_mistake(
    database_url: str, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(_: LiveHub, stopping: asyncio.Event) -> None:
        await breaks(stopping)

    monkeypatch.setattr(LiveHub, "run", run)
    settings = ApiSettings(database_url=SecretStr(database_url), kafka_bootstrap=broker, api_port=0)

    worked = await asyncio.wait_for(serve(settings), 30)

    assert not worked


async def test_readiness_follows_postgres(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database()
    engine = create_engine(url, application_name="test-api", pool_size=1)
    readiness, stopping = Readiness(), asyncio.Event()
    watching = asyncio.create_task(watch_database(engine, readiness, seconds=0.1)(stopping))

    async def becomes(*, ready: bool) -> None:
        async with asyncio.timeout(15):
            while readiness.ready is not ready:
                await asyncio.sleep(0.02)

    assert readiness.report() == {DATABASE: "not yet reached"}
    await becomes(ready=True)
    postgres_server.drop_database(url)
    await becomes(ready=False)
    stopping.set()
    await watching
    await engine.dispose()
