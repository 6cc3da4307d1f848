"""The command as it is deployed: settings from the environment, probes, metrics, orderly stop."""

import asyncio
import os
import signal
import sys

import httpx

from reactorsync_historian.settings import HistorianSettings
from reactorsync_local.supervisor import free_port
from tests.historian.feed import Feed
from tests.historian.running import Storage, until

METRICS = (
    "rows_total",
    "frames_total",
    "commit_duration_seconds_count",
    "lag_records",
    "freshness_seconds",
    "fenced_total",
    "duplicate_rows_total",
    "dlq_unmirrored_records",
)


def environment(settings: HistorianSettings, **more: str) -> dict[str, str]:
    variables = {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "KAFKA_SESSION_TIMEOUT_MS": str(settings.kafka_session_timeout_ms),
        "TOPIC_PREFIX": settings.topic_prefix,
        "SHARDS": str(settings.shards),
        **more,
    }
    return os.environ | {f"REACTORSYNC_{name}": value for name, value in variables.items()}


async def start(variables: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "reactorsync_historian.main"),
        env=variables,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_it_serves_probes_and_metrics_and_stops_when_asked(
    settings: HistorianSettings, feed: Feed, storage: Storage
) -> None:
    port = free_port()
    process = await start(environment(settings, METRICS_PORT=str(port)))
    try:
        await feed.ticks(3)
        await until(lambda: storage.count() == len(feed.acknowledged))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def metrics_are_all_there() -> bool:
                text = (await client.get("/metrics")).text
                return all(f"\nreactorsync_historian_{name}" in text for name in METRICS)

            await until(metrics_are_all_there)
            assert (await client.get("/readyz")).json() == {"kafka": "ok", "postgres": "ok"}
            metrics = (await client.get("/metrics")).text
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()

    assert f"reactorsync_historian_rows_total {float(len(feed.acknowledged))}" in metrics


async def test_it_says_which_setting_is_wrong(settings: HistorianSettings) -> None:
    process = await start(environment(settings, RETENTION_HOURS="0", DATABASE_URL=""))
    _, errors = await process.communicate()

    assert process.returncode == 2
    assert "REACTORSYNC_RETENTION_HOURS: " in errors.decode()
    assert "REACTORSYNC_DATABASE_URL: " in errors.decode()
