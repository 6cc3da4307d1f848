"""The operator as a whole, over a real Postgres and a real broker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from reactorsync.bus.kafka import KafkaBus
from reactorsync.resources import (
    AnomalyScenario,
    ConditionStatus,
    ObjectMeta,
    Reactor,
    ReactorSpec,
    condition_of,
)
from reactorsync.resources.scenario import AnomalyScenarioSpec, RunPhase
from reactorsync.service import Readiness
from reactorsync.store.postgres import PostgresStore
from reactorsync_operator.app import Operator
from reactorsync_operator.settings import OperatorSettings
from tests.operator.plant import simulated


@asynccontextmanager
async def operating(settings: OperatorSettings, store: PostgresStore) -> AsyncIterator[Operator]:
    """An operator that is killed, without a chance to tidy up, when the context ends."""
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=2500)
    operator = Operator(settings, store=store, bus=bus, readiness=Readiness())
    task = asyncio.create_task(operator.run(asyncio.Event()))
    try:
        yield operator
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await bus.close()


async def eventually(condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_fleet_and_a_scenario_reach_the_generators_and_report_back(
    settings: OperatorSettings, store: PostgresStore
) -> None:
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=2500)
    for number in range(1, 4):
        await store.create(
            Reactor(
                metadata=ObjectMeta(name=f"bruce-{number}"),
                spec=ReactorSpec.model_validate({"design": "Candu6"}),
            )
        )
    async with simulated(bus, settings.topics) as plants, operating(settings, store) as operator:
        await eventually(lambda: len(plants.desired) == 3)
        await eventually(lambda: len(set(plants.markers)) == 4)
        await store.create(
            AnomalyScenario(
                metadata=ObjectMeta(name="leak"),
                spec=AnomalyScenarioSpec.model_validate(
                    {
                        "targets": {"selector": {}, "count": 2},
                        "stages": [{"name": "leak", "fault": "PrimaryLeak", "durationSeconds": 2}],
                    }
                ),
            )
        )
        await eventually(lambda: sum(len(state.faults) for state in plants.desired.values()) == 2)
        await asyncio.sleep(4)
        found = await store.get(AnomalyScenario, "default", "leak")
        print(found.status.model_dump_json(indent=1))
        r = await store.get(Reactor, "default", "bruce-1")
        print(r.status.model_dump_json(indent=1))
        assert found.status.run and found.status.run.phase is RunPhase.COMPLETED
    await bus.close()
