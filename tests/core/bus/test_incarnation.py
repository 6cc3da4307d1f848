"""Noticing that a real broker was restarted."""

from collections.abc import AsyncIterator

import pytest

from reactorsync.bus import incarnation
from reactorsync.bus.incarnation import Incarnation
from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import BrokerUnavailable
from tests.core.bus.conftest import SESSION_TIMEOUT_MS
from tests.servers import FreshBroker


@pytest.fixture
async def present(fresh_broker: FreshBroker) -> AsyncIterator[Incarnation]:
    bus = KafkaBus(fresh_broker.bootstrap, session_timeout_ms=SESSION_TIMEOUT_MS)
    yield await Incarnation.present(bus)
    await bus.close()


async def test_it_lasts_until_the_broker_is_restarted(
    fresh_broker: FreshBroker, present: Incarnation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incarnation, "_LOOK_SECONDS", 0.0)
    assert await present.lasts()
    await fresh_broker.stop()
    with pytest.raises(BrokerUnavailable):
        await present.lasts()
    await fresh_broker.start()
    assert not await present.lasts()


async def test_the_broker_is_not_asked_each_time(
    fresh_broker: FreshBroker, present: Incarnation
) -> None:
    await fresh_broker.stop()
    assert await present.lasts()
