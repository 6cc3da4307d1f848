"""What the conditions of a scenario say, each as a function of the facts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from reactorsync.planning.compose import CONFLICT
from reactorsync.planning.targets import INAPPLICABLE, NOT_FOUND, SUSPENDED
from reactorsync.planning.wording import counted
from reactorsync.resources import Condition, ConditionStatus
from reactorsync.resources.scenario import ScenarioMode, ScenarioState
from reactorsync.resources.scenario_status import Run, RunPhase, TargetFailure
from reactorsync_operator.reconcile.conditions import Finding, false, true, unknown
from reactorsync_operator.reconcile.facts import REPORT_WITHIN, Facts
from reactorsync_operator.reconcile.reasons import ScenarioReason
from reactorsync_operator.reconcile.runs import unpassed

_SUMMARY_LENGTH: Final = 256

_NAMED: Final = 3
"""How many missing reactors a message names."""

_CAUSES: Final = {
    NOT_FOUND: "{} not found",
    INAPPLICABLE: "a stage cannot act on {}",
    CONFLICT: "another scenario comes first on {}",
    SUSPENDED: "{} suspended",
}
"""Why faults do not act on so many reactors, by the reason of the failures."""


def targets_resolved(facts: Facts) -> Finding:
    """Say whether there is anything to act on, and all of it that the spec names."""
    counts, missing = facts.counts, facts.missing
    if facts.chosen == 0:
        return false(ScenarioReason.NO_TARGETS, f"no reactor matches{_gone(facts)}")
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        return false(
            ScenarioReason.TARGETS_MISSING,
            f"{counted(facts.chosen, 'reactor')} chosen, but there is none named "
            f"{', '.join(missing[:_NAMED])}{more}",
        )
    message = f"{counts.selected} of {counted(counts.matched, 'matching reactor')} chosen"
    message += _gone(facts)
    if counts.failed:
        message += f"; {_causes(facts)}"
    return true(ScenarioReason.RESOLVED, message)


def injected(facts: Facts) -> Finding:
    """Say whether every target reported a fault of the run acting."""
    counts, run = facts.counts, facts.run
    if facts.spec.mode is ScenarioMode.DRY_RUN:
        return false(ScenarioReason.DRY_RUN)
    if run is None:
        return unknown(ScenarioReason.NOT_STARTED)
    progress = f"{counts.injected} of {counted(facts.targets, 'target')} reported the fault acting"
    if counts.injected and facts.awaited == 0:
        return true(ScenarioReason.ALL_INJECTED, progress + _gone(facts))
    if not facts.run_is_open:
        if facts.ending is not None and counts.injected == 0:
            return false(ScenarioReason.NOT_INJECTED, facts.ending.message)
        if run.start_time >= run.end_time:
            return false(ScenarioReason.NOT_INJECTED, "the run was ended before it began")
        if facts.reports_lost:
            return unknown(ScenarioReason.NOT_REPORTED, _lost(progress))
        if counts.injected:
            return false(ScenarioReason.PARTLY_INJECTED, progress)
        if facts.acted_on_none:
            return _nothing_to_act_on(facts)
        return false(ScenarioReason.NOT_INJECTED, progress)
    if run.phase is RunPhase.PROBING:
        return false(ScenarioReason.PROBING)
    if not facts.begun:
        return false(ScenarioReason.WAITING_FOR_START)
    if facts.spec.state is ScenarioState.SUSPENDED:
        return false(ScenarioReason.SUSPENDED, progress)
    if facts.refusal is not None:
        return false(facts.refusal.reason, progress)
    if facts.expected == 0:
        return _nothing_to_act_on(facts)
    return false(ScenarioReason.INJECTING, progress)


def verified(facts: Facts) -> Finding:
    """Say whether somebody who looked at the telemetry saw the fault."""
    verification = facts.report.verification
    if verification is None:
        return unknown(ScenarioReason.NOT_OBSERVED)
    if verification.confirmed is None:
        return unknown(ScenarioReason.INCONCLUSIVE, verification.message)
    if verification.confirmed:
        return true(ScenarioReason.CONFIRMED, verification.message)
    return false(ScenarioReason.MISMATCH, verification.message)


def recovered(facts: Facts) -> Finding:
    """Say whether the run is over and every target reported its faults gone."""
    counts = facts.counts
    if facts.run is None:
        return unknown(ScenarioReason.NOT_STARTED)
    progress = (
        f"{counts.recovered} of {counted(counts.injected, 'target')} reported their faults gone"
    )
    if facts.run_is_open:
        if counts.injected == 0:
            return unknown(ScenarioReason.NOTHING_INJECTED)
        if facts.acting or facts.unheard:
            return false(ScenarioReason.FAULTS_ACTIVE)
        return false(ScenarioReason.RUN_IN_PROGRESS)
    if facts.acting:
        if facts.settled:
            return unknown(ScenarioReason.NOT_REPORTED, progress)
        return false(ScenarioReason.RECOVERING, progress)
    if facts.unheard:
        if facts.settled:
            return unknown(ScenarioReason.NOT_REPORTED, _lost(progress))
        return unknown(ScenarioReason.RECOVERING, progress)
    if counts.injected:
        return true(ScenarioReason.ALL_RECOVERED, progress)
    if facts.settled:
        return true(ScenarioReason.NOTHING_INJECTED)
    return unknown(ScenarioReason.RECOVERING)


def suspended(facts: Facts) -> Finding:
    """Say whether the user has suspended the scenario."""
    if facts.spec.state is ScenarioState.SUSPENDED:
        return true(ScenarioReason.SUSPENDED)
    return false(ScenarioReason.NOT_SUSPENDED)


def succeeded(facts: Facts) -> Finding:
    """Say whether the run did what it declares, once that is final."""
    run, counts = facts.run, facts.counts
    if run is None:
        return unknown(ScenarioReason.NOT_STARTED)
    if facts.ending is not None:
        say = false if facts.settled else unknown
        return say(facts.ending.reason, facts.ending.message)
    if not facts.settled:
        return unknown(ScenarioReason.RUN_IN_PROGRESS)
    if run.phase is RunPhase.ABORTED:
        return false(ScenarioReason.ABORTED, "the run was ended before its time")
    if facts.missed:
        return false(ScenarioReason.MISSED, "the whole run lay in the past when it was first seen")
    if facts.acted_on_none:
        return _nothing_to_act_on(facts)
    if counts.failed:
        return false(
            ScenarioReason.TARGETS_FAILED,
            f"on {counted(counts.failed, 'reactor')} the faults could not act as declared: "
            f"{_causes(facts)}",
        )
    if facts.reports_lost and (facts.awaited or facts.unheard):
        return unknown(ScenarioReason.NOT_REPORTED, "the broker has forgotten what was reported")
    if facts.awaited:
        return false(
            ScenarioReason.NOT_INJECTED if counts.injected == 0 else ScenarioReason.PARTLY_INJECTED,
            f"{facts.awaited} of {counted(facts.targets, 'target')} never reported it acting",
        )
    if facts.acting:
        return false(
            ScenarioReason.NOT_RECOVERED,
            f"{counted(facts.acting, 'target')} never reported the fault gone",
        )
    failed = _probes_failed(facts)
    if failed:
        return false(ScenarioReason.PROBES_FAILED, f"did not pass: {failed}")
    return true(ScenarioReason.COMPLETED)


def ready(facts: Facts) -> Finding:
    """Say whether the operator did what the spec asks for now; not whether plants are fine."""
    spec, run = facts.spec, facts.run
    if spec.mode is ScenarioMode.DRY_RUN:
        refused = f"a run would be refused: {facts.refusal.message}" if facts.refusal else ""
        return _resolved_or(facts, true(ScenarioReason.DRY_RUN, refused))
    if facts.delivery_problem is not None and (facts.run_is_open or _is_awaited(facts)):
        return false(ScenarioReason.DELIVERY_UNAVAILABLE, facts.delivery_problem)
    if facts.lifting:
        return false(
            ScenarioReason.LIFTING,
            f"{counted(facts.acting, 'target')} yet to report the fault gone",
        )
    if spec.state is ScenarioState.SUSPENDED:
        return true(ScenarioReason.SUSPENDED)
    if spec.state is ScenarioState.ABORTED:
        return true(ScenarioReason.ABORTED)
    if facts.refusal is not None:
        return false(facts.refusal.reason, facts.refusal.message)
    if run is not None and facts.run_is_open:
        if run.phase is RunPhase.PROBING:
            return false(ScenarioReason.PROBING, "waits until every Before probe has passed")
        if not facts.begun:
            return _chosen_or(facts, true(ScenarioReason.WAITING_FOR_START))
        if facts.expected and facts.awaited == 0:
            return true(ScenarioReason.ACTIVE)
        return _resolved_or(
            facts,
            false(
                ScenarioReason.INJECTING,
                f"{facts.awaited} of {counted(facts.targets, 'target')} yet to report it acting",
            ),
        )
    if _is_awaited(facts):
        return false(
            ScenarioReason.RECOVERING,
            f"{counted(facts.acting + facts.unheard, 'target')} yet to report the fault gone",
        )
    if facts.next_run_time is not None:
        return _chosen_or(facts, true(ScenarioReason.WAITING_FOR_SCHEDULE))
    if run is None:
        return _resolved_or(facts, false(ScenarioReason.NOT_STARTED))
    if facts.missed:
        return true(ScenarioReason.MISSED)
    return true(
        ScenarioReason.COMPLETED if run.phase is RunPhase.COMPLETED else ScenarioReason.ABORTED
    )


def overdue_at(facts: Facts, *, waiting_since: datetime) -> datetime | None:
    """Return when waiting for reports becomes a fault of its own; ``None`` if none are awaited.

    ``waiting_since`` is since when the answer has been no.
    """
    begin = facts.faults_begin
    if facts.lifting:
        return waiting_since + REPORT_WITHIN
    if facts.awaited and facts.run_is_open and begin is not None and not _is_held_back(facts):
        return max(begin, waiting_since) + REPORT_WITHIN
    return None


def summary(facts: Facts, outcome: Condition | None) -> str:
    """Return the state in a few words; nothing in it changes merely because time passes.

    ``outcome`` is what the status is to say of the last run in ``Succeeded``.
    """
    return _summary(facts, outcome)[:_SUMMARY_LENGTH]


def _summary(facts: Facts, outcome: Condition | None) -> str:
    spec, run, counts = facts.spec, facts.run, facts.counts
    if spec.mode is ScenarioMode.DRY_RUN:
        return f"Dry run: would act on {counts.selected} of {counted(counts.matched, 'reactor')}"
    if facts.refusal is not None and not facts.run_is_open:
        return f"Refused: {facts.refusal.message}"
    if run is None:
        return _waiting(facts)
    if facts.next_run_time is not None and not facts.run_is_open:
        failed = _failed(facts, run, outcome)
        return f"{_waiting(facts)}; {failed[0].lower()}{failed[1:]}" if failed else _waiting(facts)
    if run.held_since is not None:
        held = f"held since {_at(run.held_since)}"
        if run.phase is RunPhase.PROBING:
            return f"Run {run.number} suspended while waiting for its Before probes, {held}"
        return f"Run {run.number} {held}: {_progress(facts)}"
    match run.phase:
        case RunPhase.PENDING:
            targets = counted(counts.selected, "reactor")
            return f"Run {run.number} starts {_at(run.start_time)} on {targets}"
        case RunPhase.PROBING:
            if spec.state is ScenarioState.SUSPENDED:
                return f"Run {run.number} suspended while waiting for its Before probes"
            return f"Run {run.number} due {_at(run.start_time)}: waiting for its Before probes"
        case RunPhase.RUNNING:
            lifted = ", suspended" if spec.state is ScenarioState.SUSPENDED else ""
            return f"Run {run.number} until {_at(run.end_time)}{lifted}: {_progress(facts)}"
        case RunPhase.COMPLETED | RunPhase.ABORTED:
            if facts.missed:
                return f"Run {run.number} missed: it would have ended {_at(run.end_time)}"
            failed = _failed(facts, run, outcome)
            if failed:
                return failed
            return (
                f"Run {run.number} {_ended(run)} {_at(run.end_time)}: "
                f"{counts.injected} injected, {counts.recovered} recovered{_score(facts)}"
            )


def _failed(facts: Facts, run: Run, outcome: Condition | None) -> str:
    """Return in a few words how a run failed, nothing if it did not or may yet succeed."""
    if outcome is None or outcome.status is not ConditionStatus.FALSE:
        return ""
    counts, ended = facts.counts, _at(run.end_time)
    targets = counts.selected + len(facts.missing)
    match outcome.reason:
        case ScenarioReason.ABORTED:
            # As somebody asked.
            return ""
        case ScenarioReason.TARGETS_FAILED if 0 < counts.injected < targets:
            on = f"on {counts.injected} of {targets} targets"
            why = _why(facts.failures)
            return f"Run {run.number} {_ended(run)} {ended} {on}{_score(facts)}: {why}"
        case _:
            told = outcome.message or outcome.reason
            return f"Run {run.number} failed {ended}{_score(facts)}: {told}"


def _score(facts: Facts) -> str:
    score = facts.verdict.score if facts.verdict is not None else None
    return f", score {score}" if score is not None else ""


def _ended(run: Run) -> str:
    return "completed" if run.phase is RunPhase.COMPLETED else "aborted"


def _why(failures: Sequence[TargetFailure]) -> str:
    """Return the first of the failures, and how many more there are."""
    if not failures:
        return "the others could not be acted on"
    more = f" and {len(failures) - 1} more" if len(failures) > 1 else ""
    return f"{failures[0].reactor}: {failures[0].message}{more}"


def _lost(progress: str) -> str:
    return f"{progress}; the broker has forgotten other reports"


def _waiting(facts: Facts) -> str:
    if facts.spec.state is ScenarioState.SUSPENDED:
        return "Suspended before its first run" if facts.run is None else "Suspended"
    if facts.spec.state is ScenarioState.ABORTED:
        return "Aborted before its first run"
    if facts.next_run_time is not None:
        on = f" on {counted(facts.counts.selected, 'reactor')}" if facts.run is None else ""
        return f"Next run {_at(facts.next_run_time)}{on}"
    return "Waiting for a reactor that matches"


def _resolved_or(facts: Facts, finding: Finding) -> Finding:
    return finding if facts.expected else _nothing_to_act_on(facts)


def _chosen_or(facts: Facts, finding: Finding) -> Finding:
    return finding if facts.chosen else _nothing_to_act_on(facts)


def _nothing_to_act_on(facts: Facts) -> Finding:
    """Say why the faults act on no reactor at all, or acted on none."""
    if facts.chosen == 0:
        message = f"no reactor that the faults can act on matches{_gone(facts)}"
        return false(ScenarioReason.NO_TARGETS, message)
    acts = "acts" if facts.run_is_open or facts.run is None else "acted"
    why = f"{acts} on none of {counted(facts.chosen, 'reactor')}: {_causes(facts)}"
    if chosen := _chosen_failures(facts):
        why += f" ({chosen[0].reactor}: {chosen[0].message})"
    gives_way = facts.causes.keys() - {NOT_FOUND} == {CONFLICT}
    return false(ScenarioReason.CONFLICT if gives_way else ScenarioReason.TARGETS_FAILED, why)


def _chosen_failures(facts: Facts) -> list[TargetFailure]:
    return [failure for failure in facts.failures if failure.reason != NOT_FOUND]


def _gone(facts: Facts) -> str:
    """Return how many of the run's targets are chosen no longer, to be added to a message."""
    left = facts.counts.selected - facts.chosen
    return f"; {left} acted on, and left out since" if left else ""


