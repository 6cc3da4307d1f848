"""The table of reactors follows the topic of desired states."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import Producer
from reactorsync.designs import Design
from reactorsync.resources.reactor import ReactorState, SensorNoise, Site
from reactorsync.wire.desired import DesiredReactor
from reactorsync.wire.keys import reactor_key, shard_of
from reactorsync.wire.snapshot import encode_snapshot
from reactorsync.wire.topics import SNAPSHOT_KEY
from reactorsync_historian.dimension import DimensionFollower
from reactorsync_historian.fleet import FleetView
from reactorsync_historian.main import open_link
from reactorsync_historian.settings import HistorianSettings
from tests.historian.owners import START_US, Owner
from tests.historian.running import Storage, until

CERNAVODA = Site(
    name="Cernavoda",
    latitude_microdegrees=44_320_000,
    longitude_microdegrees=28_057_000,
    country="RO",
)


class DesiredStates:
    """Writes the topic as whoever owns the desired state does."""

    def __init__(self, producer: Producer, settings: HistorianSettings) -> None:
        self._producer = producer
        self._topics = settings.topics

    async def want(self, name: str, *, uid: UUID | None = None, site: Site | None = None) -> None:
        desired = DesiredReactor(
            namespace="fleet",
            name=name,
            uid=uid or uuid4(),
            generation=1,
            design=Design.CANDU6,
            site=site,
            power_setpoint_permille=1000,
            interval_milliseconds=1000,
            noise=SensorNoise.NOMINAL,
            seed=1,
            state=ReactorState.RUNNING,
        )
        await self.write(name, desired.encode())

    async def write(self, name: str, value: bytes | None) -> None:
        key = reactor_key("fleet", name)
        await self._producer.send(
            self._topics.reactors,
            value,
            key=key.encode(),
            partition=shard_of(key, self._topics.shards),
        )

    async def say_complete(self) -> None:
        for shard in range(self._topics.shards):
            await self._producer.send(
                self._topics.reactors, encode_snapshot(1), key=SNAPSHOT_KEY, partition=shard
            )


@pytest.fixture
async def desired(
    settings: HistorianSettings, bus: KafkaBus, producer: Producer
) -> AsyncIterator[DesiredStates]:
    """A topic that is followed."""
    await bus.ensure_topics(settings.topics.live(START_US))
    link = open_link(settings)
    stopping = asyncio.Event()
    follower = DimensionFollower(settings=settings, bus=bus, link=link, fleet=FleetView())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follower.run(stopping))
        yield DesiredStates(producer, settings)
        stopping.set()
    await link.close()


def living(storage: Storage) -> set[str]:
    return {name for (name,) in storage.fetch("SELECT name FROM reactor WHERE deleted_at IS NULL")}


async def test_a_reactor_is_described(desired: DesiredStates, storage: Storage) -> None:
    uid = uuid4()
    await desired.want("unit-1", uid=uid, site=CERNAVODA)
    await until(lambda: living(storage) == {"unit-1"})

    assert storage.fetch(
        "SELECT uid, design, site_name, latitude, longitude, country, interval_ms FROM reactor"
    ) == [(uid, "Candu6", "Cernavoda", 44.32, 28.057, "RO", 1000)]


async def test_a_reactor_known_by_its_frames_keeps_its_number(
    desired: DesiredStates, owner: Owner, storage: Storage
) -> None:
    await owner.store_up_to(1)
    before = storage.fetch("SELECT id FROM reactor WHERE namespace = 'fleet-0'")
    await desired.want("unit-1")
    await until(lambda: len(living(storage)) == 2)

    assert storage.fetch("SELECT id FROM reactor WHERE namespace = 'fleet-0'") == before


async def test_a_deleted_reactor_is_marked_and_may_come_back(
    desired: DesiredStates, storage: Storage
) -> None:
    await desired.want("unit-1")
    await until(lambda: living(storage) == {"unit-1"})
    await desired.write("unit-1", None)
    await until(lambda: living(storage) == set())

    uid = uuid4()
    await desired.want("unit-1", uid=uid)
    await until(lambda: living(storage) == {"unit-1"})
    assert storage.fetch("SELECT uid FROM reactor") == [(uid,)]


async def test_what_a_complete_fleet_does_not_name_was_deleted(
    desired: DesiredStates, storage: Storage
) -> None:
    """As after a restart of a broker that has forgotten the tombstones."""
    storage.execute(
        "INSERT INTO reactor (namespace, name, uid) VALUES"
        " ('fleet', 'gone', gen_random_uuid()), ('fleet', 'only-in-frames', NULL)"
    )
    await desired.want("unit-1")
    await until(lambda: "unit-1" in living(storage))
    assert "gone" in living(storage)

    await desired.say_complete()
    await until(lambda: living(storage) == {"unit-1", "only-in-frames"})


async def test_a_state_that_cannot_be_read_is_put_aside(
    desired: DesiredStates, storage: Storage
) -> None:
    await desired.write("unit-1", b"{")
    await desired.want("unit-2")
    await until(lambda: living(storage) == {"unit-2"})

    assert storage.fetch("SELECT value, reason FROM dead_letter") == [(b"{", "Malformed")]
