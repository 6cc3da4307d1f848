"""A fault is a case from its report to its verdict: one verdict for each time that it begins."""

from uuid import UUID

import numpy as np

from reactorsync.signals import SIGNALS
from reactorsync.wire.events import FaultInjected, FaultRecovered, FaultVerified
from reactorsync_historian.verification.cases import AFTERMATH_US, WINDOW_US, Case, CaseBook
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


def test_readings_from_before_and_from_long_after_are_not_looked_at() -> None:
    case = case_with_baseline()
    assert case.look(*readings(range(-30, 0), level=-900.0)) is None
    case.recovered_us = START + 5 * SECOND
    assert case.look(*readings(range(20, 60), level=-900.0)) is None
    assert case.is_over


def test_it_may_show_until_shortly_after_its_end_or_for_ten_minutes() -> None:
    case = case_with_baseline()
    assert case.end_us == START + WINDOW_US
    case.recovered_us = START + 5 * SECOND
    assert case.end_us == START + 5 * SECOND + AFTERMATH_US


def test_a_verdict_that_nothing_was_seen_says_for_how_long() -> None:
    case = case_with_baseline()
    assert case.look(*readings(range(40))) is None
    verdict = case.give_up()
    assert not verdict.confirmed
    assert verdict.signal is None
    assert verdict.tick_us == START + 39 * SECOND
    assert verdict.message == "any signal reads as before, 39 s after the fault began"


def test_a_verdict_without_readings_says_so() -> None:
    assert case_with_baseline().give_up().message == "no readings since the fault began"
    case = Case(injected())
    case.baseline = Baseline.of(readings(range(-3, 0))[1])
    assert case.look(*readings(range(40), level=-900.0)) is None
    assert case.give_up().message == "fewer than 8 readings from before the fault"


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
