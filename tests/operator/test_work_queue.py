"""The queue of objects to look at again."""

import asyncio

import pytest

from reactorsync_operator.work_queue import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    WorkQueue,
)


class Clock:
    """Monotonic seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue[str]:
    return WorkQueue(clock)


def taken(queue: WorkQueue[str]) -> list[str]:
    """Take and finish everything that waits."""
    found = []
    while (key := queue.take()) is not None:
        found.append(key)
        queue.done(key)
    return found


def test_a_key_waits_once_however_often_it_is_marked(queue: WorkQueue[str]) -> None:
    for key in "abaacb":
        queue.add(key)
    assert len(queue) == 3
    assert taken(queue) == ["a", "b", "c"]
    assert queue.idle


def test_marked_while_being_worked_on_it_comes_again(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert queue.take() == "a"
    queue.add("a")
    assert queue.take() is None, "nobody works on a key twice at a time"
    queue.done("a")
    assert taken(queue) == ["a"]


def test_what_failed_comes_back_after_growing_pauses(queue: WorkQueue[str], clock: Clock) -> None:
    pauses = []
    queue.add("a")
    for _ in range(14):
        assert queue.take() == "a"
        pauses.append(queue.retry("a"))
        assert queue.take() is None
        assert not queue.idle
        clock.now += pauses[-1]
    assert FIRST_PAUSE_SECONDS / 2 <= pauses[0] <= FIRST_PAUSE_SECONDS
    assert pauses[5] > pauses[0] * 8
    assert LONGEST_PAUSE_SECONDS / 2 <= pauses[-1] <= LONGEST_PAUSE_SECONDS


def test_marks_do_not_shorten_the_pause_of_what_failed(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add("a")
    for _ in range(6):
        assert queue.take() == "a"
        queue.add("a")
        pause = queue.retry("a")
        queue.add("a")
        assert len(queue) == 1
        assert queue.take() is None
        clock.now += pause
    assert taken(queue) == ["a"]
    clock.now += LONGEST_PAUSE_SECONDS
    assert queue.idle, "there was one moment for it, however often it was marked"


def test_a_success_makes_the_pauses_small_again(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add("a")
    for _ in range(6):
        queue.take()
        clock.now += queue.retry("a")
    assert taken(queue) == ["a"]
    queue.add("a")
    queue.take()
    assert queue.retry("a") <= FIRST_PAUSE_SECONDS


def test_others_do_not_wait_for_one_that_failed(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.take()
    queue.retry("a")
    queue.add("b")
    assert taken(queue) == ["b"]


async def test_waiting_ends_with_a_mark() -> None:
    queue: WorkQueue[str] = WorkQueue(asyncio.get_running_loop().time)
    waiting = asyncio.create_task(queue.wait())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    queue.add("a")
    await asyncio.wait_for(waiting, 1)


async def test_waiting_ends_when_a_failed_key_comes_back() -> None:
    queue: WorkQueue[str] = WorkQueue(asyncio.get_running_loop().time)
    queue.add("a")
    queue.take()
    queue.retry("a")
    await asyncio.wait_for(queue.wait(), 1)
    assert queue.take() == "a"


def test_the_oldest_mark_tells_how_long_it_waits() -> None:
    clock = [100.0]
    queue: WorkQueue[str] = WorkQueue(lambda: clock[0])
    assert queue.oldest_seconds == 0
    queue.add("a")
    clock[0] += 3
    queue.add("b")
    queue.add("a")
    clock[0] += 2
    assert queue.oldest_seconds == 5, "marking it again makes it no younger"
    assert queue.take() == "a"
    assert queue.oldest_seconds == 2
    queue.take()
    queue.retry("a")
    clock[0] += 0.01
    assert queue.oldest_seconds == 0, "a pause after a failure is not waiting"


def test_a_long_queue_that_moves_is_not_stuck() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    for name in ("first", "second", "third"):
        queue.add(name)
    assert queue.take() == "first"
    clock.now += 50
    assert queue.take() == "second"
    clock.now += 20
    assert queue.oldest_seconds == 70
    assert queue.stuck_seconds == 20, "since something was taken"
    assert queue.take() == "third"
    assert queue.stuck_seconds == 0, "nothing waits"
    clock.now += 100
    queue.add("fourth")
    clock.now += 5
    assert queue.stuck_seconds == 5, "nothing waited before"
