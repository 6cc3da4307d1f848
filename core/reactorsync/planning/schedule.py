"""When a scenario starts: by a time of its own, or by cron in a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from reactorsync.planning.cron import ticks_after, ticks_until
from reactorsync.planning.timeline import run_window
from reactorsync.resources import AnomalyScenario, condition_of
from reactorsync.resources.scenario import (
    ConcurrencyPolicy,
    ProbePhase,
    ScenarioMode,
    ScenarioState,
    Schedule,
    SuspendPolicy,
)
from reactorsync.resources.scenario_status import Run, RunPhase
from reactorsync.wire.envelope import from_micros

ON_TIME: Final = timedelta(seconds=5)
"""A run begun at most this late still counts its timeline from the tick of the schedule."""

INVALID: Final = "InvalidSpec"
"""The reason of ``Ready`` where the spec could not be read by whoever wrote the status."""

MISSED: Final = "Missed"
"""The reason of ``Succeeded`` where a run lay wholly in the past when it was first seen."""

OPEN_PHASES: Final = frozenset({RunPhase.PENDING, RunPhase.PROBING, RunPhase.RUNNING})


def next_tick(schedule: Schedule, *, after: datetime) -> datetime | None:
    """Return the first tick later than ``after``, ``None`` when there is none in 50 years."""
    return next(ticks_after(schedule, after), None)


def last_tick(schedule: Schedule, *, until: datetime) -> datetime | None:
    """Return the last tick that is not later than ``until``, ``None`` when there is none."""
    return next(ticks_until(schedule, until), None)


@dataclass(frozen=True, slots=True)
class Due:
    """What a schedule asks for.

    ``start`` is when the run that is due now starts, ``None`` when none is; ``next_time`` is the
    tick after that.
    """

    start: datetime | None
    next_time: datetime | None


def due(
    schedule: Schedule, *, promised: datetime | None, busy_until: datetime | None, now: datetime
) -> Due:
    """Return what is due, when ``promised`` is the tick that was announced.

    Of the ticks missed since then only the last counts, and only within the starting deadline.
    It starts at its tick when that is a few seconds ago, else now, so that its timeline is whole.
    ``busy_until`` is the end of the last run: under Forbid, ticks before it are skipped.
    """
    if promised is None or promised > now:
        return Due(start=None, next_time=promised)
    upcoming = next_tick(schedule, after=now)
    missed = last_tick(schedule, until=now) or promised
    late = now - missed
    overlapped = (
        schedule.concurrency_policy is ConcurrencyPolicy.FORBID
        and busy_until is not None
        and missed < busy_until
    )
    if overlapped or late > timedelta(seconds=schedule.starting_deadline_seconds):
        return Due(start=None, next_time=upcoming)
    return Due(start=missed if late <= ON_TIME else now, next_time=upcoming)


def run_end(
    scenario: AnomalyScenario, start: datetime, *, decided_at: datetime | None = None
) -> datetime:
    """Return when a run that starts at ``start`` ends by itself.

    Under a schedule that replaces, that is the next tick at the latest, counted from ``decided_at``
    when that is later: ticks that passed before do not cut a run short.
    """
    spec = scenario.spec
    cut = None
    if spec.schedule is not None and spec.schedule.concurrency_policy is ConcurrencyPolicy.REPLACE:
        cut = next_tick(spec.schedule, after=max(start, decided_at or start))
    return from_micros(run_window(spec, start, cut=cut).end_us)


def promised_tick(scenario: AnomalyScenario, now: datetime) -> datetime | None:
    """Return the tick that a schedule's next run waits for; it may lie in the past.

    That is the one announced in the status. After a change of the spec, be it a new expression or
    the end of a suspension, only ticks from now on count.
    """
    schedule, status, metadata = scenario.spec.schedule, scenario.status, scenario.metadata
    if schedule is None:
        return None
    if status.observed_generation == 0:
        return next_tick(schedule, after=metadata.creation_timestamp or now)
    if is_planned(scenario) and status.next_run_time is not None:
        return status.next_run_time
    return next_tick(schedule, after=now)


def wants_new_run(scenario: AnomalyScenario) -> bool:
    """Return whether a run is owed that no schedule asks for: the first one, or one by token.

    A run that was missed has injected nothing: it is owed again once its start is corrected.
    """
    spec, run = scenario.spec, scenario.status.run
    if run is None:
        return spec.schedule is None
    if run.token != spec.run_token:
        return True
    return was_missed(scenario) and spec.schedule is None and spec.start_time != run.start_time


def was_missed(scenario: AnomalyScenario) -> bool:
    """Return whether the last run lay wholly in the past when it was first seen."""
    outcome = condition_of(scenario.status.conditions, "Succeeded")
    return outcome is not None and outcome.reason == MISSED and not is_open(scenario.status.run)


def own_start(scenario: AnomalyScenario, *, rerun: bool, now: datetime) -> datetime:
    """Return when a run starts that no schedule asked for.

    A first run starts at ``startTime``, even if that is past, or ``startDelaySeconds`` after the
    creation; a re-run counts its delay from now and ignores a start time that is past.
    """
    spec, created = scenario.spec, scenario.metadata.creation_timestamp or now
    if spec.start_time is not None:
        return max(spec.start_time, now) if rerun else spec.start_time
    delay = timedelta(seconds=spec.start_delay_seconds or 0)
    return now + delay if rerun else max(created + delay, now)


def is_rerun(scenario: AnomalyScenario) -> bool:
    """Return whether the next run follows one that may have injected something."""
    return scenario.status.run is not None and not was_missed(scenario)


def next_run(scenario: AnomalyScenario, start: datetime) -> Run:
    """Return the run after the last one, were it to start at ``start``."""
    last = scenario.status.run
    return Run(
        number=1 if last is None else last.number + 1,
        token=scenario.spec.run_token,
        phase=RunPhase.PENDING,
        start_time=start,
        end_time=run_end(scenario, start),
    )


def expected_start(scenario: AnomalyScenario, now: datetime) -> datetime | None:
    """Return when the run in hand started, or the next one will; ``None`` when none is to come."""
    spec, run = scenario.spec, scenario.status.run
    if is_open(run) and run is not None and run.token == spec.run_token:
        held = now - run.held_since if run.held_since is not None else timedelta()
        return run.start_time + held
    if spec.state is not ScenarioState.ACTIVE:
        return None
    if wants_new_run(scenario):
        return own_start(scenario, rerun=is_rerun(scenario), now=now)
    promised = promised_tick(scenario, now)
    if spec.schedule is not None and promised is not None and promised <= now:
        busy_until = run.end_time if run is not None else None
        asked = due(spec.schedule, promised=promised, busy_until=busy_until, now=now)
        return asked.start or asked.next_time
    return promised


def is_open(run: Run | None) -> bool:
    """Return whether the run has not ended."""
    return run is not None and run.phase in OPEN_PHASES


def is_held(scenario: AnomalyScenario) -> bool:
    """Return whether the clock of a run is to stand still."""
    spec = scenario.spec
    return spec.state is ScenarioState.SUSPENDED and spec.suspend_policy is SuspendPolicy.HOLD_CLOCK


def probes_before(scenario: AnomalyScenario) -> bool:
    """Return whether a run has to wait for probes before it may inject."""
    return any(probe.phase is ProbePhase.BEFORE for probe in scenario.spec.probes)


def is_planned(scenario: AnomalyScenario) -> bool:
    """Return whether the status is that of the spec as it is.

    One that says that the spec cannot be read was made from none, whatever generation it tells of.
    """
    status = scenario.status
    if scenario.metadata.generation != status.observed_generation:
        return False
    ready = condition_of(status.conditions, "Ready")
    return ready is None or ready.reason != INVALID


def is_reopened(scenario: AnomalyScenario) -> bool:
    """Return whether an edit has opened again what was decided of a run: nothing is injected yet.

    Until that edit was planned nobody knows whether the run may go on, and with whom.
    """
    run = scenario.status.run
    return (
        run is not None and is_open(run) and run.injected_time is None and not is_planned(scenario)
    )


def is_live(scenario: AnomalyScenario) -> bool:
    """Return whether the scenario's faults are to be in the desired state now.

    Only a run that stands in the status counts, because its start is fixed there; a run whose token
    was replaced, that was suspended or aborted, whose clock stands still, that was reopened by an
    edit, or that has not passed its Before probes does not.
    """
    spec, run = scenario.spec, scenario.status.run
    return (
        spec.mode is ScenarioMode.RUN
        and spec.state is ScenarioState.ACTIVE
        and scenario.metadata.deletion_timestamp is None
        and run is not None
        and (run.phase is RunPhase.RUNNING or _starts_by_itself(scenario, run))
        and run.held_since is None
        and run.token == spec.run_token
        and not is_reopened(scenario)
    )


def _starts_by_itself(scenario: AnomalyScenario, run: Run) -> bool:
    return run.phase is RunPhase.PENDING and not probes_before(scenario)
