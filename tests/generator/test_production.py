"""What one shard produces, from due ticks and changes."""

from collections.abc import Sequence
from itertools import count

import pytest

from reactorsync.resources.reactor import ReactorState
from reactorsync.wire.desired import DesiredReactor
from reactorsync.wire.envelope import Envelope
from reactorsync.wire.events import ReactorApplied, ReactorObserved
from reactorsync.wire.frame import Frame, decode_frame
from reactorsync.wire.topics import Topics
from reactorsync_generator.desired_view import Change
from reactorsync_generator.production import Identity, Production, Turn, Yield
from tests.generator.reactors import SECOND, START, desired


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def changes(*states: DesiredReactor) -> list[Change]:
    return [Change(state.key, state) for state in states]


def decoded(made: Yield) -> Frame:
    (frame,) = made.frames
    return decode_frame(frame.value)


def tick(production: Production, second: float, changed: Sequence[Change] = ()) -> Yield:
    return production.turn(Turn(changed, at(second), [at(second)]))


@pytest.fixture
def production() -> Production:
    production = Production(
        5,
        Identity("generator-1", "run-1"),
        topics=Topics(slot_seconds=60),
        epoch_us=at(-0.5),
        sequence=count(7),
        catch_up_us=60 * SECOND,
    )
    production.turn(Turn(changes(desired("a"), desired("b", interval=2000)), at(0)))
    return production


def test_a_frame_says_where_it_comes_from(production: Production) -> None:
    made = tick(production, 1)
    (sent,) = made.frames
    assert (sent.shard, sent.topic) == (5, Topics(slot_seconds=60).telemetry(at(1)))
    frame = decoded(made)
    assert frame.tick_us == at(1)
    assert (frame.origin.run, frame.origin.epoch, frame.origin.sequence) == ("run-1", at(-0.5), 7)
    envelope = Envelope.from_headers(sent.headers)
    assert (envelope.source, envelope.id) == ("generator-1", f"run-1/5/{at(1)}")
    assert decoded(tick(production, 2)).origin.sequence == 8


def test_a_tick_at_which_no_reactor_is_due_makes_no_frame(production: Production) -> None:
    assert tick(production, 0.5).frames == []
    assert decoded(tick(production, 1)).origin.sequence == 7


def test_changes_before_the_tick_show_in_it_and_later_ones_do_not(production: Production) -> None:
    early = production.turn(Turn(changes(desired("c")), at(1.5), [at(2)]))
    assert decoded(early).reactors.to_pylist() == ["default/a", "default/b", "default/c"]
    late = production.turn(Turn([Change("default/c", None)], at(4.5), [at(4)]))
    assert decoded(late).reactors.to_pylist() == ["default/a", "default/b", "default/c"]
    assert decoded(tick(production, 5)).reactors.to_pylist() == ["default/a"]


def test_ticks_of_different_intervals_make_a_frame_each_in_order(production: Production) -> None:
    made = production.turn(Turn(ticks_us=[at(2), at(3)]))
    frames = [decode_frame(frame.value) for frame in made.frames]
    assert [(frame.tick_us, frame.reactors.to_pylist()) for frame in frames] == [
        (at(2), ["default/b"]),
        (at(3), ["default/a"]),
    ]
    assert [frame.origin.sequence for frame in frames] == [7, 8]


def test_events_come_in_the_order_of_what_happened(production: Production) -> None:
    made = production.turn(Turn(changes(desired("c")), at(1.5), [at(1), at(2)]))
    assert [(type(event), event.subject) for event in made.events] == [
        (ReactorObserved, "default/c"),
        (ReactorApplied, "default/c"),
    ]


def test_how_a_new_plant_is_is_told_before_its_first_tick(production: Production) -> None:
    made = production.turn(Turn(changes(desired("c", interval=10_000)), at(0.5)))
    observed, applied = made.events
    assert isinstance(observed, ReactorObserved)
    assert observed.power_permille == pytest.approx(1000, abs=20)
    assert (observed.tick_us, applied.subject) == (at(0.5), "default/c")
    assert made.frames == []


def test_a_plant_that_stands_still_or_goes_on_as_it_was_tells_nothing(
    production: Production,
) -> None:
    suspended = desired("c", state=ReactorState.SUSPENDED)
    edited = desired("a", generation=2)
    made = production.turn(Turn(changes(suspended, edited), at(0.5)))
    assert [type(event) for event in made.events] == [ReactorApplied, ReactorApplied]


def test_everything_is_told_again_on_demand(production: Production) -> None:
    tick(production, 2)
    again = production.turn(Turn(boundary_us=at(2.5), tell_all=True))
    assert [event.subject for event in again.events] == ["default/a", "default/b"]
    assert len(tick(production, 4).events) == 2


def test_a_heartbeat_tells_of_rate_and_lateness(production: Production) -> None:
    production.heartbeat(at(0), tick_us=at(0), processor_us=0)
    for second in (1, 2, 3, 4):
        tick(production, second)
    production.count_late(3)
    beat = production.heartbeat(at(4), tick_us=at(4), processor_us=0)
    assert (beat.shard, beat.generator, beat.run, beat.epoch) == (
        5,
        "generator-1",
        "run-1",
        at(-0.5),
    )
    assert (beat.reactors, beat.readings_per_second, beat.late_ticks) == (2, 1.5, 3)
    later = production.heartbeat(at(9), tick_us=at(9), processor_us=0)
    assert later.readings_per_second == 0


def test_a_heartbeat_tells_how_busy_the_process_was_since_the_last_one(
    production: Production,
) -> None:
    beats = [
        production.heartbeat(at(second), tick_us=at(second), processor_us=processor_us)
        for second, processor_us in ((0, 9 * SECOND), (4, 10 * SECOND), (8, 10 * SECOND))
    ]
    assert [beat.busy_permille for beat in beats] == [None, 250, 0]


def test_a_process_of_several_threads_may_be_busier_than_one_processor(
    production: Production,
) -> None:
    production.heartbeat(at(0), tick_us=at(0), processor_us=0)
    beat = production.heartbeat(at(2), tick_us=at(2), processor_us=3 * SECOND)
    assert beat.busy_permille == 1500
