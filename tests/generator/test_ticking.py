"""Which ticks are due."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorsync_generator.ticking import (
    GRID_US,
    Cadence,
    Due,
    boundary_after,
    boundary_before,
)

SECOND = 1_000_000
INTERVALS = st.sets(st.integers(1, 600).map(lambda tenths: 100 * tenths), min_size=1, max_size=4)
TIMES = st.integers(1_700_000_000 * SECOND, 1_700_000_600 * SECOND)


@pytest.mark.parametrize(
    ("time_us", "after", "before"),
    [(0, 0, 0), (1, GRID_US, 0), (GRID_US, GRID_US, GRID_US), (GRID_US + 1, 2 * GRID_US, GRID_US)],
)
def test_boundaries_are_multiples_of_the_grid(time_us: int, after: int, before: int) -> None:
    assert boundary_after(time_us) == after
    assert boundary_before(time_us) == before


def test_a_shard_without_running_reactors_has_no_ticks() -> None:
    cadence = Cadence.of_milliseconds([])
    assert cadence.next_due(0) is None
    assert cadence.due(last_us=0, now_us=10 * SECOND) is None


def test_the_next_tick_is_the_earliest_of_all_intervals() -> None:
    cadence = Cadence.of_milliseconds([1000, 300])
    assert cadence.next_due(0) == 300_000
    assert cadence.next_due(900_000) == SECOND
    assert cadence.next_due(SECOND) == 1_200_000


def test_a_tick_is_due_once() -> None:
    cadence = Cadence.of_milliseconds([1000])
    assert cadence.due(last_us=4 * SECOND, now_us=5 * SECOND) == Due(5 * SECOND, missed=0)
    assert cadence.due(last_us=5 * SECOND, now_us=5 * SECOND + 999_999) is None


def test_who_comes_late_makes_the_newest_tick_alone_and_counts_the_rest() -> None:
    cadence = Cadence.of_milliseconds([1000])
    assert cadence.due(last_us=5 * SECOND, now_us=9 * SECOND + 1) == Due(9 * SECOND, missed=3)


def test_a_clock_that_was_set_back_makes_no_tick_twice() -> None:
    cadence = Cadence.of_milliseconds([100])
    assert cadence.due(last_us=5 * SECOND, now_us=4 * SECOND) is None


def test_readings_are_late_when_the_next_tick_is_due() -> None:
    assert Cadence.of_milliseconds([1000, 400]).deadline(SECOND) == 1_200_000


@given(intervals=INTERVALS, last_us=TIMES, ahead_us=st.integers(0, 20 * SECOND))
def test_missed_ticks_and_the_due_one_are_all_ticks_that_passed(
    intervals: set[int], last_us: int, ahead_us: int
) -> None:
    cadence = Cadence.of_milliseconds(intervals)
    now_us = last_us + ahead_us
    passed = []
    tick_us = cadence.next_due(last_us)
    while tick_us is not None and tick_us <= now_us:
        passed.append(tick_us)
        tick_us = cadence.next_due(tick_us)
    expected = Due(passed[-1], missed=len(passed) - 1) if passed else None
    assert cadence.due(last_us=last_us, now_us=now_us) == expected
