"""Shards that move between generator processes, counted sample by sample."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from reactorsync import clock
from reactorsync.designs import Design
from reactorsync.wire.desired import DesiredReactor
from reactorsync.wire.events import ReactorApplied, ShardHeartbeat
from reactorsync_generator.desired_view import Change
from reactorsync_generator.shard import Shard
from tests.generator.pool import SESSION_SECONDS, SHARDS, Pool, gaps
from tests.generator.reactors import SECOND, desired, fault


@pytest.fixture
async def pool(broker: str) -> AsyncIterator[Pool]:
    pool = Pool(broker, f"handover-{uuid4().hex[:8]}")
    await pool.open()
    yield pool
    await pool.close()


def fleet() -> list[DesiredReactor]:
    """Twenty reactors in the middle of transients, so that a lost state would show."""
    designs = list(Design)
    now_us = clock.now_us()
    return [
        desired(
            f"reactor-{number}",
            seed=number,
            design=designs[number % len(designs)],
            faults=[fault(start_us=now_us, end_us=now_us + 600 * SECOND, severity=200)],
        )
        for number in range(20)
    ]


async def owners(pool: Pool, *, seconds: float = 1.3) -> dict[int, set[str]]:
    """The runs that send each shard, as seen over a little more than a tick from now."""
    since = time.time()
    await asyncio.sleep(seconds)
    return pool.tap.runs(since=since)


async def both_share(pool: Pool) -> dict[str, set[int]]:
    """Wait until two generators have shards, and no shard has two; return the shards of each."""
    for _ in range(20):
        shares: dict[str, set[int]] = {}
        by_shard = await owners(pool)
        for shard, runs in by_shard.items():
            for run in runs:
                shares.setdefault(run, set()).add(shard)
        if (
            len(by_shard) == SHARDS
            and sum(map(len, shares.values())) == SHARDS
            and len(shares) == 2
        ):
            return shares
    raise AssertionError("two generators never shared the shards")


async def run_of(pool: Pool, generator: str) -> str:
    """The id of a generator's life."""
    await pool.until(
        lambda: any(beat.generator == generator for beat in pool.tap.told(ShardHeartbeat))
    )
    return next(beat.run for beat in pool.tap.told(ShardHeartbeat) if beat.generator == generator)


def assert_as_if_simulated_by_one(pool: Pool, reactors: list[DesiredReactor]) -> None:
    """Every sample equals, to the bit, that of a plant which was never moved."""
    ticks = pool.tap.ticks()
    assert ticks.keys() == {reactor.key for reactor in reactors}
    for reactor in reactors:
        begun_us = min(event.tick_us for event in pool.tap.told(ReactorApplied, reactor.key))
        alone = Shard(0, catch_up_us=60 * SECOND)
        alone.apply([Change(reactor.key, reactor)], at_us=begun_us)
        for tick_us, readings in sorted(ticks[reactor.key].items()):
            sample = alone.sample(tick_us)
            assert sample is not None
            assert readings == {sample.readings.T[0].tobytes()}, f"{reactor.key} at {tick_us}"


async def test_a_second_generator_takes_its_share_without_a_gap(pool: Pool) -> None:
    reactors = fleet()
    await pool.declare(*reactors)
    async with pool.process("first"):
        await pool.every_shard_streams()
        first = await run_of(pool, "first")
        async with pool.process("second") as second:
            shares = await both_share(pool)
            assert sorted(map(len, shares.values())) == [2, 2]
            # And gives it back in order.
            second.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(second.wait(), timeout=15) == 0
        since = time.time()
        await pool.every_shard_streams()
        assert pool.tap.runs(since=since) == {shard: {first} for shard in range(SHARDS)}
    ticks = pool.tap.ticks()
    assert len(ticks) == 20
    for key, samples in ticks.items():
        assert gaps(samples) == [], key
    assert_as_if_simulated_by_one(pool, reactors)
    kept = shares[first]
    epochs = {
        seen.frame.origin.epoch
        for seen in pool.tap.frames
        if seen.run == first and seen.shard in kept
    }
    assert len(epochs) == len(kept), "a shard that stays is not taken over again"


async def test_after_a_kill_every_shard_is_covered_and_its_physics_continuous(pool: Pool) -> None:
    reactors = fleet()
    await pool.declare(*reactors)
    async with pool.process("first") as first, pool.process("second"):
        shares = await both_share(pool)
        survivor = await run_of(pool, "second")
        await asyncio.sleep(2)
        first.kill()
        killed = time.time()
        await asyncio.sleep(0.2)
        await pool.until(
            lambda: (
                pool.tap.runs(since=killed + 0.2) == {shard: {survivor} for shard in range(SHARDS)}
            )
        )
        covered = time.time() - killed
        await asyncio.sleep(2)
    ticks = pool.tap.ticks()
    kept, moved = shares[survivor], set(range(SHARDS)) - shares[survivor]
    assert covered <= 2 * SESSION_SECONDS + 1  # a tick is seen up to a second after it is possible
    by_shard = {
        shard: {
            key
            for seen in pool.tap.frames
            if seen.shard == shard
            for key in seen.frame.reactors.to_pylist()
        }
        for shard in range(SHARDS)
    }
    for shard in kept:
        for key in by_shard[shard]:
            assert gaps(ticks[key]) == [], key
    for shard in moved:
        for key in by_shard[shard]:
            assert len(gaps(ticks[key])) <= 1
            assert all(gap <= 2 * SESSION_SECONDS + 1 for gap in gaps(ticks[key]))
    assert_as_if_simulated_by_one(pool, reactors)


async def test_a_generator_that_was_frozen_does_not_speak_for_what_it_lost(pool: Pool) -> None:
    reactors = fleet()
    await pool.declare(*reactors)
    async with pool.process("first") as first, pool.process("second"):
        shares = await both_share(pool)
        zombie, survivor = await run_of(pool, "first"), await run_of(pool, "second")
        first.send_signal(signal.SIGSTOP)
        stopped = time.time()
        await pool.until(
            lambda: (
                pool.tap.runs(since=stopped + 0.5) == {shard: {survivor} for shard in range(SHARDS)}
            )
        )

        woken = time.time()
        first.send_signal(signal.SIGCONT)
        shares = await both_share(pool)

        by_zombie = [seen for seen in pool.tap.frames if seen.run == zombie and seen.at > woken]
        assert {seen.shard for seen in by_zombie} == shares[zombie]
        assert all(seen.frame.origin.epoch > stopped * SECOND for seen in by_zombie), (
            "it speaks only for what the group gave it after it woke"
        )
    for key, samples in pool.tap.ticks().items():
        assert all(gap <= 2 * SESSION_SECONDS + 1 for gap in gaps(samples)), key
    assert_as_if_simulated_by_one(pool, reactors)
