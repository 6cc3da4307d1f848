"""A partition of desired state, read as a log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorsync.wire.desired import DesiredReactor
from reactorsync.wire.errors import UndecodableRecord
from reactorsync.wire.topics import SNAPSHOT_KEY
from reactorsync_generator.desired_view import Change, DesiredView
from reactorsync_generator.orders import require_simulable
from tests.generator.reactors import desired, record


class Log:
    """A partition that is written and read in the test."""

    def __init__(self) -> None:
        self.end = 0

    def write(self, view: DesiredView, key: bytes, value: bytes | None) -> Change | None:
        self.end += 1
        return view.read(record(self.end - 1, key, value))

    def put(self, view: DesiredView, state: DesiredReactor) -> Change | None:
        return self.write(view, state.key.encode(), state.encode())

    def mark(self, view: DesiredView) -> None:
        self.write(view, SNAPSHOT_KEY, b"")


def new_view() -> DesiredView:
    return DesiredView(check=require_simulable)


def read_all(*states: DesiredReactor) -> tuple[DesiredView, Log]:
    view, log = new_view(), Log()
    for state in states:
        log.put(view, state)
    log.mark(view)
    view.reach_end(log.end)
    return view, log


def test_nothing_is_said_before_the_marker_and_the_end_of_the_log() -> None:
    view, log = new_view(), Log()
    assert log.put(view, desired("a")) is None
    assert view.reach_end(log.end) == []  # no marker yet
    log.mark(view)
    log.put(view, desired("b"))
    assert view.reach_end(log.end + 1) == []  # not at the end yet
    assert view.reach_end(None) == []  # the end is not known
    assert not view.complete

    changes = view.reach_end(log.end)

    assert view.complete
    assert changes == [Change("default/a", desired("a")), Change("default/b", desired("b"))]
    assert view.reach_end(log.end) == []


def test_the_last_value_of_a_key_wins_and_a_tombstone_removes() -> None:
    view, log = new_view(), Log()
    log.put(view, desired("a", setpoint=900))
    log.put(view, desired("b"))
    log.put(view, desired("a", setpoint=800))
    log.write(view, b"default/b", None)
    log.mark(view)
    assert view.reach_end(log.end) == [Change("default/a", desired("a", setpoint=800))]


def test_an_empty_shard_is_complete_with_its_marker() -> None:
    view, log = new_view(), Log()
    assert view.reach_end(0) == []
    assert not view.complete
    log.mark(view)
    assert view.reach_end(log.end) == []
    assert view.complete


def test_later_records_are_changes_at_once() -> None:
    view, log = read_all(desired("a"))
    assert log.put(view, desired("a", setpoint=700)) == Change(
        "default/a", desired("a", setpoint=700)
    )
    assert log.put(view, desired("b")) == Change("default/b", desired("b"))
    assert log.write(view, b"default/a", None) == Change("default/a", None)


def test_what_is_repeated_is_no_change() -> None:
    view, log = read_all(desired("a"))
    assert log.put(view, desired("a")) is None
    assert log.write(view, b"default/never-there", None) is None


def test_reading_again_keeps_what_is_known_until_it_is_complete() -> None:
    view, _ = read_all(desired("a"), desired("b"), desired("c"))

    view.start_over()
    log = Log()  # a broker that has forgotten everything
    assert view.next_offset == 0
    assert view.reach_end(0) == []
    log.put(view, desired("a", setpoint=500))
    log.put(view, desired("b"))
    assert view.reach_end(log.end) == []
    log.mark(view)

    assert view.reach_end(log.end) == [
        Change("default/a", desired("a", setpoint=500)),
        Change("default/c", None),
    ]


def test_an_unreadable_record_leaves_what_was_known_of_its_key() -> None:
    view, log = read_all(desired("a"))
    with pytest.raises(UndecodableRecord):
        log.write(view, b"default/a", b"{}")
    assert log.put(view, desired("a")) is None

    view.start_over()
    log = Log()
    with pytest.raises(UndecodableRecord):
        log.write(view, b"default/a", b"not json")
    log.mark(view)
    assert view.reach_end(log.end) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b"{}"),
        (b"default/other", desired("a").encode()),
        (b"default/a", b'{"version": 2}'),
        (b"default/a", desired("a", setpoint=5).encode()),
    ],
    ids=[
        "no key",
        "the key of another reactor",
        "a later version",
        "a power that no plant holds",
    ],
)
def test_records_that_cannot_be_meant_are_refused(key: bytes | None, value: bytes) -> None:
    view = new_view()
    with pytest.raises(UndecodableRecord):
        view.read(record(4, key, value))
    assert view.next_offset == 5


WRITES = st.lists(
    st.tuples(st.sampled_from("abc"), st.none() | st.integers(200, 1000)), max_size=20
)


@given(before=WRITES, after=WRITES)
def test_changes_lead_from_what_was_known_to_what_the_log_says(
    before: list[tuple[str, int | None]], after: list[tuple[str, int | None]]
) -> None:
    def write(view: DesiredView, log: Log, writes: list[tuple[str, int | None]]) -> None:
        for name, setpoint in writes:
            value = None if setpoint is None else desired(name, setpoint=setpoint).encode()
            log.write(view, f"default/{name}".encode(), value)
        log.mark(view)

    def final(writes: list[tuple[str, int | None]]) -> dict[str, int]:
        return {name: setpoint for name, setpoint in dict(writes).items() if setpoint is not None}

    view = new_view()
    known: dict[str, int] = {}
    for writes in (before, after):
        view.start_over()
        log = Log()
        write(view, log, writes)
        for change in view.reach_end(log.end):
            name = change.key.removeprefix("default/")
            if change.desired is None:
                del known[name]
            else:
                known[name] = change.desired.power_setpoint_permille
        assert known == final(writes)
