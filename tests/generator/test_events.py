"""From what a shard's plants do to the events that tell of it."""

import numpy as np

from reactorsync.resources.reactor import ReactorState
from reactorsync.trips import TripCause
from reactorsync.wire.desired import DesiredReactor
from reactorsync.wire.events import (
    Event,
    FaultInjected,
    FaultRecovered,
    ReactorApplied,
    ReactorObserved,
    ReactorRestarted,
    ReactorTripped,
)
from reactorsync_generator.events import EventLedger, Observation
from tests.generator.reactors import SECOND, START, desired, fault


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def ledger_of(*states: DesiredReactor) -> EventLedger:
    ledger = EventLedger(shard=3, generator="generator-1")
    for slot, state in enumerate(states):
        apply(ledger, state, slot=slot)
    return ledger


def apply(
    ledger: EventLedger,
    state: DesiredReactor,
    *,
    slot: int = 0,
    trip: int = 0,
    renewed: bool = False,
    second: float = 0,
) -> list[Event]:
    return ledger.applied(
        state, faults=state.faults, slot=slot, renewed=renewed, trip_cause=trip, at_us=at(second)
    )


def observe(
    ledger: EventLedger, second: float, *powers: float, trips: tuple[int, ...] = ()
) -> list[Event]:
    return ledger.observed(
        Observation(
            tick_us=at(second),
            slots=np.arange(len(powers)),
            power_permille=np.array(powers, dtype=np.float64),
            trip_causes=np.array(trips or [0] * len(powers), dtype=np.uint8),
        )
    )


def test_a_revision_is_acknowledged_once() -> None:
    ledger = ledger_of()
    state = desired("a", generation=4)
    (applied,) = apply(ledger, state, second=1)
    assert isinstance(applied, ReactorApplied)
    assert (applied.generation, applied.revision) == (4, state.revision)
    assert (applied.generator, applied.shard, applied.tick_us) == ("generator-1", 3, at(1))
    assert apply(ledger, state, second=2) == []
    assert len(apply(ledger, desired("a", generation=5), second=3)) == 1


def test_what_is_observed_first_is_told_at_once() -> None:
    ledger = ledger_of(desired("a"))
    (seen,) = observe(ledger, 1, 998.4)
    assert isinstance(seen, ReactorObserved)
    assert (seen.power_permille, seen.trip_cause, seen.tick_us) == (998, None, at(1))


