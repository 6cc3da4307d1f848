"""What is measured of a run, from one status to the next."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from prometheus_client import Histogram

from reactorsync.resources import AnomalyScenario, Condition, ConditionStatus
from reactorsync.resources.scenario_status import Detection, Run, RunPhase
from reactorsync_operator.durations import observe
from reactorsync_operator.metrics import (
    DETECT_SECONDS,
    INJECT_SECONDS,
    RECOVER_SECONDS,
    VERIFY_SECONDS,
)
from tests.core.planning.build import NOON, scenario

STARTED = Run(
    number=1,
    phase=RunPhase.RUNNING,
    start_time=NOON,
    end_time=NOON + timedelta(seconds=60),
)
INJECTED = STARTED.model_copy(update={"injected_time": NOON + timedelta(seconds=2)})
RECOVERED = INJECTED.model_copy(update={"recovered_time": NOON + timedelta(seconds=63)})


def seen(run: Run | None, **status: object) -> AnomalyScenario:
    declared = scenario("leak")
    told = declared.status.model_copy(update={"run": run, **status})
    return declared.model_copy(update={"status": told})


def verified(status: ConditionStatus, *, after: float = 5) -> dict[str, object]:
    since = NOON + timedelta(seconds=after)
    return {
        "conditions": [
            Condition(type="Verified", status=status, reason="Seen", last_transition_time=since)
        ]
    }


def total(histogram: Histogram) -> Callable[[], float]:
    def added() -> float:
        return float(histogram._sum.get())

    return added


@pytest.mark.parametrize(
    ("before", "after", "histogram", "seconds"),
    [
        (seen(STARTED), seen(INJECTED), INJECT_SECONDS, 2),
        (seen(INJECTED), seen(INJECTED), INJECT_SECONDS, 0),
        (seen(None), seen(INJECTED), INJECT_SECONDS, 2),
        (seen(INJECTED), seen(RECOVERED), RECOVER_SECONDS, 3),
        (
            seen(INJECTED, **verified(ConditionStatus.UNKNOWN)),
            seen(INJECTED, **verified(ConditionStatus.TRUE)),
            VERIFY_SECONDS,
            3,
        ),
        (
            seen(INJECTED, **verified(ConditionStatus.TRUE)),
            seen(INJECTED, **verified(ConditionStatus.TRUE)),
            VERIFY_SECONDS,
            0,
        ),
        (
            seen(INJECTED),
            seen(INJECTED, detection=Detection(time_to_detect_milliseconds=1500)),
            DETECT_SECONDS,
            1.5,
        ),
    ],
)
def test_each_is_counted_when_it_is_first_told(
    before: AnomalyScenario, after: AnomalyScenario, histogram: Histogram, seconds: float
) -> None:
    counted = total(histogram)
    known = counted()
    observe(before, after)
    assert counted() - known == pytest.approx(seconds)
