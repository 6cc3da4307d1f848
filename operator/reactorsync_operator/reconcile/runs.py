"""The life of a run: when one begins, goes on, ends and gives way to the next.

A run is fixed in the status, with its number and its start, before any of its faults is published.
Whoever reads the status therefore goes on with the same run, however often the operator restarts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from reactorsync.planning.schedule import (
    ON_TIME,
    Due,
    due,
    is_held,
    is_open,
    is_planned,
    is_reopened,
    is_rerun,
    last_tick,
    next_run,
    own_start,
    probes_before,
    promised_tick,
    run_end,
    wants_new_run,
)
from reactorsync.planning.targets import Selection
from reactorsync.resources import AnomalyScenario
from reactorsync.resources.scenario import ScenarioMode, ScenarioState, TargetPolicy
from reactorsync.resources.scenario_status import ProbeResult, Run, RunPhase, RunSummary
from reactorsync_operator.reconcile.guards import Refusal
from reactorsync_operator.reconcile.reasons import ScenarioReason
from reactorsync_operator.reconcile.verdict import BeforeState, Verdict

HISTORY_WITHOUT_SCHEDULE: Final = 20

_PROBED_PHASES: Final = frozenset({RunPhase.PROBING, RunPhase.RUNNING})


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the operator ended a run that nobody asked it to end, and the verdict it did that by."""

    reason: ScenarioReason
    message: str
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Referee:
    """What a run depends on beside the scenario and the time.

    Attributes:
        judge: what those who watch say of a run.
        refuse: why a run may not begin, ``None`` when it may.
        hold: why a run whose clock was held may not go on as yet, ``None`` when it may.
    """

    judge: Callable[[Run], Verdict]
    refuse: Callable[[Run], Refusal | None]
    hold: Callable[[Run], Refusal | None]


@dataclass(frozen=True, slots=True)
class Advance:
    """Where the runs of a scenario stand.

    Attributes:
        run: the current or last run.
        history: runs before it, newest first.
        next_run_time: tick of the schedule that comes next, or that is due and refused.
        ending: why the run was ended just now, unless the user asked for it or its time had come.
        refusal: why a run that is due does not begin, or one that was held does not go on.
        gives_up_at: until when a tick that is refused may still be made up for.
    """

    run: Run | None
    history: tuple[RunSummary, ...]
    next_run_time: datetime | None = None
    ending: Ending | None = None
    refusal: Refusal | None = None
    gives_up_at: datetime | None = None


