"""When probes are looked at."""

from datetime import timedelta

import pytest

from reactorsync.planning.timeline import Window
from reactorsync.resources import AnomalyScenarioSpec
from reactorsync.resources.scenario_status import Run, RunPhase
from reactorsync.wire.envelope import to_micros
from reactorsync_operator.reconcile.probing import (
    LAG,
    PlacedProbe,
    ProbeRole,
    place_probes,
    run_clock,
)
from tests.core.planning.build import LEAK, NOON, after, scenario

SIGNAL = {"signal": "neutron_power_percent", "comparison": "Above", "thresholdMilli": 1000}


def spec(phase: str = "During", **fields: object) -> AnomalyScenarioSpec:
    """A leak from 30 s to 630 s of the run, with one probe of 60 s."""
    probe = {"name": "seen", "phase": phase, "timeoutSeconds": 60, "telemetry": SIGNAL}
    return scenario(stages=[{**LEAK, "offsetSeconds": 30}], probes=[{**probe, **fields}]).spec


def run(phase: RunPhase = RunPhase.RUNNING, *, ends: float = 630, **fields: object) -> Run:
    return Run(number=1, phase=phase, start_time=NOON, end_time=after(ends)).model_copy(
        update=fields
    )


def window(first: float, last: float) -> Window:
    return Window(to_micros(after(first)), to_micros(after(last)))


def only(placed: tuple[PlacedProbe, ...]) -> PlacedProbe:
    (one,) = placed
    return one


@pytest.mark.parametrize(
    ("phase", "placed"),
    [
        (RunPhase.PENDING, window(0, 60)),
        (RunPhase.PROBING, window(0, 60)),
        (RunPhase.RUNNING, None),
        (RunPhase.COMPLETED, None),
    ],
)
def test_before_is_from_when_the_run_is_due(phase: RunPhase, placed: Window | None) -> None:
    assert only(place_probes(spec("Before"), run(phase))).window == placed


@pytest.mark.parametrize(
    ("standing", "placed"),
    [
        pytest.param(run(RunPhase.PENDING), window(30, 90), id="known ahead"),
        pytest.param(run(), window(30, 90), id="from the first stage's begin"),
        pytest.param(run(RunPhase.PROBING), None, id="not while the begin is open"),
        pytest.param(
            run(RunPhase.ABORTED, ends=50, injected_time=after(31)), window(30, 50), id="cut short"
        ),
        pytest.param(run(RunPhase.ABORTED, ends=50), None, id="no fault ever acted"),
        pytest.param(run(RunPhase.ABORTED, ends=20, injected_time=NOON), None, id="over before"),
    ],
)
def test_during_is_from_the_first_stage_on(standing: Run, placed: Window | None) -> None:
    assert only(place_probes(spec("During"), standing)).window == placed


def test_during_ends_with_the_run_at_the_latest() -> None:
    long = spec("During", timeoutSeconds=3600)
    assert only(place_probes(long, run())).window == window(30, 630)


@pytest.mark.parametrize(
    ("standing", "placed"),
    [
        (run(), None),
        (run(RunPhase.COMPLETED), window(630, 690)),
        (run(RunPhase.ABORTED, ends=50, injected_time=after(31)), window(50, 110)),
        (run(RunPhase.ABORTED, ends=50), None),
    ],
)
def test_after_is_from_the_end_of_the_run(standing: Run, placed: Window | None) -> None:
    assert only(place_probes(spec("After"), standing)).window == placed


def test_abort_conditions_count_as_long_as_faults_may_act() -> None:
    plain = scenario(
        stages=[{**LEAK, "offsetSeconds": 30}],
        abortWhen=[{"name": "enough", "telemetry": SIGNAL}],
    ).spec
    placed = only(place_probes(plain, run()))
    assert (placed.role, placed.window) == (ProbeRole.ABORT, window(30, 630))
    assert not placed.needs_all


def test_a_probe_is_given_up_when_what_it_waits_for_must_have_become_known() -> None:
    placed = only(place_probes(spec(), run()))
    assert placed.decided_at == after(90) + LAG


def test_while_the_run_is_held_its_clock_stands_still() -> None:
    held = run(held_since=after(40))
    assert run_clock(held, after(100)) == after(40)
    assert run_clock(run(), after(100)) == after(100)
    assert run_clock(held, after(39)) == after(40) - timedelta(seconds=1)
