"""The operator's surroundings: a real Postgres and a real broker."""

from collections.abc import AsyncIterator
from itertools import count

import pytest
from pydantic import SecretStr

from reactorsync.bus.kafka import KafkaBus
from reactorsync.db.engine import create_engine
from reactorsync.store.postgres import PostgresStore
from reactorsync_operator.settings import OperatorSettings

_PREFIXES = count(1)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    """A store of this test alone."""
    engine = create_engine(database_url, application_name="test")
    yield PostgresStore(engine, resync_seconds=5.0)
    await engine.dispose()


@pytest.fixture
async def bus(broker: str) -> AsyncIterator[KafkaBus]:
    """A bus on the session's broker; name topics of your own."""
    bus = KafkaBus(broker, session_timeout_ms=2500)
    yield bus
    await bus.close()


@pytest.fixture
def settings(database_url: str, broker: str) -> OperatorSettings:
    """Settings with topics of this test alone on the session's broker."""
    return OperatorSettings(
        database_url=SecretStr(database_url),
        kafka_bootstrap=broker,
        topic_prefix=f"operator{next(_PREFIXES)}",
        shards=4,
        status_interval_seconds=0.2,
    )
