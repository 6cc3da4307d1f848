"""A fault is a case from its report to its verdict: one verdict for each time that it begins."""

from uuid import UUID

import numpy as np
import pytest

from reactorsync.signals import SIGNALS
from reactorsync.wire.events import FaultInjected, FaultRecovered, FaultVerified
from reactorsync_historian.verification.cases import WINDOW_US, Case, CaseBook
from reactorsync_historian.verification.evidence import Baseline

SECOND = 1_000_000
START = 1_760_000_000 * SECOND
ABOUT = {
    "namespace": "default",
    "name": "unit-1",
    "uid": UUID("11111111-2222-4333-8444-555555555555"),
    "fault_id": "scenario/1/trip",
    "scenario": "trip",
    "run": 1,
    "stage": "trip",
    "kind": "PumpTrip",
}


def injected(second: int = 0) -> FaultInjected:
    return FaultInjected.model_validate({**ABOUT, "tick_us": START + second * SECOND})


def recovered(second: int) -> FaultRecovered:
    return FaultRecovered.model_validate({**ABOUT, "tick_us": START + second * SECOND})


def verified(second: int, *, confirmed: bool = True) -> FaultVerified:
    return FaultVerified.model_validate(
        {**ABOUT, "tick_us": START + second * SECOND, "confirmed": confirmed}
    )


