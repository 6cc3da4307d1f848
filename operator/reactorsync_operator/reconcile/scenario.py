"""The plan of one scenario: its run, its targets and what its status says of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from reactorsync.resources import (
    AnomalyScenario,
    AnomalyScenarioStatus,
    Condition,
    ConditionStatus,
    condition_of,
)
from reactorsync.resources.scenario import Run, ScenarioMode
from reactorsync.wire.envelope import from_micros
from reactorsync_operator.reconcile import findings
from reactorsync_operator.reconcile.conditions import (
    INJECTED,
    READY,
    RECONCILING,
    RECOVERED,
    STALLED,
    SUCCEEDED,
    SUSPENDED,
    TARGETS_RESOLVED,
    VERIFIED,
    ConditionList,
    Finding,
)
from reactorsync_operator.reconcile.facts import Facts, establish
from reactorsync_operator.reconcile.observed import ObservedScenario
from reactorsync_operator.reconcile.reasons import ScenarioReason
from reactorsync_operator.reconcile.runs import advance

_TERMINAL_PROBLEMS = frozenset({ScenarioReason.DELIVERY_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class ScenarioPlan:
    """What is to be done about a scenario: the status to write, and when to plan again.

    ``run_changed`` is whether a run began, moved or ended: faults wait for that to be written.
    """

    status: AnomalyScenarioStatus
    run_changed: bool
    next_wakeup: datetime | None


def plan_scenario(observed: ObservedScenario, now: datetime) -> ScenarioPlan:
    """Return what to do about a stored scenario at ``now``."""
    scenario = observed.scenario
    before = scenario.status
    advanced = advance(scenario, observed.selection, now)
    facts = establish(observed, run=advanced.run, next_run_time=advanced.next_run_time, now=now)
    decided = _decided(scenario, advanced.run)
    is_last_word = decided and scenario.spec.mode is ScenarioMode.RUN
    if is_last_word:
        facts = replace(facts, counts=before.targets, failures=tuple(before.failures))
    conditions = ConditionList(before.conditions, scenario.metadata.generation, now)
    overdue = _set_conditions(conditions, facts, decided=decided)
    run = before.run if decided else _with_reports(facts)
    is_same_run = (run and run.number) == (before.run and before.run.number)
    status = AnomalyScenarioStatus(
        observed_generation=scenario.metadata.generation,
        conditions=conditions.build(),
        summary=findings.summary(facts),
        run=run,
        targets=facts.counts,
        failures=list(facts.failures),
        detection=before.detection if is_same_run else None,
        probes=before.probes if is_same_run else [],
        score=before.score if is_same_run else None,
        next_run_time=advanced.next_run_time,
        history=list(advanced.history),
    )
    moments = (
        facts.faults_begin,
        run.start_time if run is not None else None,
        run.end_time if run is not None else None,
        facts.settles_at,
        overdue,
        advanced.next_run_time,
    )
    return ScenarioPlan(
        status=status,
        run_changed=_timeline(run) != _timeline(before.run),
        next_wakeup=min(
            (moment for moment in moments if moment is not None and moment > now), default=None
        ),
    )


def _decided(scenario: AnomalyScenario, run: Run | None) -> bool:
    """Return whether the outcome of ``run`` stands in the status, for good."""
    stored = scenario.status.run
    if run is None or stored is None or stored.number != run.number:
        return False
    return is_final(condition_of(scenario.status.conditions, SUCCEEDED))


def is_final(outcome: Condition | None) -> bool:
    """Return whether ``Succeeded`` says what became of a run, be it that nobody can tell."""
    return outcome is not None and (
        outcome.status is not ConditionStatus.UNKNOWN
        or outcome.reason == ScenarioReason.NOT_REPORTED
    )


def _set_conditions(conditions: ConditionList, facts: Facts, *, decided: bool) -> datetime | None:
    """Set every condition; return when waiting for reports becomes overdue, if it may."""
    ready = findings.ready(facts)
    waiting_since = conditions.since(READY, ready.status)
    overdue = None
    if ready.status is not ConditionStatus.TRUE:
        overdue = findings.overdue_at(facts, waiting_since=waiting_since)
    conditions.set(READY, ready)
    conditions.set(TARGETS_RESOLVED, findings.targets_resolved(facts))
    if decided:
        _keep_outcome(conditions, facts)
    else:
        conditions.set(INJECTED, findings.injected(facts))
        conditions.set(VERIFIED, findings.verified(facts))
        conditions.set(RECOVERED, findings.recovered(facts))
    conditions.set(SUSPENDED, findings.suspended(facts))
    if not decided:
        conditions.set(SUCCEEDED, findings.succeeded(facts))
    else:
        conditions.keep(SUCCEEDED)
    if ready.status is not ConditionStatus.TRUE:
        _say_why_not_ready(
            conditions, ready, is_overdue=overdue is not None and overdue <= facts.now
        )
    return overdue


def _keep_outcome(conditions: ConditionList, facts: Facts) -> None:
    """Leave what was found of a run that is over; only a late verification may still come."""
    conditions.keep(INJECTED)
    verified = conditions.before(VERIFIED)
    if verified is None or verified.status is ConditionStatus.UNKNOWN:
        conditions.set(VERIFIED, findings.verified(facts))
    else:
        conditions.keep(VERIFIED)
    conditions.keep(RECOVERED)


def _say_why_not_ready(conditions: ConditionList, ready: Finding, *, is_overdue: bool) -> None:
    if is_overdue:
        lifting = ready.reason is ScenarioReason.LIFTING
        reason = ScenarioReason.LIFT_OVERDUE if lifting else ScenarioReason.INJECTION_OVERDUE
        conditions.set(STALLED, Finding(ConditionStatus.TRUE, reason, ready.message))
    elif ready.reason in _TERMINAL_PROBLEMS:
        conditions.set(STALLED, Finding(ConditionStatus.TRUE, ready.reason, ready.message))
    else:
        conditions.set(RECONCILING, Finding(ConditionStatus.TRUE, ready.reason))


def _with_reports(facts: Facts) -> Run | None:
    """Return the run with the moments that reactors reported; the first of them stand for good."""
    run, report = facts.run, facts.report
    if run is None:
        return None
    injected, recovered = run.injected_time, run.recovered_time
    if injected is None and report.first_injected_us is not None:
        injected = from_micros(report.first_injected_us)
    over = not facts.run_is_open and facts.counts.injected > 0 and facts.acting == 0
    if recovered is None and over and report.last_recovered_us is not None:
        recovered = from_micros(report.last_recovered_us)
    return run.model_copy(update={"injected_time": injected, "recovered_time": recovered})


def _timeline(run: Run | None) -> tuple[object, ...]:
    if run is None:
        return ()
    return (run.number, run.phase, run.start_time, run.end_time, run.selection_cutoff)
