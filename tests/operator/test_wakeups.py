"""The one heap for all that happens by the clock."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from reactorsync_operator.wakeups import Timers, Wakeups
from tests.core.planning.build import NOON, after


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def test_keys_wake_in_the_order_of_their_moments() -> None:
    clock = Clock()
    wakeups: Wakeups[str] = Wakeups(clock)
    for key, seconds in (("c", 30), ("a", 10), ("b", 20)):
        wakeups.set(key, after(seconds))
    assert wakeups.due() == []
    clock.now = after(20)
    assert wakeups.due() == ["a", "b"]
    assert wakeups.due() == []
    assert len(wakeups) == 1


def test_a_moment_that_is_moved_replaces_the_old_one() -> None:
    clock = Clock()
    wakeups: Wakeups[str] = Wakeups(clock)
    wakeups.set("a", after(10))
    wakeups.set("a", after(30))
    wakeups.set("b", after(10))
    wakeups.set("b", None)
    clock.now = after(20)
    assert wakeups.due() == []
    clock.now = after(30)
    assert wakeups.due() == ["a"]


def test_moments_that_move_all_the_time_do_not_pile_up() -> None:
    timers: Timers[int] = Timers(lambda: 0.0)
    for second in range(1, 20_000):
        timers.set(second % 8, second)
    assert len(timers) == 8
    assert len(timers._heap) < 2000


async def test_the_next_key_is_the_one_whose_moment_comes_first() -> None:
    timers: Timers[str] = Timers(time.monotonic)
    now = time.monotonic()
    for key, seconds in (("second", 0.1), ("first", 0.05), ("never", 0.01), ("late", 20)):
        timers.set(key, now + seconds)
    timers.set("never", None)
    async with asyncio.timeout(1):
        assert [await timers.next(), await timers.next()] == ["first", "second"]
    assert time.monotonic() - now >= 0.1
    assert len(timers) == 1


async def test_waiting_ends_at_the_earliest_moment_and_when_an_earlier_one_comes() -> None:
    wakeups: Wakeups[str] = Wakeups(lambda: datetime.now(UTC))
    wakeups.set("late", datetime.now(UTC) + timedelta(seconds=20))
    waiting = asyncio.create_task(wakeups.wait())
    await asyncio.sleep(0.01)
    wakeups.set("soon", datetime.now(UTC) + timedelta(seconds=0.05))
    await asyncio.wait_for(waiting, 1)
    await asyncio.wait_for(wakeups.wait(), 1)
    assert wakeups.due() == ["soon"]