def test_power_is_told_when_it_jumped_and_five_seconds_have_passed() -> None:
    ledger = ledger_of(desired("a"))
    observe(ledger, 1, 1000)
    told = [
        second for second in range(2, 20) if observe(ledger, second, 1000 - 60.0 * (second // 3))
    ]
    assert told == [6, 11, 16]


def test_small_changes_are_not_told_but_add_up() -> None:
    ledger = ledger_of(desired("a"))
    observe(ledger, 1, 1000)
    seen = [
        event for second in range(2, 300) for event in observe(ledger, second, 1000 - 0.2 * second)
    ]
    powers = [event.power_permille for event in seen if isinstance(event, ReactorObserved)]
    assert 4 <= len(powers) <= 6
    assert abs(powers[-1] - 940) < 15


def test_the_noise_of_an_instrument_is_no_news() -> None:
    ledger = ledger_of(*(desired(f"unit-{number}") for number in range(1000)))
    noise = np.random.default_rng(1)
    observe(ledger, 0, *noise.normal(1000, 2.5, 1000))
    told = [observe(ledger, 10 * tick, *noise.normal(1000, 2.5, 1000)) for tick in range(1, 61)]
    assert sum(map(len, told)) <= 1


def test_an_instrument_without_a_reading_is_not_told() -> None:
    ledger = ledger_of(desired("a"))
    assert observe(ledger, 1, np.nan) == []
    assert len(observe(ledger, 2, 1000)) == 1
    assert observe(ledger, 60, np.nan) == []


def test_a_trip_and_the_restart_are_told_at_their_ticks() -> None:
    ledger = ledger_of(desired("a"), desired("b"))
    observe(ledger, 1, 1000, 1000)
    cause = TripCause.LOW_PRIMARY_PRESSURE

    (tripped,) = observe(ledger, 2, 1000, 900, trips=(0, cause))
    assert isinstance(tripped, ReactorTripped)
    assert (tripped.subject, tripped.cause, tripped.tick_us) == (
        "default/b",
        "LowPrimaryPressure",
        at(2),
    )
    (seen,) = observe(ledger, 6, 1000, 900, trips=(0, cause))
    assert isinstance(seen, ReactorObserved)
    assert seen.trip_cause == "LowPrimaryPressure"

    (restarted,) = observe(ledger, 7, 1000, 900)
    assert isinstance(restarted, ReactorRestarted)
    assert restarted.subject == "default/b"


def test_a_trip_under_a_former_owner_is_not_told_again() -> None:
    ledger = EventLedger(shard=0, generator="generator-1")
    apply(ledger, desired("a"), trip=TripCause.LOW_PRIMARY_FLOW)
    (seen,) = observe(ledger, 1, 20, trips=(TripCause.LOW_PRIMARY_FLOW,))
    assert isinstance(seen, ReactorObserved)
    assert seen.trip_cause == "LowPrimaryFlow"


def test_faults_are_told_when_they_begin_and_end() -> None:
    leak = fault(start_us=at(2), end_us=at(4))
    ledger = ledger_of(desired("a", faults=[leak]))
    observe(ledger, 1, 1000)
    (injected,) = observe(ledger, 2, 1000)
    assert isinstance(injected, FaultInjected)
    assert (injected.fault_id, injected.scenario, injected.run, injected.stage, injected.kind) == (
        leak.id,
        "leak",
        1,
        "leak",
        "PrimaryLeak",
    )
    assert observe(ledger, 3, 1000) == []
    (recovered,) = observe(ledger, 4, 1000)
    assert isinstance(recovered, FaultRecovered)


def test_a_lifted_fault_has_recovered() -> None:
    ledger = ledger_of(desired("a", faults=[fault(start_us=at(1), end_us=at(100))]))
    observe(ledger, 1, 1000)
    applied, recovered = apply(ledger, desired("a", generation=2), second=2)
    assert isinstance(applied, ReactorApplied)
    assert isinstance(recovered, FaultRecovered)


def test_a_new_plant_begins_afresh() -> None:
    ledger = ledger_of(desired("a"))
    observe(ledger, 1, 1000, trips=(TripCause.LOW_PRIMARY_FLOW,))
    (applied,) = apply(ledger, desired("a", seed=8), slot=5, renewed=True, second=2)
    assert isinstance(applied, ReactorApplied)
    events = ledger.observed(
        Observation(at(3), np.array([5]), np.array([1000.0]), np.array([0], dtype=np.uint8))
    )
    assert [type(event) for event in events] == [ReactorObserved]


def test_everything_current_can_be_told_again() -> None:
    over = fault(start_us=at(1), end_us=at(2), identity="s/1/over")
    acting = fault(start_us=at(1), end_us=at(100), identity="s/1/acting")
    ahead = fault(start_us=at(50), end_us=at(100), identity="s/1/ahead")
    suspended = desired("b", state=ReactorState.SUSPENDED)
    ledger = ledger_of(desired("a", faults=[over, acting, ahead]), suspended)
    for second in (1, 2, 3):
        observe(ledger, second, 1000)

    again = ledger.current(at(3.5))

    assert [(type(event), event.subject) for event in again] == [
        (ReactorApplied, "default/a"),
        (ReactorApplied, "default/b"),
        (FaultInjected, "default/a"),
        (FaultRecovered, "default/a"),
    ]
    assert [type(event) for event in observe(ledger, 4, 1000)] == [ReactorObserved]


def test_nothing_more_is_told_of_a_reactor_that_is_gone() -> None:
    ledger = ledger_of(desired("a", faults=[fault(start_us=at(1), end_us=at(9))]), desired("b"))
    ledger.forget("default/a")
    assert (
        ledger.observed(
            Observation(at(2), np.array([1]), np.array([1000.0]), np.array([0], dtype=np.uint8))
        )
        != []
    )
    assert all(event.subject == "default/b" for event in ledger.current(at(3)))
