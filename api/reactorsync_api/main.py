"""``reactorsync-api``: serve the API until told to stop."""

from __future__ import annotations

import asyncio

import uvicorn

from reactorsync.bus.kafka import KafkaBus
from reactorsync.db.engine import create_engine
from reactorsync.service import configure_logging, load_settings
from reactorsync.store.postgres import PostgresStore
from reactorsync_api.app import create_app
from reactorsync_api.settings import ApiSettings


def main() -> None:
    """Run the API."""
    settings = load_settings(ApiSettings)
    configure_logging(settings.log_level)
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        runner.run(_serve(settings))


async def _serve(settings: ApiSettings) -> None:
    engine = create_engine(settings.database_url, application_name="reactorsync-api", pool_size=10)
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=settings.kafka_session_timeout_ms)
    app = create_app(settings, store=PostgresStore(engine), engine=engine, bus=bus)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.api_host,
            port=settings.api_port,
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
        )
    )
    try:
        await server.serve()
    finally:
        await bus.close()
        await engine.dispose()