def readings(seconds: range, *, level: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Readings once a second, close to a level."""
    noise = np.random.default_rng(7).normal(level, 0.001, (len(seconds), len(SIGNALS)))
    return START + np.array(seconds, np.int64) * SECOND, noise.astype(np.float32)


def case_with_baseline(second: int = 0) -> Case:
    case = Case(injected(second))
    case.baseline = Baseline.of(readings(range(second - 32, second))[1])
    return case


def test_the_verdict_is_the_same_however_the_readings_come() -> None:
    times, values = readings(range(30))
    later, fallen = readings(range(30, 60), level=-900.0)
    times, values = np.concatenate([times, later]), np.concatenate([values, fallen])
    at_once = case_with_baseline().look(times, values)
    one_by_one = case_with_baseline()
    verdicts = [one_by_one.look(times[n : n + 1], values[n : n + 1]) for n in range(len(times))]
    assert at_once is not None
    assert at_once.confirmed
    assert at_once.tick_us == START + 32 * SECOND
    assert next(verdict for verdict in verdicts if verdict is not None) == at_once


def test_readings_from_before_and_after_are_not_looked_at() -> None:
    case = case_with_baseline()
    assert case.look(*readings(range(-30, 0), level=-900.0)) is None
    case.recovered_us = START + 50 * SECOND
    assert case.look(*readings(range(50), level=1.0)) is None
    assert case.look(*readings(range(50, 60), level=-900.0)) is None
    assert case.is_over


def test_it_may_show_while_it_acts_and_for_ten_minutes_at_most() -> None:
    case = case_with_baseline()
    assert case.end_us == START + WINDOW_US
    case.recovered_us = START + 5 * SECOND
    assert case.end_us == START + 5 * SECOND - 1


def given_up(
    case: Case, looked_at: range = range(0), *, recovered: int | None = None
) -> FaultVerified:
    """The verdict on readings among which nothing shows."""
    if looked_at:
        assert case.look(*readings(looked_at)) is None
    if recovered is not None:
        case.recovered_us = START + recovered * SECOND
    verdict = case.give_up()
    assert verdict.signal is None
    return verdict


def test_a_verdict_that_nothing_was_seen_says_for_how_long() -> None:
    verdict = given_up(case_with_baseline(), range(70), recovered=60)
    assert verdict.confirmed is False
    assert verdict.tick_us == START + 60 * SECOND - 1
    assert verdict.message == "any signal reads as before, 60 s after the fault began"


@pytest.mark.parametrize("recovered", [0, 3, 44])
def test_a_fault_that_ended_early_is_not_judged_by_what_came_after(recovered: int) -> None:
    verdict = given_up(case_with_baseline(), range(100), recovered=recovered)
    assert verdict.confirmed is None
    assert verdict.message == f"the fault acted for {recovered} s; it may take 45 s to show"


@pytest.mark.parametrize(
    ("kind", "rise", "acted", "confirmed"),
    [
        ("PumpTrip", 0, 45, False),
        ("PumpTrip", 30, 74, None),
        ("PumpTrip", 30, 75, False),
        ("PumpTrip", 3600, 600, False),
        ("BoronDilution", 0, 599, None),
        ("BoronDilution", 0, 600, False),
        ("SensorDrift", 0, 300, None),
        ("PrimaryLeak", 0, 300, None),
    ],
)
def test_what_shows_slowly_must_act_for_longer(
    kind: str, rise: int, acted: int, confirmed: bool | None
) -> None:
    case = case_with_baseline()
    case.injected = case.injected.model_copy(update={"kind": kind})
    case.rise_us = rise * SECOND
    assert given_up(case, range(acted), recovered=acted).confirmed is confirmed


def test_a_fault_that_showed_is_confirmed_however_short_it_was() -> None:
    case = case_with_baseline()
    case.recovered_us = START + 3 * SECOND
    verdict = case.look(*readings(range(10), level=-900.0))
    assert verdict is not None
    assert verdict.confirmed


def test_without_readings_since_nothing_is_judged() -> None:
    for case in (Case(injected()), case_with_baseline()):
        verdict = given_up(case)
        assert verdict.confirmed is None
        assert verdict.message == "no readings since the fault began"


def test_where_telemetry_ended_or_was_rare_nothing_is_judged() -> None:
    verdict = given_up(case_with_baseline(), range(11), recovered=60)
    assert verdict.confirmed is None
    assert verdict.message == "fewer than 12 readings while the fault acted"
    verdict = given_up(case_with_baseline(), range(20), recovered=60)
    assert verdict.confirmed is None
    assert verdict.message == "readings of 19 s only, of 60 s that the fault acted"


def test_readings_that_lack_the_sensor_are_none() -> None:
    case = case_with_baseline()
    case.signal = SIGNALS[0].name
    times, values = readings(range(60))
    values[5:, 0] = np.nan
    assert case.look(times, values) is None
    assert case.give_up().message == "fewer than 12 readings while the fault acted"


def test_without_a_baseline_it_is_said_at_once_that_nothing_can_be_judged() -> None:
    case = Case(injected())
    case.baseline = Baseline.of(readings(range(-2, 0))[1])
    assert case.look(*readings(range(1), level=-900.0)) is None
    assert case.is_over
    verdict = case.give_up()
    assert verdict.confirmed is None
    assert verdict.message == "fewer than 3 readings from before the fault"


def test_few_readings_from_before_may_confirm_and_never_deny() -> None:
    def case() -> Case:
        young = Case(injected())
        young.baseline = Baseline.of(readings(range(-4, 0))[1])
        return young

    verdict = case().look(*readings(range(40), level=-900.0))
    assert verdict is not None
    assert verdict.confirmed
    verdict = given_up(case(), range(60), recovered=60)
    assert verdict.confirmed is None
    assert verdict.message == (
        "nothing stands out, but only 4 readings are from before the fault; 8 are needed"
    )


def test_a_fault_that_is_told_again_is_the_same_case() -> None:
    book = CaseBook()
    for second in (0, 0, 7):
        book.injected(injected(second), signal=None)
    (case,) = book.open()
    assert case.injected.tick_us == START
    book.verified(verified(3))
    book.injected(injected(20), signal=None)
    assert len(book) == 0


def test_a_fault_that_begins_again_after_its_end_is_another_case() -> None:
    book = CaseBook()
    book.injected(injected(0), signal=None)
    book.verified(verified(3))
    book.recovered(recovered(10))
    book.injected(injected(10), signal=None)
    (case,) = book.open()
    assert case.injected.tick_us == START + 10 * SECOND
    book.verified(verified(3))
    assert len(book) == 1


def test_what_is_long_over_is_forgotten() -> None:
    book = CaseBook()
    book.injected(injected(0), signal=None)
    book.recovered(recovered(10))
    book.forget(before_us=START + 60 * SECOND)
    assert len(book) == 1, "its verdict is still to come"
    book.verified(verified(9))
    book.forget(before_us=START + 60 * SECOND)
    book.injected(injected(0), signal=None)
    assert len(book) == 1