def advance(
    scenario: AnomalyScenario, selection: Selection, now: datetime, *, referee: Referee
) -> Advance:
    """Return where the runs stand at ``now``: end what is over, begin what is due."""
    spec, status = scenario.spec, scenario.status
    run, ending, refusal = status.run, None, None
    if run is not None and is_open(run):
        run, refusal = _carried_on(scenario, run, selection, now, referee=referee)
        run, ending = _asked_again(scenario, run, now, referee=referee)
        if ending is None:
            run, ending = _judged(scenario, run, selection, now, referee=referee)
    refusal = refusal if is_open(run) else None
    standing = Advance(run, tuple(status.history), ending=ending, refusal=refusal)
    if (
        spec.state is not ScenarioState.ACTIVE
        or spec.mode is not ScenarioMode.RUN
        or scenario.metadata.deletion_timestamp is not None
    ):
        return standing
    asked = _asked(scenario, run, now)
    standing = replace(standing, next_run_time=asked.next_time)
    start = _start(scenario, run, selection, asked=asked, now=now)
    if start is None:
        return standing
    if _is_choice_of_last(scenario):
        # Who would be chosen is known once it is stored that the last run is over.
        return replace(standing, next_run_time=promised_tick(scenario, now))
    begun = _begun(scenario, start, selection, now)
    refusal = referee.refuse(begun) if is_open(begun) else None
    if refusal is not None:
        return _refused(scenario, standing, refusal, now)
    return Advance(
        run=begun, history=_history(scenario, run), next_run_time=asked.next_time, ending=None
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
    return own_start(scenario, rerun=is_rerun(scenario), now=now)


def _begun(scenario: AnomalyScenario, start: datetime, selection: Selection, now: datetime) -> Run:
    run = next_run(scenario, start)
    if run.end_time <= now:
        # Nothing can be injected any more, so there is nothing to probe for.
        return run.model_copy(update={"phase": RunPhase.COMPLETED})
    return _at(scenario, run, selection, now)


def _is_choice_of_last(scenario: AnomalyScenario) -> bool:
    """Return whether the reactors chosen are those of a run that the status calls open."""
    last = scenario.status.run
    return last is not None and is_open(last) and last.token == scenario.spec.run_token


def _refused(
    scenario: AnomalyScenario, standing: Advance, refusal: Refusal, now: datetime
) -> Advance:
    """Return the standing of a scenario whose run is due and may not begin.

    A tick of the schedule stays due as long as a run that was missed may be made up for.
    """
    schedule = scenario.spec.schedule
    if schedule is None or wants_new_run(scenario):
        return replace(standing, refusal=refusal)
    promised = promised_tick(scenario, now)
    tick = last_tick(schedule, until=now) or promised
    deadline = timedelta(seconds=schedule.starting_deadline_seconds, microseconds=1)
    return replace(
        standing,
        refusal=refusal,
        next_run_time=promised,
        gives_up_at=tick + deadline if tick is not None else None,
    )


def _carried_on(
    scenario: AnomalyScenario,
    run: Run,
    selection: Selection,
    now: datetime,
    *,
    referee: Referee,
) -> tuple[Run, Refusal | None]:
    """Return an open run as it is now, and why it does not go on if it is to and may not."""
    spec = scenario.spec
    if (
        run.token != spec.run_token
        or spec.mode is not ScenarioMode.RUN
        or spec.state is ScenarioState.ABORTED
        or scenario.metadata.deletion_timestamp is not None
    ):
        return _ended(run, now), None
    if is_reopened(scenario):
        # The ranks may be others by now.
        run = run.model_copy(update={"selection_cutoff": None, "selection_time": None})
    if run.held_since is not None:
        if is_held(scenario):
            return _held(scenario, run, now), None
        released = _released(scenario, run, selection, now)
        refusal = referee.hold(released)
        return (released if refusal is None else _held(scenario, run, now)), refusal
    current = _at(scenario, run, selection, now)
    if not is_open(current):
        return current, None
    if is_held(scenario):
        return current.model_copy(update={"held_since": now}), None
    if is_planned(scenario):
        return current, None
    return _replanned(scenario, run, selection, now), None


def _asked_again(
    scenario: AnomalyScenario, run: Run, now: datetime, *, referee: Referee
) -> tuple[Run, Ending | None]:
    """End a run that was edited, before it injected anything, into one that may not begin.

    While it is suspended nothing acts; what makes it active again is an edit, too. One that was
    held then has been asked whether it goes on, and waits for others if it does not.
    """
    if not is_open(run) or not is_reopened(scenario):
        return run, None
    if scenario.spec.state is not ScenarioState.ACTIVE:
        return run, None
    refusal = referee.refuse(run)
    stored = scenario.status.run
    was_held = stored is not None and stored.held_since is not None
    if refusal is None or (refusal.passes and was_held):
        return run, None
    return _ended(run, now), Ending(refusal.reason, refusal.message)


def _replanned(scenario: AnomalyScenario, run: Run, selection: Selection, now: datetime) -> Run:
    """Return an open run whose spec was edited."""
    spec, start = scenario.spec, run.start_time
    if run.phase is RunPhase.PENDING and now < start:
        if spec.schedule is not None:
            return _ended(run, now)
        start = own_start(scenario, rerun=run.number > 1, now=now)
    end = run_end(scenario, start, decided_at=now)
    moved = run.model_copy(update={"start_time": start, "end_time": end})
    return _at(scenario, moved, selection, now)


def _held(scenario: AnomalyScenario, run: Run, now: datetime) -> Run:
    """Return a run whose clock stands still; a start that was named since then is held from now."""
    start = scenario.spec.start_time
    is_moved = run.phase is RunPhase.PENDING and start is not None and start != run.start_time
    if is_planned(scenario) or not is_moved or start is None:
        return run
    end = run_end(scenario, start)
    return run.model_copy(update={"start_time": start, "end_time": end, "held_since": now})


def _released(scenario: AnomalyScenario, run: Run, selection: Selection, now: datetime) -> Run:
    """Return a run whose clock goes on: as much of it lies ahead as when it was stopped."""
    assert run.held_since is not None  # noqa: S101 - said by the caller
    start = run.start_time + max(now - run.held_since, timedelta())
    end = run_end(scenario, start, decided_at=now)
    moved = run.model_copy(update={"start_time": start, "end_time": end, "held_since": None})
    return _at(scenario, moved, selection, now)


def _judged(
    scenario: AnomalyScenario,
    run: Run,
    selection: Selection,
    now: datetime,
    *,
    referee: Referee,
) -> tuple[Run, Ending | None]:
    """Let a run begin or end by what its probes say."""
    spec = scenario.spec
    if run.held_since is not None or run.phase not in _PROBED_PHASES:
        return run, None
    if run.phase is RunPhase.RUNNING and not spec.abort_when:
        return run, None
    verdict = referee.judge(run)
    if run.phase is RunPhase.RUNNING:
        if verdict.abort is None:
            return run, None
        return _ended(run, now), Ending(ScenarioReason.ABORT_CONDITION_MET, verdict.abort)
    match verdict.before:
        case BeforeState.PENDING:
            return run, None
        case BeforeState.FAILED:
            message = f"not in its steady state: {unpassed(verdict.probes)}"
            return _ended(run, now), Ending(ScenarioReason.STEADY_STATE_NOT_MET, message, verdict)
        case BeforeState.PASSED | BeforeState.NONE:
            return _let_go(scenario, run, selection, now), None


def _let_go(scenario: AnomalyScenario, run: Run, selection: Selection, now: datetime) -> Run:
    """Return a run that has waited for its probes: its whole timeline lies ahead."""
    end = run_end(scenario, now)
    moved = run.model_copy(update={"phase": RunPhase.RUNNING, "start_time": now, "end_time": end})
    return _at(scenario, moved, selection, now)


def unpassed(probes: tuple[ProbeResult, ...]) -> str:
    """Return the probes that did not pass, with what was seen."""
    found = (probe for probe in probes if probe.passed is False)
    return "; ".join(f"{one.name} ({one.message})" if one.message else one.name for one in found)


def _at(scenario: AnomalyScenario, run: Run, selection: Selection | None, now: datetime) -> Run:
    """Return an open run in the phase that it has at ``now``; its choice closes as it begins."""
    if now < run.start_time:
        return run.model_copy(update={"phase": RunPhase.PENDING})
    if run.phase is RunPhase.PROBING and _ran_out(scenario, run, now):
        return _ended(run, now)
    if run.phase is not RunPhase.RUNNING and _waits_for_probes(scenario, run, now):
        return _probing(scenario, run, now)
    cutoff, closed_at = run.selection_cutoff, run.selection_time
    is_static = scenario.spec.targets.policy is TargetPolicy.STATIC
    if is_static and cutoff is None and selection is not None:
        cutoff, closed_at = selection.cutoff, now
    if now < run.end_time:
        phase = RunPhase.RUNNING
    else:
        whole = run.start_time + timedelta(seconds=scenario.spec.run_seconds)
        phase = RunPhase.COMPLETED if run.end_time >= whole else RunPhase.ABORTED
    return run.model_copy(
        update={"phase": phase, "selection_cutoff": cutoff, "selection_time": closed_at}
    )


def _probing(scenario: AnomalyScenario, run: Run, now: datetime) -> Run:
    """Return a run that waits for its probes: they have their time, even if it is late.

    Its end is where it would be if they passed now, once the one it was to have is past.
    """
    if run.phase is RunPhase.PENDING and now > run.start_time + ON_TIME:
        end = run_end(scenario, now)
        run = run.model_copy(update={"start_time": now, "end_time": end})
    if run.end_time <= now:
        run = run.model_copy(update={"end_time": run_end(scenario, now)})
    return run.model_copy(update={"phase": RunPhase.PROBING})


def _ran_out(scenario: AnomalyScenario, run: Run, now: datetime) -> bool:
    """Return whether a run was suspended up to its end, while its clock went on."""
    is_suspended = scenario.spec.state is ScenarioState.SUSPENDED and not is_held(scenario)
    return is_suspended and run.held_since is None and now >= run.end_time


def _waits_for_probes(scenario: AnomalyScenario, run: Run, now: datetime) -> bool:
    if run.phase is RunPhase.PENDING:
        # Of one that is over by now nothing is left to probe for.
        return probes_before(scenario) and now < run.end_time
    # The next run of a schedule that replaces does not wait for this one.
    whole = run.start_time + timedelta(seconds=scenario.spec.run_seconds)
    return now < run.end_time or run.end_time >= whole


def _ended(run: Run, now: datetime) -> Run:
    """Return a run that is over: aborted now, or completed if its time had come already."""
    is_due_to_end = run.held_since is None and run.phase is not RunPhase.PROBING
    if is_due_to_end and run.end_time <= now:
        return run.model_copy(update={"phase": RunPhase.COMPLETED})
    return run.model_copy(update={"phase": RunPhase.ABORTED, "end_time": now, "held_since": None})


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
