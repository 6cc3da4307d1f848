"""The score: a verdict on whoever watches the plant."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorsync.planning.score import GradedProbe, Watch, grade, score
from reactorsync.planning.score_document import EXAMPLE, rewrite

PAGE = Path(__file__).parents[3] / "docs" / "scoring.md"

PERFECT = Watch(
    probes=(GradedProbe(passed=True),),
    targets=10,
    detected=10,
    time_to_detect_ms=0,
    run_ms=600_000,
    severity_percent=100,
    false_alarms=0,
)


def points(watch: Watch) -> int:
    found = score(watch)
    assert found is not None
    return found


def test_who_notices_everything_at_once_gets_full_marks() -> None:
    assert score(PERFECT) == 100


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"detected": 0, "time_to_detect_ms": None}, 40, id="only the probes passed"),
        pytest.param({"probes": (GradedProbe(passed=False),)}, 60, id="only the probes failed"),
        pytest.param({"time_to_detect_ms": 300_000}, 90, id="noticed half a run later"),
        pytest.param({"time_to_detect_ms": 600_000}, 80, id="noticed at its very end"),
        pytest.param({"time_to_detect_ms": 900_000}, 80, id="noticed later than that"),
        pytest.param({"detected": 5}, 70, id="half of the targets"),
        pytest.param({"false_alarms": 10}, 75, id="as many false alarms as targets"),
        pytest.param({"false_alarms": 1_000_000}, 50, id="an alarm for everything"),
        pytest.param({"probes": ()}, 100, id="no probes"),
        pytest.param(
            {"probes": (), "detected": 0, "time_to_detect_ms": None}, 0, id="a severe fault missed"
        ),
        pytest.param(
            {
                "probes": (),
                "detected": 0,
                "time_to_detect_ms": None,
                "severity_percent": 20,
            },
            40,
            id="a mild fault missed",
        ),
        pytest.param({"targets": 0, "detected": 0, "time_to_detect_ms": None}, 100, id="probes"),
        pytest.param(
            {"probes": (GradedProbe(passed=True, weight=2), GradedProbe(passed=False))},
            87,
            id="the weightier probe passed",
        ),
    ],
)
def test_what_is_not_noticed_costs(change: dict[str, object], expected: int) -> None:
    assert score(replace(PERFECT, **change)) == expected  # type: ignore[arg-type]


def test_with_neither_probes_nor_targets_there_is_nothing_to_grade() -> None:
    assert score(replace(PERFECT, probes=(), targets=0, detected=0, false_alarms=3)) is None


def test_the_page_shows_the_example_as_the_code_works_it_out() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert rewrite(page) == page
    graded = grade(EXAMPLE)
    assert graded is not None
    assert f"**{graded.points}**" in page


@st.composite
def watches(draw: st.DrawFn) -> Watch:
    targets = draw(st.integers(0, 1000))
    detected = draw(st.integers(0, targets))
    return Watch(
        probes=tuple(
            draw(st.lists(st.builds(GradedProbe, passed=st.booleans(), weight=st.integers(1, 2))))
        ),
        targets=targets,
        detected=detected,
        time_to_detect_ms=draw(st.integers(0, 10**7)) if detected else None,
        run_ms=draw(st.integers(0, 10**7)),
        severity_percent=draw(st.integers(1, 100)),
        false_alarms=draw(st.integers(0, 10**6)),
    )


@given(watches())
def test_it_stays_between_nought_and_a_hundred(watch: Watch) -> None:
    found = score(watch)
    assert found is None or 0 <= found <= 100
    assert (found is None) == (not watch.probes and watch.targets == 0)


@given(watches(), st.data())
def test_a_passed_probe_never_lowers_it(watch: Watch, data: st.DataObject) -> None:
    if not watch.probes:
        return
    place = data.draw(st.integers(0, len(watch.probes) - 1))
    better = [*watch.probes]
    better[place] = replace(better[place], passed=True)
    assert points(replace(watch, probes=better)) >= points(watch)


@given(watches(), st.integers(1, 1000))
def test_a_detected_target_more_never_lowers_it(watch: Watch, more: int) -> None:
    if watch.detected == 0 or watch.targets == 0:
        return
    better = replace(watch, detected=min(watch.detected + more, watch.targets))
    assert points(better) >= points(watch)


@given(watches(), st.integers(0, 10**7))
def test_an_alarm_that_was_missing_never_lowers_it(watch: Watch, delay: int) -> None:
    if watch.targets == 0:
        return
    nobody = replace(watch, detected=0, time_to_detect_ms=None)
    assert points(replace(nobody, detected=1, time_to_detect_ms=delay)) >= points(nobody)


@given(watches(), st.integers(1, 10**7))
def test_a_later_alarm_never_raises_it(watch: Watch, later: int) -> None:
    if watch.time_to_detect_ms is None:
        return
    assert points(replace(watch, time_to_detect_ms=watch.time_to_detect_ms + later)) <= points(
        watch
    )


@given(watches(), st.integers(1, 1000))
def test_more_false_alarms_never_raise_it(watch: Watch, more: int) -> None:
    worse = replace(watch, false_alarms=watch.false_alarms + more)
    assert (score(worse) or 0) <= (score(watch) or 0)


@given(watches(), st.integers(1, 100))
def test_missing_as_much_of_a_severer_fault_never_raises_it(watch: Watch, severity: int) -> None:
    severer = replace(watch, severity_percent=max(severity, watch.severity_percent))
    assert (score(severer) or 0) <= (score(watch) or 0)
