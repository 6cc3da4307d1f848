"""What is known of a scenario and its run, in the few numbers that its conditions follow from."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from reactorsync.planning.compose import CONFLICT
from reactorsync.planning.schedule import is_open
from reactorsync.planning.targets import Failure
from reactorsync.resources import AnomalyScenario, AnomalyScenarioSpec
from reactorsync.resources.scenario import (
    Run,
    RunPhase,
    ScenarioMode,
    TargetCounts,
    TargetFailure,
)
from reactorsync_operator.reconcile.observed import ObservedScenario, RunReport

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
        expected: targets the faults are to act on as declared.
        awaited: those of them that never reported a fault of the run acting.
        acting: reactors on which a fault of the run acts, by their reports.
        missed: whether the run lay wholly in the past when it was first seen.
        delivery_problem: why desired state cannot be published now.
    """

    spec: AnomalyScenarioSpec
    run: Run | None
    next_run_time: datetime | None
    now: datetime
    counts: TargetCounts
    failures: tuple[TargetFailure, ...]
    expected: int
    awaited: int
    acting: int
    missed: bool
    report: RunReport
    delivery_problem: str | None

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
    def settles_at(self) -> datetime | None:
        """When the outcome of the ended run is final at the latest."""
        if self.run is None or self.run_is_open:
            return None
        if self.run.phase is RunPhase.ABORTED and self.counts.injected == 0:
            began = self.run.start_time < self.run.end_time
            return self.run.end_time + (SETTLE_UNHEARD if began else timedelta())
        return self.run.end_time + SETTLE

    @property
    def settled(self) -> bool:
        """Whether the run has ended and no report can change its outcome."""
        if self.settles_at is None or self.run is None:
            return False
        if self.now >= self.settles_at:
            return True
        if self.run.phase is RunPhase.ABORTED:
            return self.acting == 0 and self.counts.injected > 0
        return self.acting == 0 and self.awaited == 0


def establish(
    observed: ObservedScenario, *, run: Run | None, next_run_time: datetime | None, now: datetime
) -> Facts:
    """Return the facts of a scenario whose run has been advanced to ``now``."""
    status = observed.scenario.status
    report = _report_of(observed, run)
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
        injected=len(report.injected),
        recovered=len(report.injected) - len(report.acting),
        failed=len(failures),
    )
    shown = _shown(failures)
    if _had_ended(observed.scenario, run) and observed.scenario.spec.mode is ScenarioMode.RUN:
        counts = counts.model_copy(
            update={
                "matched": status.targets.matched,
                "selected": status.targets.selected,
                "failed": status.targets.failed,
            }
        )
        shown = tuple(status.failures)
    return Facts(
        spec=observed.scenario.spec,
        run=run,
        next_run_time=next_run_time,
        now=now,
        counts=counts,
        failures=shown,
        expected=len(wanted),
        awaited=sum(uid not in report.injected for uid in wanted),
        acting=len(report.acting),
        missed=over is not None and not _is_stored(observed.scenario, run),
        report=report,
        delivery_problem=observed.delivery_problem,
    )


def _report_of(observed: ObservedScenario, run: Run | None) -> RunReport:
    """Return what was reported of ``run``: nothing yet, if it is about to be written."""
    return observed.report if _is_stored(observed.scenario, run) else RunReport()


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
