"""How a run was noticed, and how little of that may be lost by a restart."""

from __future__ import annotations

from reactorsync.resources.scenario_status import Detection, Run
from reactorsync_operator.reconcile.observed import ObservedScenario, RunReport
from reactorsync_operator.reconcile.probing import is_over


def detection_of(observed: ObservedScenario, run: Run) -> Detection | None:
    """Return what was noticed of ``run``; ``None`` while no fault was reported to act.

    While the run is open nothing counts as missed. Where a broker has forgotten what the status of
    the same run was written from, nothing that it says is taken back.
    """
    report, status = observed.report, observed.scenario.status
    injected, detected, false_alarms = (
        len(report.injected),
        len(report.detected),
        report.false_alarms,
    )
    median = median_ms(report)
    is_stored = status.run is not None and status.run.number == run.number
    if is_stored and status.targets.injected > injected:
        injected = status.targets.injected
        before = status.detection or Detection()
        false_alarms = max(false_alarms, before.false_alarms)
        if before.detected > detected:
            detected, median = before.detected, before.time_to_detect_milliseconds
    if injected == 0:
        return None
    return Detection(
        detected=detected,
        missed=max(injected - detected, 0) if is_over(run) else 0,
        false_alarms=false_alarms,
        time_to_detect_milliseconds=median,
    )


def median_ms(report: RunReport) -> int | None:
    """Return the median time from injection to the first alarm, in milliseconds; the lower one."""
    delays_us = report.delays_us
    if not delays_us:
        return None
    return delays_us[(len(delays_us) - 1) // 2] // 1000
