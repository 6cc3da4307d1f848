"""The plan of one scenario: its run, its targets and what its status says of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reactorsync.planning.schedule import is_open, is_planned, next_run, wants_new_run
from reactorsync.resources import (
    AnomalyScenario,
    AnomalyScenarioStatus,
    Condition,
    ConditionStatus,
    condition_of,
)
from reactorsync.resources.scenario import ScenarioMode, ScenarioState
from reactorsync.resources.scenario_status import Run
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
from reactorsync_operator.reconcile.facts import SETTLE, Facts, establish
from reactorsync_operator.reconcile.guards import (
    ALONE,
    NO_GUARDS,
    Guards,
    Refusal,
    Surroundings,
    crowded,
    refusal,
    wrong_environment,
)
from reactorsync_operator.reconcile.observed import ObservedScenario, RunReport
from reactorsync_operator.reconcile.reasons import ScenarioReason
from reactorsync_operator.reconcile.runs import Advance, Ending, Referee, advance
from reactorsync_operator.reconcile.verdict import BeforeState, Verdict, judge

_LOOK_AGAIN = timedelta(seconds=1)
"""How long the outcome of a run, once found, may take until it stands in the status."""

_TERMINAL_PROBLEMS = frozenset(
    {
        ScenarioReason.DELIVERY_UNAVAILABLE,
        ScenarioReason.ENVIRONMENT_MISMATCH,
        ScenarioReason.GUARD_TRIPPED,
    }
)

_ENDINGS = {
    reason.value: reason
    for reason in (
        ScenarioReason.ABORT_CONDITION_MET,
        ScenarioReason.ENVIRONMENT_MISMATCH,
        ScenarioReason.GUARD_TRIPPED,
        ScenarioReason.STEADY_STATE_NOT_MET,
    )
}


@dataclass(frozen=True, slots=True)
class ScenarioPlan:
    """What is to be done about a scenario.

    Attributes:
        status: to be written, if it is another one than that stored.
        run_changed: whether a run began, moved or ended: faults wait for that to be written.
        next_wakeup: when the plan will be another one though nothing is observed.
        is_refused: whether the plan is another one when what guards look at changes: a run may not
            begin or go on though it is to, or a dry run tells whether it might.
        watched: the run whose probes are to be looked at, ``None`` when none are.
        delete: whether the scenario has outlived its ``ttlSecondsAfterFinished``.
    """

    status: AnomalyScenarioStatus
    run_changed: bool
    next_wakeup: datetime | None
    is_refused: bool = False
    watched: Run | None = None
    delete: bool = False


def plan_scenario(
    observed: ObservedScenario,
    now: datetime,
    *,
    guards: Guards = NO_GUARDS,
    surroundings: Surroundings = ALONE,
) -> ScenarioPlan:
    """Return what to do about a stored scenario at ``now``."""
    scenario = observed.scenario
    spec, before = scenario.spec, scenario.status
    referee = _Referee(observed, now, guards, surroundings)
    advanced = advance(
        scenario,
        observed.selection,
        now,
        referee=Referee(judge=referee.judge, refuse=referee.refuse, hold=referee.hold),
    )
    decided = _decided(scenario, advanced.run)
    facts = establish(observed, run=advanced.run, next_run_time=advanced.next_run_time, now=now)
    facts = replace(
        facts,
        ending=advanced.ending or _known_ending(scenario, advanced.run),
        refusal=_refusal(referee, advanced, guards),
        verdict=_known_verdict(before) if decided else referee.verdict(advanced),
    )
    if not decided and facts.settled:
        facts = replace(facts, verdict=referee.verdict(advanced, final=_is_known(facts)))
    if decided and spec.mode is ScenarioMode.RUN:
        facts = replace(facts, counts=before.targets, failures=tuple(before.failures))
    conditions = ConditionList(before.conditions, scenario.metadata.generation, now)
    overdue = _set_conditions(conditions, facts, decided=decided)
    run = before.run if decided else _with_reports(facts)
    status = AnomalyScenarioStatus(
        observed_generation=scenario.metadata.generation,
        conditions=conditions.build(),
        summary=findings.summary(facts, condition_of(conditions.build(), SUCCEEDED)),
        run=run,
        targets=facts.counts,
        failures=list(facts.failures),
        detection=facts.verdict.detection if facts.verdict is not None else None,
        probes=list(facts.verdict.probes) if facts.verdict is not None else [],
        score=facts.verdict.score if facts.verdict is not None else None,
        next_run_time=advanced.next_run_time,
        history=list(advanced.history),
    )
    expires_at = _expires_at(scenario, status)
    may_go = decided and is_planned(scenario) and expires_at is not None
    if expires_at is not None and not may_go:
        expires_at = max(expires_at, now + _LOOK_AGAIN)
    moments = (
        *_moments_of(facts),
        overdue,
        advanced.next_run_time,
        advanced.gives_up_at,
        expires_at,
    )
    return ScenarioPlan(
        status=status,
        run_changed=_timeline(run) != _timeline(before.run),
        next_wakeup=min(
            (moment for moment in moments if moment is not None and moment > now), default=None
        ),
        is_refused=advanced.refusal is not None or spec.mode is ScenarioMode.DRY_RUN,
        watched=None if decided else run,
        delete=may_go and expires_at is not None and expires_at <= now,
    )


@dataclass(frozen=True, slots=True)
class _Referee:
    """Judges runs by what was observed, and refuses them by what is allowed."""

    observed: ObservedScenario
    now: datetime
    guards: Guards
    surroundings: Surroundings

    def judge(self, run: Run, *, final: bool = False) -> Verdict:
        """Return the verdict on ``run``; of one that is not yet stored nothing was observed."""
        stored, observed = self.observed.scenario.status.run, self.observed
        if stored is None or stored.number != run.number:
            observed = replace(observed, report=RunReport(), probes={})
        return judge(observed, run, now=self.now, final=final)

    def verdict(self, advanced: Advance, *, final: bool = False) -> Verdict | None:
        """Return what is known of the run by now, or was when it was ended before it began."""
        if advanced.run is None:
            return None
        ending = advanced.ending
        if ending is not None and ending.verdict is not None:
            return ending.verdict
        return self.judge(advanced.run, final=final)

    def refuse(self, run: Run) -> Refusal | None:
        """Return why ``run`` may not begin."""
        return refusal(
            self.observed.scenario,
            run,
            selected=self.observed.selection.wanted,
            guards=self.guards,
            surroundings=self.surroundings,
        )

    def hold(self, run: Run) -> Refusal | None:
        """Return why ``run``, whose clock was held, may not go on as yet."""
        return crowded(
            self.observed.scenario, run, guards=self.guards, surroundings=self.surroundings
        )


def _refusal(referee: _Referee, advanced: Advance, guards: Guards) -> Refusal | None:
    """Return why a run is refused: one that is due, or held, or any in this environment."""
    scenario = referee.observed.scenario
    spec = scenario.spec
    if advanced.refusal is not None or is_open(advanced.run):
        return advanced.refusal
    if spec.mode is ScenarioMode.DRY_RUN:
        return referee.refuse(next_run(scenario, referee.now))
    if spec.state is ScenarioState.ACTIVE and (
        spec.schedule is not None or wants_new_run(scenario)
    ):
        return wrong_environment(scenario, guards)
    return None


def _known_ending(scenario: AnomalyScenario, run: Run | None) -> Ending | None:
    """Return why the run was ended, as its status says while its faults are being lifted."""
    stored = scenario.status.run
    if run is None or stored is None or stored.number != run.number or is_open(run):
        return None
    outcome = condition_of(scenario.status.conditions, SUCCEEDED)
    if outcome is None or outcome.reason not in _ENDINGS:
        return None
    return Ending(_ENDINGS[outcome.reason], outcome.message)


def _known_verdict(status: AnomalyScenarioStatus) -> Verdict:
    """Return the verdict that stands in the status."""
    return Verdict(
        probes=tuple(status.probes),
        detection=status.detection,
        score=status.score,
        before=BeforeState.NONE,
        abort=None,
        undecided=False,
        next_moment=None,
    )


def _moments_of(facts: Facts) -> tuple[datetime | None, ...]:
    """Return when something about the run changes by itself."""
    run = facts.run
    if run is None or _is_held(run):
        return ()
    judged = facts.verdict.next_moment if facts.verdict is not None else None
    return (facts.faults_begin, run.start_time, run.end_time, facts.settles_at, judged)


def _is_held(run: Run | None) -> bool:
    return run is not None and run.held_since is not None


def _expires_at(scenario: AnomalyScenario, status: AnomalyScenarioStatus) -> datetime | None:
    """Return when a scenario is to be deleted once it has ``status``, ``None`` for never.

    One whose user asks for another run, whenever that may begin, is not finished; one that is being
    deleted waits for somebody's finalizer.
    """
    spec, run = scenario.spec, status.run
    if scenario.metadata.deletion_timestamp is not None:
        return None
    if wants_new_run(scenario.model_copy(update={"status": status})):
        return None
    outcome = condition_of(status.conditions, SUCCEEDED)
    if spec.ttl_seconds_after_finished is None or run is None or outcome is None:
        return None
    if not is_final(outcome):
        return None
    # That nobody can tell how a run ended has been so since before the run.
    unknown = outcome.status is ConditionStatus.UNKNOWN
    final_at = run.end_time + SETTLE if unknown else outcome.last_transition_time
    return final_at + timedelta(seconds=spec.ttl_seconds_after_finished)


def _is_known(facts: Facts) -> bool:
    """Return whether it was reported what became of the run, so that there is a run to grade."""
    is_reported = findings.succeeded(facts).reason is not ScenarioReason.NOT_REPORTED
    return is_reported and facts.counts.injected > 0


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
        passes = facts.refusal is not None and facts.refusal.passes
        _say_why_not_ready(
            conditions,
            ready,
            is_overdue=overdue is not None and overdue <= facts.now,
            is_terminal=ready.reason in _TERMINAL_PROBLEMS and not passes,
        )
    return overdue


def _keep_outcome(conditions: ConditionList, facts: Facts) -> None:
    """Leave what was found of a run that is over; only a late verification may still come."""
    conditions.keep(INJECTED)
    verified = conditions.before(VERIFIED)
    is_open = verified is None or verified.status is ConditionStatus.UNKNOWN
    if is_open and (verified is None or facts.report.verification is not None):
        conditions.set(VERIFIED, findings.verified(facts))
    else:
        conditions.keep(VERIFIED)
    conditions.keep(RECOVERED)


def _say_why_not_ready(
    conditions: ConditionList, ready: Finding, *, is_overdue: bool, is_terminal: bool
) -> None:
    if is_overdue:
        lifting = ready.reason is ScenarioReason.LIFTING
        reason = ScenarioReason.LIFT_OVERDUE if lifting else ScenarioReason.INJECTION_OVERDUE
        conditions.set(STALLED, Finding(ConditionStatus.TRUE, reason, ready.message))
    elif is_terminal:
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
    return (
        run.number,
        run.phase,
        run.start_time,
        run.end_time,
        run.held_since,
        run.selection_cutoff,
    )
