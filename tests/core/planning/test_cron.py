"""Ticks of cron expressions against a clock on the wall that is looked at every minute."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest

from reactorsync.planning.cron import ticks_after, ticks_until
from reactorsync.resources.scenario import Schedule

MINUTE = timedelta(minutes=1)
HOURS_3 = timedelta(hours=3)

Matches = Callable[[datetime], bool]

JOBS: dict[str, Matches] = {
    "* * * * *": lambda _shown: True,
    "*/15 * * * *": lambda shown: shown.minute % 15 == 0,
    "30 * * * *": lambda shown: shown.minute == 30,
    "0 * * * *": lambda shown: shown.minute == 0,
    "15,45 * * * *": lambda shown: shown.minute in (15, 45),
    "30 */2 * * *": lambda shown: shown.minute == 30 and shown.hour % 2 == 0,
    "*/20 2 * * *": lambda shown: shown.minute % 20 == 0 and shown.hour == 2,
    "15 2 * * *": lambda shown: (shown.hour, shown.minute) == (2, 15),
    "45 1 * * *": lambda shown: (shown.hour, shown.minute) == (1, 45),
    "0 0 * * *": lambda shown: (shown.hour, shown.minute) == (0, 0),
    "0,30 1-3 * * *": lambda shown: shown.minute in (0, 30) and 1 <= shown.hour <= 3,
    "59 23 * * 6": lambda shown: (shown.hour, shown.minute, shown.isoweekday()) == (23, 59, 6),
    "30 0-23 * * *": lambda shown: shown.minute == 30,
}

SHIFTS = [
    # Zones, and the first of three days in UTC: within them the clock is set.
    ("Australia/Lord_Howe", "2026-04-04"),  # set back by 30 minutes
    ("Australia/Lord_Howe", "2026-10-03"),  # set forward by 30 minutes
    ("America/St_Johns", "2026-03-07"),
    ("America/St_Johns", "2026-10-31"),
    ("America/St_Johns", "2006-04-01"),  # at one minute past midnight
    ("America/St_Johns", "2006-10-28"),
    ("Europe/Berlin", "2026-03-28"),
    ("Europe/Berlin", "2026-10-24"),
    ("America/Sao_Paulo", "2018-11-03"),  # there is no midnight
    ("Africa/Casablanca", "2026-02-14"),  # for Ramadan
    ("Africa/Casablanca", "2026-03-21"),
    ("Antarctica/Troll", "2026-03-28"),  # by two hours
    ("Antarctica/Troll", "2026-10-24"),
    ("Pacific/Apia", "2011-12-29"),  # a day is left out
    ("Asia/Pyongyang", "2015-08-14"),  # for good
    ("Asia/Kathmandu", "2026-04-04"),
    ("UTC", "2026-03-28"),
]


@cache
def clock(zone: str, day: str) -> list[tuple[datetime, datetime]]:
    """Return each minute of three days, and what the clock on the wall shows then."""
    start, local = datetime.fromisoformat(day).replace(tzinfo=UTC), ZoneInfo(zone)
    minutes = (start + number * MINUTE for number in range(3 * 24 * 60))
    return [(minute, minute.astimezone(local).replace(tzinfo=None)) for minute in minutes]


def looked_up(cron: str, zone: str, day: str) -> list[datetime]:
    """Return when a job runs by cron(8): what the clock shows, minute by minute, and its jumps."""
    matches, minutes = JOBS[cron], clock(zone, day)
    if any(field.startswith("*") for field in cron.split()[:2]):
        return [minute for minute, shown in minutes if matches(shown)]
    ran, furthest = [], minutes[0][1] - MINUTE
    for minute, shown in minutes:
        # What is shown again has run; what was jumped over runs now.
        is_jump_of_summer = MINUTE < shown - furthest <= HOURS_3 + MINUTE
        first = furthest + MINUTE if is_jump_of_summer else max(shown, furthest + MINUTE)
        new = (first + number * MINUTE for number in range((shown - first) // MINUTE + 1))
        if any(matches(one) for one in new):
            ran.append(minute)
        furthest = max(furthest, shown)
    return ran


@pytest.mark.parametrize("cron", JOBS)
@pytest.mark.parametrize(("zone", "day"), SHIFTS)
def test_a_job_runs_when_a_clock_that_is_looked_at_every_minute_says_so(
    cron: str, zone: str, day: str
) -> None:
    expected, schedule = looked_up(cron, zone, day), Schedule(cron=cron, time_zone=zone)
    first, last = clock(zone, day)[0][0], clock(zone, day)[-1][0]
    assert list(islice(ticks_after(schedule, first - MINUTE), len(expected))) == expected
    assert list(islice(ticks_until(schedule, last), len(expected))) == expected[::-1]


@pytest.mark.parametrize(("zone", "day"), SHIFTS)
@pytest.mark.parametrize("cron", ["30 * * * *", "15 2 * * *", "0,30 1-3 * * *"])
def test_from_any_moment_on_the_ticks_are_the_same(cron: str, zone: str, day: str) -> None:
    expected, schedule = looked_up(cron, zone, day), Schedule(cron=cron, time_zone=zone)
    for minute, _ in clock(zone, day)[: 2 * 24 * 60 : 15]:
        for moment in (minute, minute + timedelta(microseconds=1)):
            assert next(ticks_after(schedule, moment)) == next(t for t in expected if t > moment)
            if passed := [tick for tick in expected if tick <= moment]:
                assert next(ticks_until(schedule, moment)) == passed[-1]


def test_a_job_of_every_hour_runs_at_most_an_hour_after_the_last_time() -> None:
    lord_howe = Schedule(cron="30 * * * *", time_zone="Australia/Lord_Howe")
    year = datetime(2026, 1, 1, tzinfo=UTC)
    ticks = list(islice(ticks_after(lord_howe, year), 365 * 24))
    pauses = {after - before for before, after in pairwise(ticks)}
    assert pauses == {timedelta(minutes=30), timedelta(hours=1)}


def test_on_the_day_that_samoa_left_out_nothing_runs() -> None:
    daily = Schedule(cron="30 3 * * *", time_zone="Pacific/Apia")
    begin = datetime(2011, 12, 29, tzinfo=UTC)
    shown = [
        f"{tick.astimezone(ZoneInfo('Pacific/Apia')):%d %H:%M}"
        for tick in islice(ticks_after(daily, begin), 3)
    ]
    assert shown == ["29 03:30", "31 03:30", "01 03:30"]
