"""Back-off between restarts: exponential, bounded, forgotten by a healthy run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorsync_local.supervisor import RestartPolicy


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, 0.2), (2, 0.4), (3, 0.8), (6, 6.4), (7, 10.0), (1_000_000, 10.0)],
    ids=str,
)
def test_the_pause_doubles_up_to_ten_seconds(failures: int, seconds: float) -> None:
    assert RestartPolicy().delay_seconds(failures) == pytest.approx(seconds)


@given(
    failures=st.integers(1, 10_000),
    initial=st.floats(0.001, 10),
    factor=st.floats(1, 10),
    bound=st.floats(0.01, 100),
)
def test_the_pause_never_shrinks_and_never_exceeds_its_bound(
    failures: int, initial: float, factor: float, bound: float
) -> None:
    policy = RestartPolicy(initial_seconds=initial, factor=factor, max_seconds=bound)

    pause, next_pause = policy.delay_seconds(failures), policy.delay_seconds(failures + 1)

    assert 0 < pause <= next_pause <= bound


def test_a_healthy_run_begins_the_count_afresh() -> None:
    policy = RestartPolicy(healthy_seconds=30)

    assert policy.failures_after(7, uptime_seconds=29.9) == 8
    assert policy.failures_after(7, uptime_seconds=30.0) == 1


def test_only_a_policy_with_a_limit_gives_up() -> None:
    assert not RestartPolicy().gives_up(1_000_000)
    assert not RestartPolicy(max_failures=3).gives_up(2)
    assert RestartPolicy(max_failures=3).gives_up(3)
