"""When faults begin and end to act."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorsync.wire.desired import DesiredFault
from reactorsync_generator.fault_watch import FaultTurn, FaultWatch, Turn
from tests.generator.reactors import SECOND, START, fault

KEY = "default/a"


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def watching(
    *faults: DesiredFault, interval: float = 1.0, at_us: int = START
) -> tuple[FaultWatch, list[FaultTurn]]:
    watch = FaultWatch()
    return watch, replace(watch, faults, interval=interval, at_us=at_us)


def replace(
    watch: FaultWatch,
    faults: Sequence[DesiredFault],
    *,
    at_us: int,
    interval: float = 1.0,
    suspended: bool = False,
) -> list[FaultTurn]:
    return watch.replace(
        KEY, faults, interval_us=int(interval * SECOND), suspended=suspended, at_us=at_us
    )


def turns(watch: FaultWatch, *seconds: int) -> dict[int, list[Turn]]:
    found = {second: [turn.turn for turn in watch.pass_to(at(second))] for second in seconds}
    return {second: turned for second, turned in found.items() if turned}


def test_a_fault_turns_at_the_first_ticks_that_show_it() -> None:
    watch, _ = watching(fault(start_us=at(2.35), end_us=at(5)))
    assert turns(watch, *range(1, 9)) == {3: [Turn.BEGAN], 5: [Turn.ENDED]}


def test_a_slow_reactor_shows_it_at_its_own_ticks() -> None:
    watch, _ = watching(fault(start_us=at(2), end_us=at(25)), interval=20)
    assert turns(watch, *range(1, 61)) == {20: [Turn.BEGAN], 40: [Turn.ENDED]}


def test_a_fault_between_two_ticks_is_told_all_the_same() -> None:
    watch, _ = watching(fault(start_us=at(2.1), end_us=at(2.9)))
    assert turns(watch, 1, 2, 3, 4) == {3: [Turn.BEGAN, Turn.ENDED]}


def test_a_fault_that_acts_when_it_is_heard_of_begins_with_the_next_tick() -> None:
    watch, ended = watching(fault(start_us=at(-10), end_us=at(10)))
    assert ended == []
    assert turns(watch, *range(1, 12)) == {1: [Turn.BEGAN], 10: [Turn.ENDED]}


def test_a_fault_that_was_over_before_it_was_heard_of_is_told_as_ended() -> None:
    watch, ended = watching(fault(start_us=at(-10), end_us=at(-1)))
    assert [turn.turn for turn in ended] == [Turn.ENDED]
    assert turns(watch, *range(1, 5)) == {}


def test_lifting_a_fault_ends_it_only_if_it_acts() -> None:
    acting = fault(start_us=at(1), end_us=at(100), identity="s/1/now")
    ahead = fault(start_us=at(50), end_us=at(100), identity="s/1/later")
    watch, _ = watching(acting, ahead)
    watch.pass_to(at(1))
    assert watch.acting() == [(KEY, acting)]

    assert replace(watch, [], at_us=at(2)) == [FaultTurn(KEY, acting, Turn.ENDED)]
    assert watch.acting() == []
    assert turns(watch, *range(3, 120)) == {}


def test_a_new_end_replaces_the_old_one() -> None:
    watch, _ = watching(fault(start_us=at(1), end_us=at(100)))
    watch.pass_to(at(1))
    replace(watch, [fault(start_us=at(1), end_us=at(5))], at_us=at(2))
    assert turns(watch, *range(2, 120)) == {5: [Turn.ENDED]}


def test_nothing_turns_while_the_reactor_is_suspended() -> None:
    faults = [
        fault(start_us=at(1), end_us=at(5), identity="s/1/acting"),
        fault(start_us=at(3), end_us=at(5), identity="s/1/missed"),
        fault(start_us=at(4), end_us=at(20), identity="s/1/still"),
    ]
    watch, _ = watching(*faults)
    watch.pass_to(at(1))
    replace(watch, faults, at_us=at(2), suspended=True)
    assert turns(watch, *range(2, 10)) == {}

    resumed = replace(watch, faults, at_us=at(10))

    assert [(turn.fault.id, turn.turn) for turn in resumed] == [
        ("s/1/acting", Turn.ENDED),
        ("s/1/missed", Turn.ENDED),
    ]
    assert turns(watch, *range(11, 30)) == {11: [Turn.BEGAN], 20: [Turn.ENDED]}


def test_nothing_is_told_of_a_reactor_that_is_gone() -> None:
    watch, _ = watching(fault(start_us=at(1), end_us=at(2)))
    watch.forget(KEY)
    assert turns(watch, 1, 2, 3) == {}


@pytest.mark.parametrize("interval", [1, 3])
@given(
    start=st.integers(0, 200),
    length=st.integers(1, 200),
    ticks=st.sets(st.integers(1, 60), max_size=20),
)
def test_every_fault_begins_once_and_then_ends_once(
    interval: int, start: int, length: int, ticks: set[int]
) -> None:
    watch, _ = watching(
        fault(start_us=at(start / 10), end_us=at((start + length) / 10)), interval=interval
    )
    told = [turn.turn for second in sorted(ticks | {90}) for turn in watch.pass_to(at(second))]
    assert told == [Turn.BEGAN, Turn.ENDED]
