"""The moments that a cron expression means in a time zone.

At daylight-saving changes it means what it does to Debian's cron: a job at a fixed hour runs once
when the clock is set back, and at the end of the gap when the clock is set forward; a job whose
minutes or hours begin with ``*`` runs whenever the clock shows its time. A jump of more than three
hours is no daylight saving: what would have run meanwhile, on the day that Samoa left out in 2011,
does not run at all.

Source: cron(8) and ``main()`` in cron.c of Debian's cron 3.0pl1.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from heapq import merge
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim

from reactorsync.resources.scenario import Schedule

LONGEST_CHANGE: Final = timedelta(hours=3)
"""By how much a clock is set at most, for that to be daylight saving."""

_MINUTE: Final = timedelta(minutes=1)
_OFFSETS_FROM: Final = datetime(2000, 1, 1, tzinfo=UTC)
_OFFSETS_WEEKS: Final = 40 * 52
"""Long enough to meet every offset of a zone's present rules, which then repeat."""


def ticks_after(schedule: Schedule, moment: datetime) -> Iterator[datetime]:
    """Yield the ticks later than ``moment``, in UTC, until there is none in 50 years."""
    return (tick for tick in _ticks(schedule, moment, backward=False) if tick > moment)


def ticks_until(schedule: Schedule, moment: datetime) -> Iterator[datetime]:
    """Yield the ticks not later than ``moment``, in UTC and the last one first."""
    return (tick for tick in _ticks(schedule, moment, backward=True) if tick <= moment)


def _ticks(schedule: Schedule, moment: datetime, *, backward: bool) -> Iterator[datetime]:
    minutes, hours = schedule.cron.split()[:2]
    follows_the_clock = minutes.startswith("*") or hours.startswith("*")
    passages = _every_passage if follows_the_clock else _first_passages
    return passages(schedule.cron, ZoneInfo(schedule.time_zone), moment, backward=backward)


def _every_passage(
    cron: str, zone: ZoneInfo, moment: datetime, *, backward: bool
) -> Iterator[datetime]:
    """Yield every moment at which the clock shows a time of the job."""

    def passages(offset: timedelta) -> Iterator[tuple[datetime, timedelta]]:
        shown_now = (moment + offset).replace(tzinfo=None)
        begin = shown_now + _MINUTE if backward else shown_now
        for shown in CronSim(cron, begin, reverse=backward):
            yield shown.replace(tzinfo=UTC) - offset, offset

    for passage, offset in merge(*map(passages, _offsets(zone.key)), reverse=backward):
        if _offset(zone, passage) == offset:
            yield passage


def _first_passages(
    cron: str, zone: ZoneInfo, moment: datetime, *, backward: bool
) -> Iterator[datetime]:
    """Yield when the clock first shows each time of the job, or is set forward over it."""
    shown_now = moment.astimezone(zone).replace(tzinfo=None)
    # Before it was set back, the clock was ahead of what it shows now.
    begin = shown_now + LONGEST_CHANGE + _MINUTE if backward else shown_now
    times = CronSim(cron, begin, reverse=backward)
    # All that a jump passes over runs together, once, and with what is due at its end.
    for passage, _ in groupby(_first_passage(shown, zone) for shown in times):
        if passage is not None:
            yield passage


def _first_passage(shown: datetime, zone: ZoneInfo) -> datetime | None:
    """Return ``None`` where the clock jumps over that time and this is no daylight saving."""
    as_before, as_after = (shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if as_before <= as_after:
        return as_before
    # In a gap (PEP 495), the change lies between what the offsets before and after it make of it.
    if as_before - as_after > LONGEST_CHANGE:
        return None
    change, offset = as_after, _offset(zone, as_after)
    while _offset(zone, change) == offset:
        change += _MINUTE
    return change


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


@lru_cache(maxsize=64)
def _offsets(zone_name: str) -> tuple[timedelta, ...]:
    """Return by how much the clocks of a zone have differed, and will differ, from UTC."""
    zone = ZoneInfo(zone_name)
    weeks = (_OFFSETS_FROM + timedelta(weeks=number) for number in range(_OFFSETS_WEEKS))
    return tuple(sorted({_offset(zone, week) for week in weeks}))
