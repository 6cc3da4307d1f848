"""What is known of a scenario and its run, in the few numbers that its conditions follow from."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from reactorsync.planning.compose import CONFLICT
from reactorsync.planning.schedule import is_open, was_missed
from reactorsync.planning.targets import NOT_FOUND, Failure
from reactorsync.resources import AnomalyScenario, AnomalyScenarioSpec, AnomalyScenarioStatus
from reactorsync.resources.scenario import ScenarioMode, ScenarioState
from reactorsync.resources.scenario_status import Run, RunPhase, TargetCounts, TargetFailure
from reactorsync.wire.envelope import from_micros
from reactorsync_operator.reconcile.guards import Refusal
from reactorsync_operator.reconcile.observed import ObservedScenario, RunReport
from reactorsync_operator.reconcile.reasons import ScenarioReason
from reactorsync_operator.reconcile.runs import Ending
from reactorsync_operator.reconcile.verdict import Verdict

SETTLE: Final = timedelta(seconds=60)
"""How long after its end reports of a run still count; then its outcome is final."""

SETTLE_UNHEARD: Final = timedelta(seconds=5)
"""The same for a run that was aborted before anything of it was heard of."""

REPORT_WITHIN: Final = timedelta(seconds=30)
"""How long targets may take to report that a fault acts, or is gone, before that is overdue."""

_FAILURES_SHOWN: Final = 20

_UNLISTED: Final = ""
"""In place of a reason, where a status tells only how many more failures there were."""

_MESSAGE_LENGTH: Final = 256


@dataclass(frozen=True, slots=True)
class Facts:
    """The standing of a scenario at ``now``.

    Attributes:
        run: the current or last run, after it was advanced to ``now``.
        counts: reactors by what became of them.
        failures: the first of those the faults cannot act on.
        causes: how many of them there are, by the reason.
        missing: names of targets that do not exist, in alphabetical order.
        chosen: reactors chosen now, or when the run ended.
        expected: targets the faults are to act on as declared.
        awaited: those of them that never reported a fault of the run acting.
        acting: reactors on which a fault of the run acts, by their reports.
        unheard: reactors on which a fault acted when the status was written, and of which nothing
            is known since: a broker forgot what they reported.
        reports_lost: whether any report is missing that the status was written from.
        missed: whether the run lay wholly in the past when it was first seen.
        delivery_problem: why desired state cannot be published now.
        ending: why the operator ended the run, unless the user asked for it or its time had come.
        refusal: why no run begins though one is to come, or why one that was held does not go on.
        verdict: what those who watch say of the run, ``None`` without one.
    """

    spec: AnomalyScenarioSpec
    run: Run | None
    next_run_time: datetime | None
    now: datetime
    counts: TargetCounts
    failures: tuple[TargetFailure, ...]
    causes: Mapping[str, int]
    missing: tuple[str, ...]
    chosen: int
    expected: int
    awaited: int
    acting: int
    unheard: int
    reports_lost: bool
    missed: bool
    report: RunReport
    delivery_problem: str | None
    ending: Ending | None = None
    refusal: Refusal | None = None
    verdict: Verdict | None = None

    @property
    def run_is_open(self) -> bool:
        """Whether a run is to begin or goes on."""
        return is_open(self.run)

    @property
    def targets(self) -> int:
        """How many reactors the run has acted on or is yet to: all that its figures are out of."""
        return self.counts.injected + self.awaited

    @property
    def acted_on_none(self) -> bool:
        """Whether the run has acted on nothing, and is not to act on anything."""
        return self.targets == 0

    @property
    def faults_begin(self) -> datetime | None:
        """When the first stage of the run begins."""
        if self.run is None:
            return None
        return self.run.start_time + timedelta(
            seconds=min(stage.offset_seconds for stage in self.spec.stages)
        )

    @property
    def begun(self) -> bool:
        """Whether the first stage of the run has begun, by a clock that may stand still."""
        run, begin = self.run, self.faults_begin
        if run is None or begin is None or run.phase is RunPhase.PROBING:
            return False
        return (run.held_since or self.now) >= begin

    @property
    def lifting(self) -> bool:
        """Whether faults act on that somebody, or a check, has put an end to."""
        if not self.acting or self.settled:
            return False
        was_aborted = self.run is not None and self.run.phase is RunPhase.ABORTED
        return was_aborted or self.spec.state is not ScenarioState.ACTIVE

    @property
    def settles_at(self) -> datetime | None:
        """When the outcome of the ended run is final at the latest."""
        if self.run is None or self.run_is_open:
            return None
        if self._never_injected:
            return self.run.end_time
        if self.run.phase is RunPhase.ABORTED and self.counts.injected == 0:
            began = self.run.start_time < self.run.end_time
            return self.run.end_time + (SETTLE_UNHEARD if began else timedelta())
        return self.run.end_time + SETTLE

    @property
    def settled(self) -> bool:
        """Whether the run has ended and no report can change its outcome."""
        if self.settles_at is None or self.run is None:
            return False
        if self._never_injected or self.acted_on_none:
            return True
        if self.verdict is not None and self.verdict.undecided:
            return False
        if self.now >= self.settles_at:
            return True
        if self.acting or self.unheard:
            return False
        if self.run.phase is RunPhase.ABORTED:
            return self.counts.injected > 0
        return self.awaited == 0

    @property
    def _never_injected(self) -> bool:
        """Whether the run was ended while it waited for its probes."""
        ending = self.ending
        return ending is not None and ending.reason is ScenarioReason.STEADY_STATE_NOT_MET


def establish(
    observed: ObservedScenario, *, run: Run | None, next_run_time: datetime | None, now: datetime
) -> Facts:
    """Return the facts of a scenario whose run has been advanced to ``now``."""
    status, spec = observed.scenario.status, observed.scenario.spec
    is_stored = _is_stored(observed.scenario, run)
    report = observed.report if is_stored else RunReport()
    tally = _tally(status, report) if is_stored else _Tally(0, 0, 0)
    over = run.end_time if run is not None and not is_open(run) else None
    had_ended = _had_ended(observed.scenario, run) and spec.mode is ScenarioMode.RUN
    failed = _failed(observed, report, just_ended=over is not None and is_stored, stored=had_ended)
    wanted = [
        one.uid
        for one in observed.selection.chosen
        # Whoever joins the fleet now has nothing to do with a run that is over.
        if one.reactor not in failed.names and (over is None or one.created < over)
    ]
    awaited = sum(uid not in report.injected for uid in wanted) - tally.lost
    counts = _counts(observed, report, tally, failed=failed.count)
    if had_ended:
        counts = counts.model_copy(
            update={
                "matched": max(status.targets.matched, counts.injected),
                "selected": max(status.targets.selected, counts.injected),
                "left": status.targets.left,
            }
        )
    return Facts(
        spec=observed.scenario.spec,
        run=run,
        next_run_time=next_run_time,
        now=now,
        counts=counts,
        failures=failed.shown,
        causes=failed.causes,
        missing=failed.missing,
        chosen=counts.selected - (counts.left if over is None else 0),
        expected=max(len(wanted) - failed.unnamed, 0),
        awaited=max(awaited - failed.unnamed, 0),
        acting=len(report.acting),
        unheard=tally.injected - tally.recovered - len(report.acting),
        reports_lost=tally.lost > 0 or _began_earlier(run, report),
        missed=over is not None and (not is_stored or was_missed(observed.scenario)),
        report=report,
        delivery_problem=observed.delivery_problem,
    )


@dataclass(frozen=True, slots=True)
class _Tally:
    """Reactors that a run has acted on; ``lost`` of them are known from the status alone."""

    injected: int
    recovered: int
    lost: int


def _tally(status: AnomalyScenarioStatus, report: RunReport) -> _Tally:
    """Return what is known of a stored run: never less than its status says was reported."""
    reported, recovered = len(report.injected), len(report.injected) - len(report.acting)
    lost = max(status.targets.injected - reported, 0)
    # Whoever reports only the end of a fault acted before that, if it is known that it did.
    ended = len(report.ended - report.injected) if lost else 0
    known = max(status.targets.recovered - recovered, ended)
    return _Tally(
        injected=reported + lost, recovered=recovered + min(lost, max(known, 0)), lost=lost
    )


def _began_earlier(run: Run | None, report: RunReport) -> bool:
    """Return whether the run's first report, as the status tells its time, is not known."""
    if run is None or run.injected_time is None:
        return False
    first_us = report.first_injected_us
    return first_us is None or from_micros(first_us) > run.injected_time


