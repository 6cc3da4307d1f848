"""One generator against a real broker: what is declared, and what comes out."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import numpy as np
import pytest

from reactorsync.clock import now_us
from reactorsync.designs import Design
from reactorsync.resources.reactor import ReactorState, SensorNoise
from reactorsync.signals import SIGNAL_INDEX
from reactorsync.wire.desired import DesiredReactor
from reactorsync.wire.events import (
    FaultInjected,
    FaultRecovered,
    ReactorApplied,
    ReactorObserved,
    ShardHeartbeat,
)
from tests.generator.pool import Pool, gaps
from tests.generator.reactors import SECOND, desired, fault
from tests.servers import FreshBroker

POWER = SIGNAL_INDEX["neutron_power_percent"]


@pytest.fixture
async def pool(broker: str) -> AsyncIterator[Pool]:
    pool = Pool(broker, f"generator-{uuid4().hex[:8]}")
    await pool.open()
    yield pool
    await pool.close()


def fleet(count: int = 12) -> list[DesiredReactor]:
    designs = list(Design)
    return [
        desired(f"reactor-{number}", seed=number, design=designs[number % len(designs)])
        for number in range(count)
    ]


async def test_what_is_declared_is_simulated_and_reported(pool: Pool) -> None:
    reactors = fleet()
    await pool.declare(*reactors, complete=False)
    async with pool.generator() as readiness:
        await pool.until(lambda: readiness.report().get("kafka") == "ok")
        await asyncio.sleep(1.5)
        assert pool.tap.frames == []  # the snapshot may lack reactors
        assert "snapshot" in readiness.report()["desired-state"]

        await pool.mark()
        await pool.until(lambda: readiness.ready)
        await pool.until(lambda: min(map(len, pool.tap.ticks().values()), default=0) >= 3)

        ticks = pool.tap.ticks()
        assert ticks.keys() == {reactor.key for reactor in reactors}
        for key, samples in ticks.items():
            assert gaps(samples) == [], key
            assert all(tick_us % SECOND == 0 for tick_us in samples)
        applied = {event.subject: event for event in pool.tap.told(ReactorApplied)}
        assert {key: event.revision for key, event in applied.items()} == {
            reactor.key: reactor.revision for reactor in reactors
        }
        observed = pool.tap.told(ReactorObserved)
        assert len(observed) == len(reactors)
        assert all(abs(event.power_permille - 1000) < 20 for event in observed)
        beats = {event.shard: event for event in pool.tap.told(ShardHeartbeat)}
        assert sum(event.reactors for event in beats.values()) == len(reactors)
        assert len(beats) == pool.topics.shards

        for seen in pool.tap.frames:
            origin = seen.frame.origin
            assert seen.id == f"{origin.run}/{origin.shard}/{seen.frame.tick_us}"
        for shard in range(pool.topics.shards):
            of_shard = [seen for seen in pool.tap.frames if seen.shard == shard]
            assert [seen.frame.origin.sequence for seen in of_shard] == [*range(len(of_shard))]
            assert len({seen.frame.origin.epoch for seen in of_shard}) == 1


async def test_changes_take_effect_while_it_runs(pool: Pool) -> None:
    quiet = desired("a", noise=SensorNoise.OFF)
    await pool.declare(quiet, desired("b"), desired("c"))
    async with pool.generator():
        await pool.until(lambda: len(pool.tap.ticks()) == 3)

        start_us, end_us = now_us() + SECOND, now_us() + 3 * SECOND
        leak = fault(start_us=start_us, end_us=end_us, identity="leak/1/s")
        long = fault(start_us=start_us, end_us=end_us + 1000 * SECOND, identity="long/1/s")
        await pool.declare(
            desired("a", noise=SensorNoise.OFF, setpoint=600, generation=2),
            desired("b", faults=[leak, long], generation=2),
            desired("d"),
            complete=False,
        )
        await pool.remove("default/c")
        await pool.until(lambda: pool.tap.told(FaultRecovered, "default/b"))
        (recovered,) = pool.tap.told(FaultRecovered)
        assert end_us <= recovered.tick_us < end_us + SECOND
        injected = pool.tap.told(FaultInjected)
        assert {event.fault_id for event in injected} == {leak.id, long.id}
        assert all(start_us <= event.tick_us < start_us + SECOND for event in injected)

        await pool.declare(
            desired("b", generation=3),
            desired("d", state=ReactorState.SUSPENDED, generation=2),
            complete=False,
        )
        await pool.until(lambda: len(pool.tap.told(FaultRecovered)) == 2)
        lifted = pool.tap.told(FaultRecovered)[1]
        assert lifted.fault_id == long.id
        await pool.until(lambda: len(pool.tap.told(ReactorApplied, "default/d")) == 2)
        settled_us = now_us()
        await asyncio.sleep(2.5)

        last = {key: max(samples) for key, samples in pool.tap.ticks().items()}
        assert last["default/a"] > settled_us
        assert last["default/b"] > settled_us
        assert last["default/c"] < settled_us
        assert last["default/d"] < settled_us
        powers = [
            seen.frame.readings[POWER, seen.frame.reactors.to_pylist().index("default/a")]
            for seen in pool.tap.frames
            if "default/a" in seen.frame.reactors.to_pylist()
        ]
        assert powers[0] == pytest.approx(100, abs=0.01)
        assert powers[-1] < powers[0] - 0.02
        assert np.all(np.diff(powers) <= 0.001)


async def test_a_broker_that_forgot_everything_is_told_everything(
    fresh_broker: FreshBroker,
) -> None:
    pool = Pool(fresh_broker.bootstrap, "reactorsync", shards=2)
    await pool.open()
    acting = fault(start_us=now_us() - SECOND, end_us=now_us() + 1000 * SECOND)
    reactors = [desired("a", faults=[acting]), desired("b"), desired("c"), desired("d")]
    await pool.declare(*reactors)
    try:
        async with pool.generator() as readiness:
            await pool.until(lambda: pool.tap.told(FaultInjected))
            await pool.until(lambda: len(pool.tap.told(ReactorObserved)) == 4)
            before = pool.tap.ticks()

            await fresh_broker.restart()
            back = time.time()
            pool.tap.events.clear()

            # What it knew goes on, and is told anew, before anybody has declared anything.
            await pool.every_shard_streams(since=back)
            await pool.until(lambda: len(pool.tap.told(ReactorApplied)) >= 4)
            await pool.until(lambda: pool.tap.told(FaultInjected))
            await pool.until(lambda: len(pool.tap.told(ReactorObserved)) >= 4)
            await pool.until(lambda: "snapshot" in readiness.report()["desired-state"])

            await pool.declare(*reactors[:3], desired("e"))  # d was deleted meanwhile
            await pool.until(lambda: pool.tap.told(ReactorApplied, "default/e"))
            await pool.until(lambda: readiness.ready)
            declared_us = now_us()
            await pool.until(
                lambda: max(pool.tap.ticks()["default/e"], default=0) > declared_us + 2 * SECOND
            )
        ticks = pool.tap.ticks()
        assert max(ticks["default/d"]) <= declared_us + SECOND
        for key in ("default/a", "default/b", "default/c"):
            assert gaps(ticks[key]) == [], key
            assert len(ticks[key]) > len(before[key])
            assert all(len(readings) == 1 for readings in ticks[key].values())
    finally:
        await pool.close()
