"""How many generators the fleet needs."""

import asyncio
import contextlib
import json
import time
from pathlib import Path

import pytest

from reactorsync_operator.pool import FilePool, PoolSize, PoolUnavailable, generators_for, keep_pool


@pytest.mark.parametrize(
    ("readings_per_second", "generators"),
    [(0, 1), (1, 1), (5000, 1), (5001, 2), (20_000, 4), (39_999, 8), (1_000_000, 8)],
)
def test_at_least_one_and_at_most_one_a_shard(readings_per_second: float, generators: int) -> None:
    assert generators_for(readings_per_second, capacity=5000, shards=8) == generators


def test_it_grows_at_once_and_shrinks_after_a_minute() -> None:
    size = PoolSize()
    assert size.follow(2, now=0) == 2
    assert size.follow(5, now=1) == 5
    assert size.follow(3, now=2) == 5
    assert size.follow(3, now=61) == 5
    assert size.follow(3, now=62) == 3


def test_a_dip_does_not_shrink_it() -> None:
    size = PoolSize()
    size.follow(5, now=0)
    size.follow(3, now=10)
    size.follow(5, now=50)
    assert size.follow(3, now=100) == 5
    assert size.follow(3, now=159) == 5
    assert size.follow(3, now=160) == 3


def test_it_shrinks_to_the_most_that_was_needed_meanwhile() -> None:
    size = PoolSize()
    size.follow(8, now=0)
    size.follow(2, now=10)
    size.follow(4, now=40)
    assert size.follow(1, now=70) == 4


async def test_the_file_holds_the_size_and_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "state" / "generators.json"
    pool = FilePool(path)
    await pool.resize(3)
    first = path.stat().st_ino
    assert json.loads(path.read_text()) == {"replicas": 3}
    await pool.resize(1)
    assert json.loads(path.read_text()) == {"replicas": 1}
    assert path.stat().st_ino != first
    assert [one.name for one in path.parent.iterdir()] == ["generators.json"]


async def test_a_pool_that_cannot_be_told_is_told_later(tmp_path: Path) -> None:
    class Deaf:
        def __init__(self) -> None:
            self.told: list[int] = []

        async def resize(self, replicas: int) -> None:
            self.told.append(replicas)
            if len(self.told) < 2:
                raise PoolUnavailable("File", "disk full")

    pool = Deaf()
    task = asyncio.create_task(keep_pool(pool, lambda: 4, clock=time.monotonic))
    await asyncio.sleep(2.5)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert pool.told == [4, 4]
