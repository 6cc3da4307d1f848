"""Every alarm reaches the topic, whatever happens between the commit and the broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID, uuid4

import pytest

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import BrokerUnavailable
from reactorsync.wire.events import AlarmCleared, AlarmRaised
from reactorsync_historian.alarms.announcer import AlarmAnnouncer
from reactorsync_historian.main import open_link
from reactorsync_historian.settings import HistorianSettings
from tests.historian.feed import Feed
from tests.historian.running import Storage, metric, until
from tests.historian.telling import tapped
from tests.servers import FreshBroker

REACTOR_UID = UUID("11111111-2222-4333-8444-555555555555")


def raise_alarm(storage: Storage, *, signal: str = "primary_flow_kg_s") -> UUID:
    """Store an alarm as a batch does."""
    uid = uuid4()
    storage.execute(
        f"""
        INSERT INTO reactor (namespace, name, uid) VALUES ('default', 'unit-1', '{REACTOR_UID}')
            ON CONFLICT DO NOTHING;
        INSERT INTO alarm (uid, reactor_id, reactor_uid, signal, condition, severity, value,
                           raised_at)
        SELECT '{uid}', id, uid, '{signal}', 'Low', 3, 12700, '2026-01-31 12:00:00.5+00'
        FROM reactor
        """
    )
    return uid


def clear_alarms(storage: Storage) -> None:
    storage.execute("UPDATE alarm SET cleared_at = now() WHERE cleared_at IS NULL")


def unannounced(storage: Storage) -> int:
    (row,) = storage.fetch(
        "SELECT count(*) FROM alarm WHERE raise_announced_at IS NULL"
        " OR (cleared_at IS NOT NULL AND clear_announced_at IS NULL)"
    )
    return int(row[0])


@asynccontextmanager
async def announcing(settings: HistorianSettings, bus: KafkaBus) -> AsyncIterator[AlarmAnnouncer]:
    link, stopping = open_link(settings), asyncio.Event()
    announcer = AlarmAnnouncer(bus=bus, topics=settings.topics, link=link)
    task = asyncio.create_task(announcer.run(stopping))
    try:
        yield announcer
    finally:
        stopping.set()
        await task
        await link.close()


async def test_an_alarm_is_told_when_it_is_raised_and_when_it_is_cleared(
    settings: HistorianSettings, bus: KafkaBus, feed: Feed, storage: Storage
) -> None:
    async with announcing(settings, bus) as announcer, tapped(bus, settings.topics) as tap:
        uid = raise_alarm(storage)
        announcer.wake()
        await until(lambda: len(tap.events) == 1)
        clear_alarms(storage)
        announcer.wake()
        await until(lambda: len(tap.events) == 2)
        await until(lambda: unannounced(storage) == 0)

    (raised,), (cleared,) = tap.told(AlarmRaised), tap.told(AlarmCleared)
    assert raised.alarm_id == cleared.alarm_id == uid
    assert (raised.namespace, raised.name, raised.uid) == ("default", "unit-1", REACTOR_UID)
    assert (raised.signal, raised.limit, raised.value) == ("primary_flow_kg_s", "Low", 12_700.0)
    assert raised.tick_us == 1_769_860_800_500_000
    assert cleared.tick_us > raised.tick_us


async def test_an_alarm_is_told_with_how_many_stand_after_it(
    settings: HistorianSettings, bus: KafkaBus, feed: Feed, storage: Storage
) -> None:
    raise_alarm(storage)
    clear_alarms(storage)
    flow = raise_alarm(storage)
    pressure = raise_alarm(storage, signal="primary_pressure_mpa")
    storage.execute(
        f"""
        UPDATE alarm SET raised_at = '2026-01-31 12:00:05+00' WHERE uid = '{flow}';
        UPDATE alarm SET raised_at = '2026-01-31 12:00:07+00' WHERE uid = '{pressure}';
        UPDATE alarm SET cleared_at = '2026-01-31 12:00:03+00' WHERE cleared_at IS NOT NULL;
        UPDATE alarm SET cleared_at = '2026-01-31 12:00:09+00' WHERE uid = '{flow}';
        """
    )
    async with announcing(settings, bus), tapped(bus, settings.topics) as tap:
        await until(lambda: len(tap.events) == 5)
    told = sorted(
        (event.tick_us, event.open_alarms)
        for event in (*tap.told(AlarmRaised), *tap.told(AlarmCleared))
    )
    assert [stand for _, stand in told] == [1, 0, 1, 2, 1]


async def test_what_a_dead_process_committed_and_did_not_tell_is_told(
    settings: HistorianSettings, bus: KafkaBus, feed: Feed, storage: Storage
) -> None:
    raise_alarm(storage)
    clear_alarms(storage)
    raise_alarm(storage)
    async with tapped(bus, settings.topics) as tap:
        async with announcing(settings, bus):
            await until(lambda: len(tap.events) == 3)
        kinds = [type(event) for event in tap.events]
    assert kinds == [AlarmRaised, AlarmCleared, AlarmRaised]


async def test_one_that_died_between_sending_and_marking_tells_it_twice_alike(
    settings: HistorianSettings, bus: KafkaBus, feed: Feed, storage: Storage
) -> None:
    raise_alarm(storage)
    async with tapped(bus, settings.topics) as tap:
        for count in (1, 2):
            async with announcing(settings, bus):
                await until(lambda expected=count: len(tap.events) == expected)
                await until(lambda: unannounced(storage) == 0)
            storage.execute("UPDATE alarm SET raise_announced_at = NULL")
    first, second = tap.told(AlarmRaised)
    assert first == second
    assert first.identity == second.identity


@pytest.fixture
def on_own_broker(settings: HistorianSettings, fresh_broker: FreshBroker) -> HistorianSettings:
    return settings.model_copy(update={"kafka_bootstrap": fresh_broker.bootstrap})


async def test_alarms_wait_in_the_table_while_the_broker_is_away_and_are_told_to_a_new_one(
    on_own_broker: HistorianSettings, fresh_broker: FreshBroker, storage: Storage
) -> None:
    settings = on_own_broker
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=1000)
    await bus.ensure_topics(settings.topics.live(0))
    async with announcing(settings, bus) as announcer:
        told_before = raise_alarm(storage)
        announcer.wake()
        await until(lambda: unannounced(storage) == 0)
        await fresh_broker.stop()
        told_later = raise_alarm(storage, signal="primary_pressure_mpa")
        announcer.wake()
        await asyncio.sleep(1)
        assert unannounced(storage) == 1

        await fresh_broker.start()
        await until(lambda: _has_topics(bus, settings), seconds=30)
        async with tapped(bus, settings.topics) as tap:
            await until(lambda: len(tap.told(AlarmRaised)) >= 2, seconds=30)
        assert {event.alarm_id for event in tap.told(AlarmRaised)} == {told_before, told_later}
        assert metric("events_sent_total", type="AlarmRaised") >= 3
    await bus.close()


async def _has_topics(bus: KafkaBus, settings: HistorianSettings) -> bool:
    with suppress(BrokerUnavailable):
        await bus.ensure_topics(settings.topics.live(0))
        return True
    return False
