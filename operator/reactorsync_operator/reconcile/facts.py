"""What is known of a scenario and its run, in the few numbers that its conditions follow from."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
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
        expected: targets the faults are to act on as declared.
        awaited: those of them that never reported a fault of the run acting.
        acting: reactors on which a fault of the run acts, by their reports.
        unheard: reactors on which a fault acted when the status was written, and of which nothing
            is known since: a broker forgot what they reported.
        reports_lost: whether any report is missing that the status was written from.
        missed: whether the run lay wholly in the past when it was first seen.
        delivery_problem: why desired state cannot be published now.
        ending: why the operator ended the run, unless the user asked for it or its time had come.
        refusal: why no run begins though one is to come.
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
        if self._never_injected:
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
    status = observed.scenario.status
    is_stored = _is_stored(observed.scenario, run)
    report = observed.report if is_stored else RunReport()
    tally = _tally(status, report) if is_stored else _Tally(0, 0, 0)
    failures = _failures(observed)
    failed_names = {failure.reactor for failure in failures}
    over = run.end_time if run is not None and not is_open(run) else None
    wanted = [
        one.uid
        for one in observed.selection.chosen
        # Whoever joins the fleet now has nothing to do with a run that is over.
        if one.reactor not in failed_names and (over is None or one.created < over)
    ]
    counts = TargetCounts(
        matched=observed.selection.matched,
        selected=len(observed.selection.chosen),
        injected=tally.injected,
        recovered=tally.recovered,
        failed=len(failures),
    )
    shown, missing, causes = _shown(failures), _missing(failures), _causes(failures)
    if _had_ended(observed.scenario, run) and observed.scenario.spec.mode is ScenarioMode.RUN:
        counts = counts.model_copy(
            update={
                "matched": status.targets.matched,
                "selected": status.targets.selected,
                "failed": status.targets.failed,
            }
        )
        shown = tuple(status.failures)
        missing, causes = _missing(shown), _causes(shown)
    return Facts(
        spec=observed.scenario.spec,
        run=run,
        next_run_time=next_run_time,
        now=now,
        counts=counts,
        failures=shown,
        causes=causes,
        missing=missing,
        expected=len(wanted),
        awaited=max(sum(uid not in report.injected for uid in wanted) - tally.lost, 0),
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
    return _Tally(
        injected=reported + lost,
        recovered=recovered + min(lost, max(status.targets.recovered - recovered, 0)),
        lost=lost,
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


def _failures(observed: ObservedScenario) -> list[Failure]:
    failures = {failure.reactor: failure for failure in observed.selection.failures}
    for reactor, other in observed.conflicts.items():
        failures.setdefault(reactor, Failure(reactor, CONFLICT, f"gives way to scenario {other}"))
    return list(failures.values())


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
