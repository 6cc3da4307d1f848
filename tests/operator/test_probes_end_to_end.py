"""Probes through the whole operator: real Postgres, real broker, frames as generators send them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from reactorsync.bus.kafka import KafkaBus
from reactorsync.clock import now_us
from reactorsync.resources import (
    AnomalyScenario,
    AnomalyScenarioStatus,
    ObjectMeta,
    Reactor,
    ReactorSpec,
    condition_of,
)
from reactorsync.resources.scenario import AnomalyScenarioSpec
from reactorsync.resources.scenario_status import RunPhase
from reactorsync.service import Readiness
from reactorsync.signals import SIGNAL_INDEX, SIGNAL_NAMES
from reactorsync.store.postgres import PostgresStore
from reactorsync.wire.frame import Frame, FrameOrigin, reactor_column
from reactorsync.wire.keys import shard_of
from reactorsync_operator.app import Operator
from reactorsync_operator.settings import OperatorSettings
from tests.operator.plant import Plants, simulated

SIGNAL = "core_outlet_temperature_c"
UNIT = "default/bruce-1"


class Instruments:
    """Streams the telemetry of one plant, ten times a second."""

    def __init__(self, bus: KafkaBus, settings: OperatorSettings) -> None:
        self._bus = bus
        self._topics = settings.topics
        self.temperature_c = 300.0
        self.changed_at = 0.0

    def show(self, temperature_c: float) -> None:
        self.temperature_c = temperature_c
        self.changed_at = time.monotonic()

    async def run(self) -> None:
        shard = shard_of(UNIT, self._topics.shards)
        producer = self._bus.producer(client_id="instruments")
        await producer.start()
        try:
            while True:
                readings = np.full((len(SIGNAL_NAMES), 1), 100.0, dtype=np.float32)
                readings[SIGNAL_INDEX[SIGNAL]] = self.temperature_c
                frame = Frame(
                    tick_us=now_us(),
                    origin=FrameOrigin(shard=shard, run="test", epoch=1, sequence=0),
                    reactors=reactor_column([UNIT]),
                    trip_causes=np.zeros(1, dtype=np.uint8),
                    readings=readings,
                )
                await producer.send(
                    self._topics.telemetry(frame.tick_us), frame.encode(), partition=shard
                )
                await asyncio.sleep(0.1)
        finally:
            await producer.stop()


class Site:
    """An operator with one plant, simulated and instrumented."""

    def __init__(self, store: PostgresStore, plants: Plants, instruments: Instruments) -> None:
        self.store = store
        self.plants = plants
        self.instruments = instruments

    async def declare(self, **spec: Any) -> None:
        reactor = ReactorSpec.model_validate({"design": "Candu6"})
        await self.store.create(Reactor(metadata=ObjectMeta(name="bruce-1"), spec=reactor))
        leak = {"name": "leak", "fault": "PrimaryLeak", "durationSeconds": 60}
        declared = AnomalyScenarioSpec.model_validate(
            {"targets": {"selector": {}}, "stages": [leak], **spec}
        )
        await self.store.create(AnomalyScenario(metadata=ObjectMeta(name="leak"), spec=declared))

    async def status(self) -> AnomalyScenarioStatus:
        return (await self.store.get(AnomalyScenario, "default", "leak")).status

    async def phase(self) -> RunPhase | None:
        run = (await self.status()).run
        return run.phase if run is not None else None

    def acts(self) -> bool:
        held = self.plants.desired.get(UNIT)
        return held is not None and any(
            fault.start_us <= now_us() < fault.end_us for fault in held.faults
        )


@pytest.fixture
async def site(settings: OperatorSettings, store: PostgresStore) -> AsyncIterator[Site]:
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=2500)
    async with simulated(bus, settings.topics) as plants:
        instruments = Instruments(bus, settings)
        operator = Operator(settings, store=store, bus=bus, readiness=Readiness())
        tasks = [
            asyncio.create_task(instruments.run()),
            asyncio.create_task(operator.run(asyncio.Event())),
        ]
        yield Site(store, plants, instruments)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
    await bus.close()


async def eventually(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


def beyond(name: str, comparison: str, celsius: int, **fields: Any) -> dict[str, Any]:
    signal = {"signal": SIGNAL, "comparison": comparison, "thresholdMilli": celsius * 1000}
    return {"name": name, "telemetry": signal, **fields}


async def test_a_condition_to_abort_lifts_the_faults_within_two_seconds(site: Site) -> None:
    await site.declare(abortWhen=[beyond("too-hot", "Above", 350)])
    await eventually(site.acts)
    await asyncio.sleep(1.0)
    site.instruments.show(360.0)
    await eventually(lambda: not site.acts())
    assert time.monotonic() - site.instruments.changed_at < 2.0

    async def says_so() -> bool:
        status = await site.status()
        outcome = condition_of(status.conditions, "Succeeded")
        return outcome is not None and outcome.reason == "AbortConditionMet"

    await until(says_so)
    (result,) = (await site.status()).probes
    assert result.passed
    assert "default/bruce-1" in result.message


async def test_faults_wait_for_the_steady_state(site: Site) -> None:
    site.instruments.show(360.0)
    await site.declare(probes=[beyond("calm", "Below", 350, phase="Before")])

    async def is_probing() -> bool:
        return await site.phase() is RunPhase.PROBING

    await until(is_probing)
    await asyncio.sleep(1.0)
    assert not site.acts()
    site.instruments.show(300.0)
    await eventually(site.acts)
    (result,) = (await site.status()).probes
    assert result.passed
