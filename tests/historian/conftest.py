import uuid
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import Producer
from reactorsync.db.engine import create_engine
from reactorsync_historian.offsets import OffsetStore
from reactorsync_historian.partitions import PartitionKeeper
from reactorsync_historian.settings import HistorianSettings
from tests.historian.feed import Feed
from tests.historian.owners import Owner, Owners
from tests.historian.running import Storage


@pytest.fixture
def storage(database_url: str) -> Storage:
    return Storage(database_url)


@pytest.fixture
def settings(database_url: str, broker: str) -> HistorianSettings:
    """Settings of an installation of this test alone, on the shared broker."""
    return HistorianSettings(
        database_url=SecretStr(database_url),
        kafka_bootstrap=broker,
        kafka_session_timeout_ms=1000,
        topic_prefix=f"t{uuid.uuid4().hex[:8]}",
        shards=2,
    )


@pytest.fixture
async def bus(settings: HistorianSettings) -> AsyncIterator[KafkaBus]:
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=1000)
    yield bus
    await bus.close()


@pytest.fixture
async def producer(bus: KafkaBus) -> AsyncIterator[Producer]:
    producer = bus.producer(client_id="feed")
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
async def feed(bus: KafkaBus, producer: Producer, settings: HistorianSettings) -> Feed:
    """Frames for an installation whose topics exist."""
    feed = Feed(producer=producer, topics=settings.topics)
    await bus.ensure_topics(settings.topics.live(feed.start_us))
    return feed


@pytest.fixture
def offsets(settings: HistorianSettings) -> OffsetStore:
    return OffsetStore(settings.consumer_group)


@pytest.fixture
async def owners(settings: HistorianSettings, offsets: OffsetStore) -> AsyncIterator[Owners]:
    engine = create_engine(settings.database_url, application_name="test")
    keeper = PartitionKeeper(engine, retention=settings.retention)
    owners = Owners(settings, offsets, keeper)
    yield owners
    for owner in owners.made:
        await owner.sink.link.close()
    await engine.dispose()


@pytest.fixture
async def owner(owners: Owners) -> Owner:
    """One owner of its partition."""
    owner = owners.new()
    await owner.take_over()
    return owner


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "soak" not in config.option.markexpr:
        soaks = [item for item in items if item.get_closest_marker("soak")]
        items[:] = [item for item in items if item not in soaks]
        config.hook.pytest_deselected(items=soaks)
