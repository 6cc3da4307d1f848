"""How long a run takes to act, to go, to be proved and to be noticed, as its statuses tell."""

from __future__ import annotations

from datetime import timedelta

from reactorsync.resources import AnomalyScenario, ConditionStatus, condition_of
from reactorsync.resources.scenario_status import Run
from reactorsync_operator.metrics import (
    DETECT_SECONDS,
    INJECT_SECONDS,
    RECOVER_SECONDS,
    VERIFY_SECONDS,
)


def observe(before: AnomalyScenario, after: AnomalyScenario) -> None:
    """Count what the status ``after`` tells for the first time, compared with ``before``."""
    run = after.status.run
    if run is None:
        return
    known = before.status.run
    is_new = known is None or known.number != run.number
    if run.injected_time is not None and (known is None or is_new or known.injected_time is None):
        first = min((stage.offset_seconds for stage in after.spec.stages), default=0)
        begins = run.start_time + timedelta(seconds=first)
        INJECT_SECONDS.observe(max((run.injected_time - begins).total_seconds(), 0.0))
    if run.recovered_time is not None and (known is None or is_new or known.recovered_time is None):
        RECOVER_SECONDS.observe(max((run.recovered_time - run.end_time).total_seconds(), 0.0))
    _observe_verdict(before, after, run, is_new=is_new)
    _observe_detection(before, after, is_new=is_new)


def _observe_verdict(
    before: AnomalyScenario, after: AnomalyScenario, run: Run, *, is_new: bool
) -> None:
    verified = condition_of(after.status.conditions, "Verified")
    known = condition_of(before.status.conditions, "Verified")
    if verified is None or run.injected_time is None:
        return
    was_open = is_new or known is None or known.status is ConditionStatus.UNKNOWN
    if was_open and verified.status is not ConditionStatus.UNKNOWN:
        took = verified.last_transition_time - run.injected_time
        VERIFY_SECONDS.observe(max(took.total_seconds(), 0.0))


def _observe_detection(before: AnomalyScenario, after: AnomalyScenario, *, is_new: bool) -> None:
    def milliseconds(scenario: AnomalyScenario) -> int | None:
        detection = scenario.status.detection
        return detection.time_to_detect_milliseconds if detection is not None else None

    took = milliseconds(after)
    if took is not None and (is_new or milliseconds(before) is None):
        DETECT_SECONDS.observe(took / 1000)
