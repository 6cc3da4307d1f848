"""When a scenario starts, by cron in a time zone or by a time of its own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from reactorsync.planning.schedule import (
    Due,
    due,
    expected_start,
    is_live,
    last_tick,
    next_tick,
    own_start,
    promised_tick,
    run_end,
)
from reactorsync.resources import AnomalyScenarioStatus
from reactorsync.resources.scenario import Schedule
from reactorsync.resources.scenario_status import Run, RunPhase
from tests.core.planning.build import NOON, after, edited, scenario

STEADY = [{"name": "steady", "phase": "Before", "alarm": {"signal": "primary_pressure_mpa"}}]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def daily(zone: str, cron: str = "30 3 * * *") -> Schedule:
    return Schedule(cron=cron, time_zone=zone)


def ticks(schedule: Schedule, after: datetime, count: int) -> list[datetime]:
    found: list[datetime] = []
    for _ in range(count):
        tick = next_tick(schedule, after=after)
        assert tick is not None
        found.append(tick)
        after = tick
    return found


@pytest.mark.parametrize(
    ("schedule", "start", "expected"),
    [
        pytest.param(
            daily("UTC"),
            "2026-06-01T03:30",
            ["2026-06-02T03:30", "2026-06-03T03:30"],
            id="a tick is later than the moment asked for",
        ),
        pytest.param(
            daily("Europe/Bucharest"),
            "2026-03-28T02:00",
            # 03:30 does not exist on the 29th: the clock goes from 03:00 to 04:00.
            ["2026-03-29T01:00", "2026-03-30T00:30"],
            id="in the gap of spring the job runs at its end",
        ),
        pytest.param(
            daily("Europe/Bucharest"),
            "2026-10-24T12:00",
            ["2026-10-25T00:30", "2026-10-26T01:30"],
            id="in the repeated hour of autumn the job runs once",
        ),
        pytest.param(
            daily("Europe/Bucharest"),
            "2026-10-25T01:10",
            ["2026-10-26T01:30"],
            id="asked within the second passage of the hour, it does not run again",
        ),
        pytest.param(
            daily("Europe/Bucharest", "*/30 * * * *"),
            "2026-10-24T23:45",
            [
                "2026-10-25T00:00",
                "2026-10-25T00:30",
                "2026-10-25T01:00",
                "2026-10-25T01:30",
                "2026-10-25T02:00",
            ],
            id="a job that repeats within the hour follows the real time in autumn",
        ),
        pytest.param(
            daily("America/New_York", "0 9 * * MON-FRI"),
            "2026-03-06T15:00",
            ["2026-03-09T13:00", "2026-03-10T13:00"],
            id="working days, across the American change of time",
        ),
        pytest.param(
            daily("Asia/Kolkata", "0 0 1 * *"),
            "2026-06-01T00:00",
            ["2026-06-30T18:30"],
            id="a zone of half hours",
        ),
    ],
)
def test_the_next_tick(schedule: Schedule, start: str, expected: list[str]) -> None:
    assert ticks(schedule, utc(start), len(expected)) == [utc(one) for one in expected]


@pytest.mark.parametrize("cron", ["30 3 * *", "0 30 3 * * *", "30 3 * * * 2030", "", "@daily"])
def test_only_five_fields_are_a_schedule(cron: str) -> None:
    with pytest.raises(ValidationError, match="must be a five-field cron expression"):
        Schedule(cron=cron)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Bucharest", "America/New_York"])
@pytest.mark.parametrize("cron", ["30 3 * * *", "*/30 * * * *", "15 2,3 * * *", "30 2-4 * * *"])
@pytest.mark.parametrize("day", ["2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01"])
def test_looking_back_finds_the_ticks_that_looking_ahead_found(
    zone: str, cron: str, day: str
) -> None:
    schedule = daily(zone, cron)
    start = utc(f"{day}T00:00") - timedelta(hours=12)
    ahead = ticks(schedule, start, 60)
    for quarter in range(4, 4 * 24):
        now = start + timedelta(minutes=15 * quarter)
        passed = [tick for tick in ahead if tick <= now]
        if passed:
            assert last_tick(schedule, until=now) == passed[-1]


def test_a_date_that_never_comes_has_no_tick() -> None:
    assert next_tick(Schedule(cron="0 0 31 2 1"), after=NOON) is not None  # or a Monday in February
    assert next_tick(Schedule(cron="0 0 29 2 *"), after=NOON) == utc("2028-02-29T00:00")


class TestDue:
    """Every ten minutes; the tick of noon was announced."""

    schedule = Schedule(cron="*/10 * * * *")

    def asked(self, seconds: float, *, busy_until: float | None = None, **changes: Any) -> Due:
        schedule = Schedule.model_validate({**self.schedule.to_json(), **changes})
        busy = after(busy_until) if busy_until is not None else None
        return due(schedule, promised=NOON, busy_until=busy, now=after(seconds))

    def test_nothing_is_due_before_the_tick(self) -> None:
        assert self.asked(-1) == Due(start=None, next_time=NOON)

    def test_at_the_tick_the_run_starts(self) -> None:
        assert self.asked(0) == Due(start=NOON, next_time=after(600))

    def test_a_little_late_it_still_starts_at_the_tick(self) -> None:
        assert self.asked(4).start == NOON

    def test_a_run_that_was_missed_catches_up_with_its_whole_timeline(self) -> None:
        assert self.asked(120).start == after(120)

    def test_after_the_deadline_it_is_skipped(self) -> None:
        assert self.asked(301) == Due(start=None, next_time=after(600))

    def test_of_many_that_were_missed_only_the_last_counts(self) -> None:
        assert self.asked(3600 + 60) == Due(start=after(3660), next_time=after(4200))
        assert self.asked(3600 + 301).start is None

    def test_forbid_skips_a_run_that_is_due_while_one_goes_on(self) -> None:
        assert self.asked(1, busy_until=30) == Due(start=None, next_time=after(600))

    def test_forbid_lets_a_run_start_as_the_one_before_ends(self) -> None:
        assert self.asked(0, busy_until=0).start == NOON

    def test_replace_starts_all_the_same(self) -> None:
        assert self.asked(1, busy_until=30, concurrencyPolicy="Replace").start == NOON


def test_a_schedule_that_replaces_ends_a_run_at_the_next_tick() -> None:
    every_five = {"cron": "*/5 * * * *", "concurrencyPolicy": "Replace"}
    assert run_end(scenario(schedule=every_five), NOON) == after(300)
    assert run_end(scenario(schedule={"cron": "*/5 * * * *"}), NOON) == after(600)


@pytest.mark.parametrize(
    ("spec", "rerun", "now", "start"),
    [
        ({}, False, 5, 5),
        ({}, True, 5, 5),
        ({"startDelaySeconds": 60}, False, 5, 60),
        ({"startDelaySeconds": 60}, False, 90, 90),
        ({"startDelaySeconds": 60}, True, 90, 150),
        ({"startTime": "2026-06-01T12:10:00Z"}, False, 5, 600),
        ({"startTime": "2026-06-01T12:10:00Z"}, False, 700, 600),
        ({"startTime": "2026-06-01T12:10:00Z"}, True, 700, 700),
        ({"startTime": "2026-06-01T12:10:00Z"}, True, 5, 600),
    ],
)
def test_starts_that_no_schedule_asks_for(
    spec: dict[str, Any], rerun: bool, now: float, start: float
) -> None:
    assert own_start(scenario(**spec), rerun=rerun, now=after(now)) == after(start)


class TestPromisedTick:
    """The tick a schedule waits for."""

    planned = AnomalyScenarioStatus(observed_generation=1, next_run_time=after(60))
    stored = scenario(schedule={"cron": "*/10 * * * *"}, status=planned)

    def test_at_first_it_is_the_first_after_the_creation_even_if_that_is_past(self) -> None:
        fresh = scenario(schedule={"cron": "*/10 * * * *"}, created=after(-30))
        assert promised_tick(fresh, after(100)) == NOON

    def test_then_it_is_the_announced_one_even_if_that_is_past(self) -> None:
        assert promised_tick(self.stored, after(700)) == after(60)

    def test_an_edit_lets_only_later_ticks_count(self) -> None:
        changed = edited(self.stored, schedule={"cron": "*/5 * * * *"})
        assert promised_tick(changed, after(700)) == after(900)


@pytest.mark.parametrize(
    ("spec", "phase", "live"),
    [
        ({}, RunPhase.RUNNING, True),
        ({}, RunPhase.PENDING, True),
        ({}, RunPhase.COMPLETED, False),
        ({}, RunPhase.ABORTED, False),
        ({"state": "Suspended"}, RunPhase.RUNNING, False),
        ({"state": "Aborted"}, RunPhase.RUNNING, False),
        ({"mode": "DryRun"}, RunPhase.RUNNING, False),
        ({"runToken": "again"}, RunPhase.RUNNING, False),
        ({"probes": STEADY}, RunPhase.PENDING, False),
        ({"probes": STEADY}, RunPhase.PROBING, False),
        ({"probes": STEADY}, RunPhase.RUNNING, True),
        ({}, None, False),
    ],
)
def test_only_a_run_that_stands_in_the_status_and_is_wanted_is_live(
    spec: dict[str, Any], phase: RunPhase | None, live: bool
) -> None:
    run = None
    if phase is not None:
        run = Run(number=1, phase=phase, start_time=NOON, end_time=after(600))
    status = AnomalyScenarioStatus(observed_generation=1, run=run)
    assert is_live(scenario(**spec, status=status)) is live


@pytest.mark.parametrize("phase", [RunPhase.PENDING, RunPhase.RUNNING])
def test_an_edit_before_anything_was_injected_is_not_live_until_it_was_planned(
    phase: RunPhase,
) -> None:
    run = Run(number=1, phase=phase, start_time=NOON, end_time=after(600))
    planned = scenario(status=AnomalyScenarioStatus(observed_generation=1, run=run))
    assert not is_live(edited(planned, priority=3))
    injected = run.model_copy(update={"injected_time": NOON})
    frozen = scenario(status=AnomalyScenarioStatus(observed_generation=1, run=injected))
    assert is_live(edited(frozen, priority=3))


@pytest.mark.parametrize(
    ("spec", "start"),
    [
        ({}, 30),
        ({"startDelaySeconds": 90}, 90),
        ({"schedule": {"cron": "*/10 * * * *"}}, 600),
        ({"state": "Suspended"}, None),
        ({"state": "Aborted"}, None),
    ],
)
def test_the_expected_start_of_a_scenario_that_has_not_run(
    spec: dict[str, Any], start: float | None
) -> None:
    expected = after(start) if start is not None else None
    assert expected_start(scenario(**spec), after(30)) == expected


def test_a_run_whose_clock_stands_still_is_not_live_and_starts_later_by_that_much() -> None:
    run = Run(
        number=1,
        phase=RunPhase.RUNNING,
        start_time=NOON,
        end_time=after(600),
        held_since=after(100),
    )
    held = scenario(status=AnomalyScenarioStatus(run=run))
    assert not is_live(held)
    assert expected_start(held, after(150)) == after(50)


def test_only_ticks_after_it_was_decided_cut_a_run_short() -> None:
    every_five = {"cron": "*/5 * * * *", "concurrencyPolicy": "Replace"}
    replacing = scenario(schedule=every_five)
    assert run_end(replacing, NOON) == after(300)
    assert run_end(replacing, NOON, decided_at=after(310)) == after(600)


@pytest.mark.parametrize(
    ("cron", "start", "expected"),
    [
        pytest.param(
            "45 1 * * *",
            "2026-04-04T13:00",
            ["2026-04-04T14:45", "2026-04-05T15:15"],
            id="in the repeated half hour the job runs once",
        ),
        pytest.param(
            "15 2 * * *",
            "2026-10-03T13:00",
            ["2026-10-03T15:30", "2026-10-04T15:15"],
            id="in the half hour that is left out the job runs at its end",
        ),
        pytest.param(
            "*/15 * * * *",
            "2026-04-04T14:40",
            ["2026-04-04T14:45", "2026-04-04T15:00", "2026-04-04T15:15", "2026-04-04T15:30"],
            id="what repeats within the hour follows the real time",
        ),
    ],
)
def test_where_clocks_change_by_half_an_hour(cron: str, start: str, expected: list[str]) -> None:
    lord_howe = daily("Australia/Lord_Howe", cron)
    assert ticks(lord_howe, utc(start), len(expected)) == [utc(one) for one in expected]
