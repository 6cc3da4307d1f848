"""When the stages of a run act."""

from typing import Any

import pytest

from reactorsync.planning.timeline import StagePhase, Window, run_window, stage_windows
from reactorsync.wire.envelope import to_micros
from tests.core.planning.build import LEAK, NOON, after, scenario

LATER = {"name": "later", "fault": "PumpTrip", "offsetSeconds": 300, "durationSeconds": 900}


def test_a_run_lasts_until_its_last_stage_has_ended() -> None:
    spec = scenario(stages=[LEAK, LATER]).spec
    assert run_window(spec, NOON) == Window(to_micros(NOON), to_micros(after(1200)))


def test_stages_lie_at_their_offsets_to_the_microsecond() -> None:
    spec = scenario(stages=[LEAK, LATER]).spec
    start = NOON.replace(microsecond=123_456)
    leak, later = stage_windows(spec, run_window(spec, start))
    assert leak.window.start_us == to_micros(start)
    assert leak.window.end_us == to_micros(start) + 600_000_000
    assert later.window.start_us == to_micros(start) + 300_000_000


def test_what_lies_beyond_the_cut_does_not_happen() -> None:
    spec = scenario(stages=[LEAK, LATER]).spec
    cut = run_window(spec, NOON, cut=after(400))
    assert [one.window.end_us for one in stage_windows(spec, cut)] == [to_micros(after(400))] * 2
    (only,) = stage_windows(spec, run_window(spec, NOON, cut=after(300)))
    assert only.stage.name == "leak"


@pytest.mark.parametrize(
    ("now_us", "phase"),
    [
        (9, StagePhase.AHEAD),
        (10, StagePhase.ACTING),
        (19, StagePhase.ACTING),
        (20, StagePhase.ENDED),
    ],
)
def test_a_window_holds_its_start_and_not_its_end(now_us: int, phase: StagePhase) -> None:
    assert Window(10, 20).phase(now_us) is phase


@pytest.mark.parametrize(
    ("other", "overlaps"),
    [
        (Window(0, 10), False),
        (Window(0, 11), True),
        (Window(19, 30), True),
        (Window(20, 30), False),
        (Window(12, 13), True),
    ],
)
def test_windows_that_touch_do_not_overlap(other: Window, overlaps: bool) -> None:
    assert Window(10, 20).overlaps(other) is overlaps
    assert other.overlaps(Window(10, 20)) is overlaps


@pytest.mark.parametrize(
    ("shape", "ramp_us"),
    [
        ({"shape": "Step"}, 0),
        ({"shape": "Ramp", "rampSeconds": 60}, 60_000_000),
        ({"shape": "Pulse", "rampSeconds": 5}, 5_000_000),
        ({"shape": "Drift"}, 0),
    ],
)
def test_the_ramp_is_that_of_the_shape(shape: dict[str, Any], ramp_us: int) -> None:
    spec = scenario(stages=[{**LEAK, **shape}]).spec
    (placed,) = stage_windows(spec, run_window(spec, NOON))
    assert placed.ramp_us == ramp_us


def test_a_drift_that_is_cut_short_keeps_its_slope() -> None:
    spec = scenario(stages=[{**LEAK, "shape": "Drift"}]).spec
    (placed,) = stage_windows(spec, run_window(spec, NOON))
    assert placed.severity_permille(to_micros(after(600))) == 400
    assert placed.severity_permille(to_micros(after(150))) == 100
    assert placed.severity_permille(to_micros(NOON) + 1) == 1