def _causes(facts: Facts) -> str:
    return "; ".join(
        text.format(facts.causes[reason])
        for reason, text in _CAUSES.items()
        if reason in facts.causes
    )


def _progress(facts: Facts) -> str:
    """Return on how many the faults acted, of those they were to; whoever left has had them."""
    if facts.begun and facts.acted_on_none and facts.run_is_open:
        if chosen := _chosen_failures(facts):
            return f"acts on none of {facts.chosen}: {chosen[0].reactor}: {chosen[0].message}"
        return "acts on nothing: no reactor matches"
    injected = facts.counts.injected
    left = facts.targets - facts.expected
    gone = f", {left} since left out" if left else ""
    return f"{injected} of {facts.targets} injected{gone}"


def _probes_failed(facts: Facts) -> str:
    """Return the probes of the spec that did not pass; what `abortWhen` waits for is none."""
    if facts.verdict is None:
        return ""
    wanted = {probe.name for probe in facts.spec.probes}
    return unpassed(tuple(one for one in facts.verdict.probes if one.name in wanted))


def _is_awaited(facts: Facts) -> bool:
    """Return whether reports of a run that is over are still to come."""
    is_over = facts.run is not None and not facts.run_is_open
    return is_over and not facts.settled and (facts.acting > 0 or facts.unheard > 0)


def _is_held_back(facts: Facts) -> bool:
    """Return whether nothing is to be injected at the moment."""
    run = facts.run
    return run is not None and (run.phase is RunPhase.PROBING or run.held_since is not None)


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
