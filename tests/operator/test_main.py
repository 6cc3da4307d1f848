"""The operator as a process."""

import asyncio
import json
import os
import signal
import sys
import urllib.error
import urllib.request

from sqlalchemy import text

from reactorsync.db.engine import create_engine
from reactorsync_local.supervisor import free_port
from reactorsync_operator.settings import OperatorSettings


async def started(environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "reactorsync_operator.main",
        env={**os.environ, **environment},
        stderr=asyncio.subprocess.PIPE,
    )


def ask(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


async def sessions(settings: OperatorSettings) -> set[str]:
    """Names of the applications connected to the database."""
    assert settings.database_url is not None
    engine = create_engine(settings.database_url, application_name="test")
    async with engine.connect() as connection:
        found = await connection.execute(
            text("SELECT application_name FROM pg_stat_activity WHERE datname = current_database()")
        )
        names = set(found.scalars())
    await engine.dispose()
    return names


async def test_it_gets_ready_measures_itself_and_stops_when_told(
    settings: OperatorSettings,
) -> None:
    port = free_port()
    assert settings.database_url is not None
    process = await started(
        {
            "REACTORSYNC_DATABASE_URL": settings.database_url.get_secret_value(),
            "REACTORSYNC_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
            "REACTORSYNC_TOPIC_PREFIX": settings.topic_prefix,
            "REACTORSYNC_METRICS_PORT": str(port),
        }
    )
    async with asyncio.timeout(30):
        while (answer := await asyncio.to_thread(ask, port, "/readyz"))[0] != 200:
            await asyncio.sleep(0.1)
    assert json.loads(answer[1]) == {"broker": "ok", "store": "ok"}
    _, metrics = await asyncio.to_thread(ask, port, "/metrics")
    assert "reactorsync_operator_plans_total" in metrics
    assert "reactorsync-operator" in await sessions(settings)
    process.send_signal(signal.SIGTERM)
    _, errors = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 0
    assert b"Traceback" not in errors


async def test_without_a_database_url_it_says_what_is_missing() -> None:
    process = await started({"REACTORSYNC_DATABASE_URL": ""})
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert errors.decode().startswith("REACTORSYNC_DATABASE_URL: ")
