"""The life of a run: when one begins, goes on, ends and gives way to the next.

A run is fixed in the status, with its number and its start, before any of its faults is published.
Whoever reads the status therefore goes on with the same run, however often the operator restarts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from reactorsync.planning.schedule import (
    Due,
    due,
    is_open,
    own_start,
    promised_tick,
    run_end,
    wants_new_run,
)
from reactorsync.planning.targets import Selection
from reactorsync.resources import AnomalyScenario
from reactorsync.resources.scenario import (
    Run,
    RunPhase,
    RunSummary,
    ScenarioMode,
    ScenarioState,
    TargetPolicy,
)

HISTORY_WITHOUT_SCHEDULE: Final = 20


@dataclass(frozen=True, slots=True)
class Advance:
    """Where the runs of a scenario stand.

    Attributes:
        run: the current or last run.
        history: runs before it, newest first.
        next_run_time: tick of the schedule that comes next.
    """

    run: Run | None
    history: tuple[RunSummary, ...]
    next_run_time: datetime | None


def advance(scenario: AnomalyScenario, selection: Selection, now: datetime) -> Advance:
    """Return where the runs stand at ``now``: end what is over, begin what is due."""
    spec, status = scenario.spec, scenario.status
    run = status.run
    if run is not None and is_open(run):
        run = _carried_on(scenario, run, selection, now)
    standing = Advance(run, tuple(status.history), None)
    if spec.state is not ScenarioState.ACTIVE or spec.mode is not ScenarioMode.RUN:
        return standing
    asked = _asked(scenario, run, now)
    standing = replace(standing, next_run_time=asked.next_time)
    start = _start(scenario, run, selection, asked=asked, now=now)
    if start is None:
        return standing
    return Advance(
        run=_begun(scenario, start, selection, now),
        history=_history(scenario, run),
        next_run_time=asked.next_time,
    )


def _asked(scenario: AnomalyScenario, run: Run | None, now: datetime) -> Due:
    """Return what the schedule asks for, nothing without one."""
    if scenario.spec.schedule is None:
        return Due(start=None, next_time=None)
    return due(
        scenario.spec.schedule,
        promised=promised_tick(scenario, now),
        busy_until=run.end_time if run is not None else None,
        now=now,
    )


def _start(
    scenario: AnomalyScenario,
    run: Run | None,
    selection: Selection,
    *,
    asked: Due,
    now: datetime,
) -> datetime | None:
    """Return when a new run starts, ``None`` when none is to begin."""
    if is_open(run):
        return None
    if not wants_new_run(scenario):
        return asked.start
    spec = scenario.spec
    at_once = spec.start_time is None and spec.start_delay_seconds is None
    if at_once and not selection.chosen:
        # A manifest may arrive before the reactors it is about.
        return None
    return own_start(scenario, rerun=run is not None, now=now)


def _begun(scenario: AnomalyScenario, start: datetime, selection: Selection, now: datetime) -> Run:
    last = scenario.status.run
    run = Run(
        number=1 if last is None else last.number + 1,
        token=scenario.spec.run_token,
        phase=RunPhase.PENDING,
        start_time=start,
        end_time=run_end(scenario, start),
    )
    if is_open(last):
        # The choice at hand is still that of the run before, so it is not yet closed for this one.
        return _at(scenario, run, None, now)
    return _at(scenario, run, selection, now)


def _carried_on(scenario: AnomalyScenario, run: Run, selection: Selection, now: datetime) -> Run:
    spec = scenario.spec
    start = run.start_time
    changed = scenario.metadata.generation != scenario.status.observed_generation
    if run.token != spec.run_token or spec.mode is not ScenarioMode.RUN:
        return _ended(run, now)
    if spec.state is ScenarioState.ABORTED:
        return _ended(run, now)
    if run.phase is RunPhase.PENDING and changed and now < start:
        if spec.schedule is not None:
            return _ended(run, now)
        start = own_start(scenario, rerun=run.number > 1, now=now)
    moved = run.model_copy(update={"start_time": start, "end_time": run_end(scenario, start)})
    return _at(scenario, moved, selection, now)


def _at(scenario: AnomalyScenario, run: Run, selection: Selection | None, now: datetime) -> Run:
    """Return an open run in the phase that it has at ``now``; its choice closes as it begins."""
    if now < run.start_time:
        return run.model_copy(update={"phase": RunPhase.PENDING})
    cutoff = run.selection_cutoff
    is_static = scenario.spec.targets.policy is TargetPolicy.STATIC
    if is_static and cutoff is None and selection is not None:
        cutoff = selection.cutoff
    if now < run.end_time:
        phase = RunPhase.RUNNING
    else:
        whole = run.start_time + timedelta(seconds=scenario.spec.run_seconds)
        phase = RunPhase.COMPLETED if run.end_time >= whole else RunPhase.ABORTED
    return run.model_copy(update={"phase": phase, "selection_cutoff": cutoff})


def _ended(run: Run, now: datetime) -> Run:
    """Return a run that is over: aborted now, or completed if its time had come already."""
    if run.end_time <= now:
        return run.model_copy(update={"phase": RunPhase.COMPLETED})
    return run.model_copy(update={"phase": RunPhase.ABORTED, "end_time": now})


def _history(scenario: AnomalyScenario, run: Run | None) -> tuple[RunSummary, ...]:
    """Return the past runs with ``run`` among them, as many as are to be kept."""
    schedule, status = scenario.spec.schedule, scenario.status
    limit = HISTORY_WITHOUT_SCHEDULE if schedule is None else schedule.history_limit
    if run is None:
        return tuple(status.history[:limit])
    summary = RunSummary(
        number=run.number,
        phase=run.phase,
        start_time=run.start_time,
        end_time=run.end_time,
        targets=status.targets.injected,
        score=status.score,
    )
    return (summary, *status.history)[:limit]
