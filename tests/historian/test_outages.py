"""Postgres or the broker goes away while frames flow: the historian waits, says so and goes on."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import psutil
import psycopg

from reactorsync.bus.kafka import KafkaBus
from reactorsync_historian.database import APPLICATION
from reactorsync_historian.settings import HistorianSettings
from tests.historian.feed import Feed
from tests.historian.running import RunningHistorian, Storage, metric, running_historian, until
from tests.servers import FreshBroker


def stored_all(storage: Storage, feed: Feed) -> bool:
    try:
        return storage.count() >= len(feed.acknowledged)
    except psycopg.OperationalError:
        return False


async def all_stored_and_ready(
    storage: Storage, feed: Feed, historian: RunningHistorian, *, seconds: float = 20.0
) -> None:
    await until(lambda: stored_all(storage, feed), seconds=seconds)
    await until(lambda: historian.readiness.ready, seconds=seconds)


async def test_sessions_that_are_ended_cost_nothing(
    settings: HistorianSettings, feed: Feed, storage: Storage
) -> None:
    storage.execute("ALTER TABLE telemetry DROP CONSTRAINT pk_telemetry")
    retries = metric("retries_total", reason="PostgresUnavailable")
    async with running_historian(settings) as historian:
        async with feed.flowing(pause_seconds=0.02):
            await until(lambda: storage.count() > 0)
            for _ in range(10):
                await asyncio.sleep(0.15)
                storage.fetch(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = %s AND datname = current_database()",
                    APPLICATION,
                )
        await all_stored_and_ready(storage, feed, historian)

    assert metric("retries_total", reason="PostgresUnavailable") > retries
    assert storage.stored() == Counter(feed.acknowledged)


async def test_a_restart_of_postgres_costs_nothing(
    settings: HistorianSettings, feed: Feed, storage: Storage
) -> None:
    storage.execute("ALTER TABLE telemetry DROP CONSTRAINT pk_telemetry")
    async with running_historian(settings) as historian:
        async with feed.flowing():
            await until(lambda: storage.count() > 0)
            stop_postgres(storage)
            await until(lambda: "postgres" in problems(historian))
            await until(lambda: stored_all(storage, feed))
        await all_stored_and_ready(storage, feed, historian)

    assert storage.stored() == Counter(feed.acknowledged)
    assert storage.count("lost_frames") == 0


def stop_postgres(storage: Storage) -> None:
    """Fast shutdown; the session's supervision starts it again."""
    with storage.connect() as connection:
        server = psutil.Process(connection.info.backend_pid).parent()
    assert server is not None
    server.send_signal(signal.SIGINT)


def problems(historian: RunningHistorian) -> set[str]:
    return {name for name, text in historian.readiness.report().items() if text != "ok"}


async def test_a_broker_that_forgets_is_read_from_its_start(
    settings: HistorianSettings, fresh_broker: FreshBroker, storage: Storage
) -> None:
    """What was in it and not yet stored is told to be lost; what comes then is stored."""
    settings = settings.model_copy(
        update={"kafka_bootstrap": fresh_broker.bootstrap, "late_seconds": 1}
    )
    lost_before = metric("lost_frames_total", cause="BrokerRestart")
    async with feed_to(fresh_broker, settings) as feed, running_historian(settings) as historian:
        await feed.ticks(9)
        await until(lambda: storage.count() == len(feed.acknowledged))

        await fresh_broker.stop()
        feed.skip(4)
        await until(lambda: "kafka" in problems(historian))
        await fresh_broker.start()
        async with feed_to(fresh_broker, settings, after=feed) as later:
            await later.ticks(6)
            await until(lambda: storage.count() == len(feed.acknowledged))
            await until(lambda: storage.count("lost_frames") == settings.shards)
            await until(lambda: historian.readiness.ready)

    assert storage.stored() == Counter(feed.acknowledged)
    losses = storage.fetch("SELECT shard, run, first_sequence, count, cause FROM lost_frames")
    assert sorted(losses) == [(shard, "run-a", 9, 4, "BrokerRestart") for shard in (0, 1)]
    assert metric("lost_frames_total", cause="BrokerRestart") - lost_before == 8
    offsets = storage.fetch("SELECT next_offset FROM consumer_offset ORDER BY 1")
    assert offsets == [(6,), (6,), (9,), (9,)]


@asynccontextmanager
async def feed_to(
    broker: FreshBroker, settings: HistorianSettings, *, after: Feed | None = None
) -> AsyncIterator[Feed]:
    """A feed whose topics exist; it goes on ``after`` another one.

    The producer is a new one: the embedded broker takes what is sent to a topic that it does not
    have, and gets confused when the topic is made later.
    """
    bus = KafkaBus(broker.bootstrap, session_timeout_ms=settings.kafka_session_timeout_ms)
    await bus.ensure_topics(settings.topics.live(0))
    producer = bus.producer(client_id="feed")
    await producer.start()
    if after is None:
        yield Feed(producer=producer, topics=settings.topics)
    else:
        yield replace(after, producer=producer)
    await producer.stop()
    await bus.close()