def _is_stored(scenario: AnomalyScenario, run: Run | None) -> bool:
    """Return whether the run stands in the status already, in whatever phase."""
    stored = scenario.status.run
    return run is not None and stored is not None and stored.number == run.number


def _had_ended(scenario: AnomalyScenario, run: Run | None) -> bool:
    return _is_stored(scenario, run) and not is_open(scenario.status.run)


def _counts(
    observed: ObservedScenario, report: RunReport, tally: _Tally, *, failed: int
) -> TargetCounts:
    """Return the counts of a run; whoever it acted on remains one of its targets."""
    chosen = observed.selection.chosen
    selected = len(chosen)
    if observed.scenario.spec.mode is ScenarioMode.RUN:
        left = len(report.injected - {one.uid for one in chosen}) if report.injected else 0
        selected = max(selected + left, tally.injected)
    return TargetCounts(
        matched=max(observed.selection.matched, selected),
        selected=selected,
        left=selected - len(chosen),
        injected=tally.injected,
        recovered=tally.recovered,
        failed=failed,
    )


@dataclass(frozen=True, slots=True)
class _Failed:
    """The reactors that the faults cannot act on; of ``unnamed`` ones it is not known which."""

    names: Set[str]
    shown: tuple[TargetFailure, ...]
    causes: Mapping[str, int]
    missing: tuple[str, ...]
    unnamed: int = 0

    @property
    def count(self) -> int:
        return sum(self.causes.values())


