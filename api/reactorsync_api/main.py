"""``reactorsync-api``: serve the API until told to stop."""

from __future__ import annotations

import asyncio
from typing import Final

import uvicorn

from reactorsync.bus.kafka import KafkaBus
from reactorsync.db.engine import create_engine
from reactorsync.service import configure_logging, load_settings
from reactorsync.store.postgres import PostgresStore
from reactorsync_api.app import create_app
from reactorsync_api.live_socket import MOST_CHARACTERS
from reactorsync_api.settings import ApiSettings

EXIT_BROKEN: Final = 1
"""A background task ended by a mistake in the code: start the process anew."""


def main() -> None:
    """Run the API."""
    settings = load_settings(ApiSettings)
    configure_logging(settings.log_level)
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        worked = runner.run(serve(settings))
    if not worked:
        raise SystemExit(EXIT_BROKEN)


async def serve(settings: ApiSettings) -> bool:
    """Serve until told to stop; return whether that, and no mistake, was the reason to stop."""
    engine = create_engine(settings.database_url, application_name="reactorsync-api", pool_size=10)
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=settings.kafka_session_timeout_ms)
    broken = asyncio.Event()

    def end() -> None:
        broken.set()
        server.should_exit = True

    app = create_app(settings, store=PostgresStore(engine), engine=engine, bus=bus, on_failure=end)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.api_host,
            port=settings.api_port,
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            ws_max_size=4 * MOST_CHARACTERS,
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
    return not broken.is_set()
