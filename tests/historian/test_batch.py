"""What is stored and what is rejected, decided from the record alone."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest

from reactorsync.bus.port import Partition, Record
from reactorsync.signals import SIGNAL_NAMES
from reactorsync.wire.errors import MALFORMED, SCHEMA_MISMATCH, UNSUPPORTED_VERSION
from reactorsync.wire.frame import Frame
from reactorsync_historian.batch import (
    TICK_EXPIRED,
    TICK_IN_FUTURE,
    Item,
    ItemReader,
    Rejected,
    TimeLimits,
    moves_of,
)
from reactorsync_historian.offsets import Move, Ownership
from reactorsync_historian.reactors import ReactorIds
from tests.historian.feed import make_frame, of_version

NOW_US = 1_800_000_000_000_000
PARTITION = Partition("t.telemetry", 3)
OWNER = Ownership(epoch=1, next_offset=0)
LIMITS = TimeLimits(retention=timedelta(hours=2), future=timedelta(minutes=5))


def record(value: bytes | None, offset: int = 0) -> Record:
    return Record(PARTITION, offset, None, value, [], 0)


def read(value: bytes | None, *, ids: ReactorIds | None = None) -> Item:
    reader = ItemReader(limits=LIMITS, reactor_ids=ids or ReactorIds())
    return reader.read(record(value), OWNER, now_us=NOW_US)


def reason_of(item: Item) -> str:
    assert isinstance(item.content, Rejected)
    return item.content.reason


def test_a_frame_is_read_with_the_reactors_that_are_new() -> None:
    ids = ReactorIds()
    ids.learn({"a/b": 1})

    item = read(make_frame(tick_us=NOW_US, keys=["a/b", "a/c"]).encode(), ids=ids)

    assert isinstance(item.content, Frame)
    assert item.rows == 2
    assert item.unknown_reactors == {"a/c"}


def test_readings_that_are_all_nan_are_readings() -> None:
    nothing = np.full((len(SIGNAL_NAMES), 1), np.nan, np.float32)

    assert read(make_frame(tick_us=NOW_US, readings=nothing).encode()).rows == 1


def test_a_frame_without_reactors_is_no_fault() -> None:
    item = read(make_frame(tick_us=NOW_US, keys=[]).encode())

    assert isinstance(item.content, Frame)
    assert item.rows == 0


def frame(*, age_us: int = 0, keys: Sequence[str] = ("a/b",)) -> bytes:
    return make_frame(tick_us=NOW_US - age_us, keys=keys).encode()


REJECTED = {
    "tombstone": (None, MALFORMED),
    "nothing": (b"", MALFORMED),
    "no Arrow": (b"\x00 no arrow", MALFORMED),
    "cut off": (frame()[:-200], MALFORMED),
    "future version": (of_version(frame(), 2), UNSUPPORTED_VERSION),
    "ahead of the clock": (frame(age_us=-301_000_000), TICK_IN_FUTURE),
    "older than the retention": (frame(age_us=7_201_000_000), TICK_EXPIRED),
    "of 1970": (frame(age_us=NOW_US), TICK_EXPIRED),
    "no namespace": (frame(keys=["name"]), SCHEMA_MISMATCH),
    "two namespaces": (frame(keys=["a/b/c"]), SCHEMA_MISMATCH),
    "a key with NUL": (frame(keys=["a/b", "a/\0"]), SCHEMA_MISMATCH),
    "a key with a line break": (frame(keys=["a/b\n"]), SCHEMA_MISMATCH),
    "a name too long": (frame(keys=["a/" + "b" * 64]), SCHEMA_MISMATCH),
    "a reactor twice": (frame(keys=["a/b", "a/b"]), SCHEMA_MISMATCH),
}


@pytest.mark.parametrize(("value", "reason"), REJECTED.values(), ids=REJECTED.keys())
def test_what_cannot_be_stored_is_rejected_with_its_reason(
    value: bytes | None, reason: str
) -> None:
    assert reason_of(read(value)) == reason


@pytest.mark.parametrize("age_seconds", [-299, 0, 7_199])
def test_ticks_within_the_limits_are_stored(age_seconds: int) -> None:
    assert isinstance(read(frame(age_us=age_seconds * 1_000_000)).content, Frame)


def test_offsets_move_past_the_last_record_of_each_partition() -> None:
    other = Partition("t.telemetry", 4)
    owner = Ownership(epoch=7, next_offset=10)
    rejected = Rejected(record(None), MALFORMED, "")
    items = [
        Item(record(None, 0), OWNER, rejected),
        Item(Record(other, 10, None, None, [], 0), owner, rejected),
        Item(record(None, 4), OWNER, rejected),
    ]

    assert moves_of(items) == {
        PARTITION: Move(epoch=1, expected=0, next_offset=5),
        other: Move(epoch=7, expected=10, next_offset=11),
    }
