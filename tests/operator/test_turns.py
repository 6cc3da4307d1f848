"""Whose status is written next, by a clock that the test moves."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from reactorsync.resources import (
    Condition,
    ConditionStatus,
    Kind,
    ObjectMeta,
    Reactor,
    ReactorSpec,
    ReactorStatus,
)
from reactorsync_operator.fleet import WorkKey
from reactorsync_operator.turns import (
    CHANGE_HOLD_SECONDS,
    FIRST_HOLD_SECONDS,
    LONGEST_FIRST_HOLD_SECONDS,
    Lacks,
    Turns,
    lacks,
)

EVERY = 1.0
ALMOST = 0.001


def key(name: str = "bruce-1", kind: Kind = Kind.REACTOR) -> WorkKey:
    return WorkKey(kind, f"default/{name}")


class Table:
    """Turns, and the clock they go by."""

    def __init__(self, *, at_once: int = 10) -> None:
        self.now = 1000.0
        self.asked = True
        self.turns = Turns(at_once=at_once, all_asked=lambda: self.asked, clock=lambda: self.now)

    def place(self, *names: str, lacking: Lacks = Lacks.NOTHING, every: float = EVERY) -> None:
        for name in names:
            self.turns.place(key(name), every_seconds=every, lacks=lacking)

    async def whose(self, *, after: float = 0.0) -> list[str]:
        """Whose turn it is after a while."""
        self.now += after
        try:
            async with asyncio.timeout(0.01):
                await self.turns.wait()
        except TimeoutError:
            return []
        return [one.name.removeprefix("default/") for one in self.turns.take(100)]


@pytest.fixture
def table() -> Table:
    return Table()


async def test_an_object_that_was_never_written_has_its_turn_at_once(table: Table) -> None:
    table.place("a", "b", "a")
    assert await table.whose() == ["a", "b"]
    assert await table.whose() == []


async def test_an_object_has_its_turn_once_a_second_at_most(table: Table) -> None:
    table.turns.wrote(key("a"))
    table.place("a", "b")
    assert await table.whose() == ["b"]
    table.place("a")
    assert await table.whose(after=EVERY - ALMOST) == []
    assert await table.whose(after=2 * ALMOST) == ["a"]


async def test_what_is_urgent_need_not_wait_for_that(table: Table) -> None:
    table.turns.wrote(key("a"))
    table.place("a")
    table.place("a", every=0.0)
    assert await table.whose() == ["a"]


async def test_a_pause_puts_a_turn_off(table: Table) -> None:
    table.turns.place(key("a"), every_seconds=EVERY, not_before=table.now + 30)
    assert await table.whose(after=29) == []
    assert await table.whose(after=1) == ["a"]


async def test_what_is_dropped_has_no_turn_and_what_is_gone_no_past(table: Table) -> None:
    table.turns.wrote(key("a"))
    table.place("a", "b")
    table.turns.drop(key("a"))
    table.turns.drop(key("b"))
    assert await table.whose(after=60) == []
    table.turns.wrote(key("a"))
    table.turns.forget(key("a"))
    table.place("a")
    assert await table.whose() == ["a"]


async def test_only_objects_of_one_kind_are_taken_together(table: Table) -> None:
    scenario = key("leak", Kind.ANOMALY_SCENARIO)
    table.place("a")
    table.turns.place(scenario, every_seconds=EVERY)
    table.place("b")
    assert table.turns.take(1) == [key("a")]
    assert table.turns.take(10) == [scenario]
    assert table.turns.take(10) == [key("b")]


class TestAChangedSpec:
    async def test_waits_for_its_acknowledgement_but_not_for_long(self, table: Table) -> None:
        table.place("a", lacking=Lacks.ACKNOWLEDGEMENT)
        assert await table.whose(after=CHANGE_HOLD_SECONDS / 2) == []
        table.place("a", lacking=Lacks.ACKNOWLEDGEMENT)
        assert await table.whose(after=CHANGE_HOLD_SECONDS / 2) == ["a"]

    async def test_is_written_as_soon_as_it_is_acknowledged(self, table: Table) -> None:
        table.place("a", lacking=Lacks.ACKNOWLEDGEMENT)
        table.place("a")
        assert await table.whose() == ["a"]

    async def test_does_not_come_sooner_than_once_a_second(self, table: Table) -> None:
        table.turns.wrote(key("a"))
        table.place("a", lacking=Lacks.ACKNOWLEDGEMENT)
        assert await table.whose(after=CHANGE_HOLD_SECONDS) == []
        assert await table.whose(after=EVERY) == ["a"]

    async def test_waits_anew_when_it_is_changed_again(self, table: Table) -> None:
        table.place("a", lacking=Lacks.ACKNOWLEDGEMENT)
        assert await table.whose(after=CHANGE_HOLD_SECONDS) == ["a"]
        table.place("a", lacking=Lacks.ACKNOWLEDGEMENT)
        assert await table.whose() == []


class TestAFirstStatus:
    async def test_comes_after_those_that_lack_nothing(self, table: Table) -> None:
        table.place("new", lacking=Lacks.FIRST_ANSWER)
        table.place("a")
        assert await table.whose(after=FIRST_HOLD_SECONDS) == ["a"]
        assert await table.whose() == ["new"]

    async def test_waits_on_while_generators_have_their_say_on_others(self, table: Table) -> None:
        table.place("new", "other", lacking=Lacks.FIRST_ANSWER)
        assert await table.whose(after=FIRST_HOLD_SECONDS / 2) == []
        table.place("other")
        assert await table.whose(after=FIRST_HOLD_SECONDS / 2) == ["other"]
        assert await table.whose() == []
        assert await table.whose(after=FIRST_HOLD_SECONDS / 2) == ["new"]

    async def test_waits_on_until_all_generators_were_asked_but_not_for_ever(
        self, table: Table
    ) -> None:
        table.asked = False
        table.place("new", lacking=Lacks.FIRST_ANSWER)
        assert await table.whose(after=LONGEST_FIRST_HOLD_SECONDS - ALMOST) == []
        assert await table.whose(after=2 * ALMOST) == ["new"]

    async def test_has_its_turn_in_the_end_however_much_else_there_is_to_write(
        self, table: Table
    ) -> None:
        table.place("new", lacking=Lacks.FIRST_ANSWER)
        table.place("a")
        assert await table.whose(after=LONGEST_FIRST_HOLD_SECONDS - ALMOST) == ["a"]
        table.place("b")
        assert await table.whose(after=2 * ALMOST) == ["b", "new"]

    async def test_has_no_more_than_can_be_written_at_once_beside_it(self) -> None:
        table = Table(at_once=2)
        table.place("a", "b", "c", lacking=Lacks.FIRST_ANSWER)
        assert await table.whose(after=FIRST_HOLD_SECONDS) == ["a", "b"]
        assert await table.whose() == ["c"]


async def test_waiting_ends_when_a_turn_comes() -> None:
    turns = Turns(at_once=1, all_asked=lambda: True, clock=time.monotonic)
    began = time.monotonic()
    turns.place(key(), every_seconds=EVERY, not_before=began + 0.1)
    assert await asyncio.wait_for(turns.wait(), 1)
    assert time.monotonic() - began >= 0.1
    assert turns.take(1) == [key()]
    waiting = asyncio.create_task(turns.wait())
    await asyncio.sleep(0.01)
    turns.place(key("b"), every_seconds=EVERY)
    assert await asyncio.wait_for(waiting, 1)
    assert not await turns.wait(), "it has come already"


def reactor(generation: int, ready: str | None, *also: str) -> Reactor:
    """A reactor whose status was made for ``generation``; ready only when it is streaming."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    said = [
        Condition(type=type_, status=status, reason=reason, last_transition_time=at)
        for type_, status, reason in (
            (
                "Ready",
                ConditionStatus.TRUE if ready == "Streaming" else ConditionStatus.FALSE,
                ready or "",
            ),
            *((one, ConditionStatus.TRUE, one) for one in also),
        )
        if reason
    ]
    return Reactor(
        metadata=ObjectMeta(name="bruce-1"),
        spec=ReactorSpec.model_validate({"design": "Candu6"}),
        status=ReactorStatus(observed_generation=generation, conditions=said),
    )


