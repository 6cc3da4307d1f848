"""Whether a process may still speak for its shards."""

import asyncio

import pytest

from reactorsync_generator.lease import Lease
from tests.generator.reactors import SECOND, START

SESSION_US = 2 * SECOND


class HandClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time_us = START

    def now_us(self) -> int:
        return self.time_us

    async def sleep_until(self, time_us: int) -> None:
        self.time_us = max(self.time_us, time_us)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def lease(clock: HandClock) -> Lease:
    return Lease(clock, session_timeout_us=SESSION_US)


def test_it_holds_while_the_process_runs(lease: Lease, clock: HandClock) -> None:
    for _ in range(100):
        clock.time_us += SECOND
        assert lease.look()


def test_a_standstill_longer_than_the_session_puts_it_in_doubt(
    lease: Lease, clock: HandClock
) -> None:
    clock.time_us += SESSION_US + 1
    assert not lease.look()
    clock.time_us += 1
    assert not lease.look(), "looking again does not help"
    lease.confirm()
    assert lease.look()


def test_an_assignment_that_does_not_come_puts_it_in_doubt(lease: Lease, clock: HandClock) -> None:
    lease.rebalancing()
    for _ in range(4):
        clock.time_us += SECOND
        assert lease.look()
    clock.time_us += 1
    assert not lease.look()


def test_an_assignment_in_time_leaves_it_held(lease: Lease, clock: HandClock) -> None:
    lease.rebalancing()
    clock.time_us += SECOND
    lease.confirm()
    for _ in range(10):
        clock.time_us += SECOND
        assert lease.look()


def test_a_clock_that_is_set_back_changes_nothing(lease: Lease, clock: HandClock) -> None:
    clock.time_us -= 3600 * SECOND
    assert lease.look()


async def test_who_waits_for_it_goes_on_when_it_is_confirmed(
    lease: Lease, clock: HandClock
) -> None:
    clock.time_us += SESSION_US + 1
    waiting = asyncio.create_task(lease.held())
    await asyncio.wait_for(lease.doubted(), timeout=1)
    assert not waiting.done()
    lease.confirm()
    await asyncio.wait_for(waiting, timeout=1)