def _failed(
    observed: ObservedScenario, report: RunReport, *, just_ended: bool, stored: bool
) -> _Failed:
    """Return whom the faults cannot act on, or could not in the run that has ``just_ended``.

    With the run, the plans of the reactors forget to whom it gave way there; of one that has been
    over, as its ``stored`` status says, that status is all there is to know.
    """
    failures = {failure.reactor: failure for failure in observed.selection.failures}
    for reactor, other in observed.conflicts.items():
        failures.setdefault(reactor, Failure(reactor, CONFLICT, f"gives way to scenario {other}"))
    status = observed.scenario.status
    if stored:
        shown = tuple(status.failures)
        names = failures.keys() | {one.reactor for one in shown}
        causes = _causes(shown)
        unlisted = max(status.targets.failed - len(shown), 0)
        if unlisted and len(causes) == 1:
            causes = {reason: count + unlisted for reason, count in causes.items()}
        elif unlisted:
            causes = {**causes, _UNLISTED: unlisted}
        unnamed = max(status.targets.failed - len(names), 0)
        return _Failed(names, shown, causes, _missing(shown), unnamed)
    unnamed = 0
    if just_ended and observed.scenario.spec.mode is ScenarioMode.RUN:
        idle = {one.reactor for one in observed.selection.chosen if one.uid not in report.injected}
        gave_way = [one for one in status.failures if one.reason == CONFLICT]
        unlisted = max(status.targets.failed - len(status.failures), 0) if gave_way else 0
        for one in gave_way:
            if one.reactor in idle:
                failures.setdefault(one.reactor, Failure(one.reactor, CONFLICT, one.message))
        unnamed = min(unlisted, len(idle - failures.keys()))
    found = list(failures.values())
    causes = _causes(found)
    if unnamed:
        causes = {**causes, CONFLICT: causes.get(CONFLICT, 0) + unnamed}
    return _Failed(failures.keys(), _shown(found), causes, _missing(found), unnamed)


def _missing(failures: Iterable[Failure | TargetFailure]) -> tuple[str, ...]:
    return tuple(sorted(one.reactor for one in failures if one.reason == NOT_FOUND))


def _causes(failures: Iterable[Failure | TargetFailure]) -> Mapping[str, int]:
    return Counter(one.reason for one in failures)


def _shown(failures: Iterable[Failure]) -> tuple[TargetFailure, ...]:
    first = heapq.nsmallest(_FAILURES_SHOWN, failures, key=lambda failure: failure.reactor)
    return tuple(
        TargetFailure(
            reactor=failure.reactor,
            reason=failure.reason,
            message=failure.message[:_MESSAGE_LENGTH],
        )
        for failure in first
    )
