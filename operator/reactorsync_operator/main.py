"""The operator process: ``reactorsync-operator``."""

from __future__ import annotations

import asyncio

from reactorsync.bus.kafka import KafkaBus
from reactorsync.db.engine import create_engine
from reactorsync.service import Readiness, load_settings, run_part
from reactorsync.store.postgres import PostgresStore
from reactorsync_operator.app import Operator
from reactorsync_operator.settings import OperatorSettings


async def operate(
    settings: OperatorSettings, stopping: asyncio.Event, readiness: Readiness
) -> None:
    """Reconcile the resources in Postgres until ``stopping``."""
    engine = create_engine(settings.database_url, application_name="reactorsync-operator")
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=settings.kafka_session_timeout_ms)
    store = PostgresStore(engine, resync_seconds=settings.resync_seconds)
    try:
        await Operator(settings, store=store, bus=bus, readiness=readiness).run(stopping)
    finally:
        await bus.close()
        await engine.dispose()


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = load_settings(OperatorSettings)

    async def part(stopping: asyncio.Event, readiness: Readiness) -> None:
        await operate(settings, stopping, readiness)

    run_part(part, settings)


if __name__ == "__main__":
    main()
