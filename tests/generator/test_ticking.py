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
    assert cadence.due(last_us=4 * SECOND, now_us=5 * SECOND) == Due(
        (5 * SECOND,), deadlines_us=(6 * SECOND,), missed=0
    )
    assert cadence.due(last_us=5 * SECOND, now_us=5 * SECOND + 999_999) is None


def test_who_comes_late_makes_the_newest_tick_alone_and_counts_the_rest() -> None:
    cadence = Cadence.of_milliseconds([1000])
    assert cadence.due(last_us=5 * SECOND, now_us=9 * SECOND + 1) == Due(
        (9 * SECOND,), deadlines_us=(10 * SECOND,), missed=3
    )


@pytest.mark.parametrize(
    ("intervals", "wakes_at", "rows"),
    [
        ([100, 1000], 120, {100: 60, 1000: 60}),
        ([100, 1000], 999, {100: 60, 1000: 60}),
        ([100, 60_000], 120, {100: 60, 60_000: 1}),
        ([300, 700, 1000], 50, {300: 60, 700: 60, 1000: 60}),
        ([1000, 2000, 60_000], 350, {1000: 60, 2000: 30, 60_000: 1}),
    ],
)
def test_who_wakes_late_every_second_of_a_minute_starves_no_interval(
    intervals: list[int], wakes_at: int, rows: dict[int, int]
) -> None:
    cadence = Cadence.of_milliseconds(intervals)
    made = dict.fromkeys(intervals, 0)
    last_us, missed = 0, 0
    for second in range(1, 61):
        due = cadence.due(last_us=last_us, now_us=second * SECOND + wakes_at * 1000)
        assert due is not None
        for tick_us in due.ticks_us:
            for each in intervals:
                newest = tick_us + each * 1000 > due.ticks_us[-1]
                made[each] += newest and tick_us % (each * 1000) == 0
        last_us, missed = due.ticks_us[-1], missed + due.missed
    assert made == rows
    end_us = 60 * SECOND + wakes_at * 1000
    assert missed == sum(end_us // (each * 1000) - rows[each] for each in intervals)


def test_each_interval_has_its_own_newest_tick_and_the_older_comes_first() -> None:
    due = Cadence.of_milliseconds([100, 1000]).due(last_us=900_000, now_us=1_120_000)
    assert due is not None
    assert due.ticks_us == (SECOND, 1_100_000)
    assert due.missed == 1


def test_a_clock_that_was_set_back_makes_no_tick_twice() -> None:
    cadence = Cadence.of_milliseconds([100])
    assert cadence.due(last_us=5 * SECOND, now_us=4 * SECOND) is None


def test_readings_are_late_when_the_next_tick_of_their_own_interval_is_due() -> None:
    due = Cadence.of_milliseconds([1000, 100]).due(last_us=900_000, now_us=SECOND)
    assert due is not None
    assert due.ticks_us == (SECOND,)
    assert [due.late(at_us) for at_us in (SECOND, 1_100_000, 1_100_001, 2_000_001)] == [0, 0, 1, 2]


@given(intervals=INTERVALS, last_us=TIMES, ahead_us=st.integers(0, 20 * SECOND))
def test_missed_ticks_and_the_due_ones_are_all_ticks_that_passed(
    intervals: set[int], last_us: int, ahead_us: int
) -> None:
    now_us = last_us + ahead_us
    passed = {
        each: list(range(boundary_after(last_us + 1, 1000 * each), now_us + 1, 1000 * each))
        for each in intervals
    }
    newest = {ticks[-1] for ticks in passed.values() if ticks}
    due = Cadence.of_milliseconds(intervals).due(last_us=last_us, now_us=now_us)
    if due is None:
        assert not newest
    else:
        assert due.ticks_us == tuple(sorted(newest))
        assert due.missed == sum(len(ticks) - 1 for ticks in passed.values() if ticks)