@pytest.mark.parametrize(
    ("known", "offered", "expected"),
    [
        (reactor(0, None), reactor(1, "AwaitingGenerator"), Lacks.FIRST_ANSWER),
        (reactor(0, None), reactor(1, "GeneratorSilent"), Lacks.FIRST_ANSWER),
        (reactor(0, None), reactor(1, "DeliveryUnavailable"), Lacks.NOTHING),
        (reactor(0, None), reactor(1, "AwaitingGenerator", "Stalled"), Lacks.NOTHING),
        (reactor(0, None), reactor(1, "Streaming"), Lacks.NOTHING),
        (reactor(1, "Streaming"), reactor(2, "AwaitingGenerator"), Lacks.ACKNOWLEDGEMENT),
        (reactor(1, "Streaming"), reactor(2, "Streaming"), Lacks.NOTHING),
        (reactor(1, "Streaming"), reactor(2, "GeneratorSilent"), Lacks.NOTHING),
        (reactor(1, "Streaming"), reactor(1, "AwaitingGenerator"), Lacks.NOTHING),
        (None, reactor(1, "AwaitingGenerator"), Lacks.NOTHING),
    ],
)
def test_what_a_status_lacks(known: Reactor | None, offered: Reactor, expected: Lacks) -> None:
    assert lacks(offered, known) is expected
