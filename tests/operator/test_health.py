"""A plant's health in one word and one number."""

import pytest

from reactorsync.faults import FaultKind
from reactorsync.resources.reactor import HealthState
from reactorsync_operator.reconcile.health import ActingFault, assess

LEAK = ActingFault(FaultKind.PRIMARY_LEAK, 40)
BREAK = ActingFault(FaultKind.STEAM_LINE_BREAK, 100)
GAUGE = ActingFault(FaultKind.SENSOR_BIAS, 100)
STRANGE = ActingFault(None, 100)


@pytest.mark.parametrize(
    ("faults", "trip", "heard_of", "state", "score"),
    [
        ([], None, True, HealthState.NOMINAL, 100),
        ([], None, False, HealthState.UNKNOWN, None),
        ([LEAK], None, True, HealthState.DEGRADED, 80),
        ([BREAK], None, True, HealthState.DEGRADED, 50),
        ([GAUGE], None, True, HealthState.DEGRADED, 80),
        ([LEAK, GAUGE], None, True, HealthState.DEGRADED, 75),
        ([STRANGE], None, True, HealthState.DEGRADED, 50),
        ([BREAK] * 16, None, True, HealthState.DEGRADED, 10),
        ([], "LowPrimaryFlow", True, HealthState.TRIPPED, 0),
        ([LEAK], "LowPrimaryFlow", False, HealthState.UNKNOWN, None),
    ],
)
def test_health(
    faults: list[ActingFault],
    trip: str | None,
    heard_of: bool,
    state: HealthState,
    score: int | None,
) -> None:
    health = assess(faults, trip_cause=trip, power_error_permille=12, heard_of=heard_of)
    assert (health.state, health.score) == (state, score)


@pytest.mark.parametrize(
    ("faults", "error", "state", "score"),
    [
        ([], 50, HealthState.NOMINAL, 100),
        ([], 51, HealthState.DEGRADED, 95),
        ([], 990, HealthState.DEGRADED, 10),
        ([LEAK], 300, HealthState.DEGRADED, 65),
    ],
    ids=["regulated", "just away", "restarting", "away with a fault"],
)
def test_power_away_from_its_setpoint_is_not_nominal(
    faults: list[ActingFault], error: int, state: HealthState, score: int
) -> None:
    health = assess(faults, trip_cause=None, power_error_permille=error, heard_of=True)

    assert (health.state, health.score) == (state, score)
