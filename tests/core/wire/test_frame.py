"""Telemetry frames: what is written is read, anything else is refused."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from reactorsync.signals import SIGNAL_NAMES
from reactorsync.wire.envelope import MAX_MICROS
from reactorsync.wire.errors import (
    MALFORMED,
    SCHEMA_MISMATCH,
    UNSUPPORTED_VERSION,
    UndecodableRecord,
)
from reactorsync.wire.frame import (
    FRAME_SCHEMA,
    MAX_SHARD,
    SCHEMA_FINGERPRINT,
    Frame,
    FrameOrigin,
    decode_frame,
    reactor_column,
)

TICK_US = 1_900_000_000_000_000
SIGNALS = len(SIGNAL_NAMES)


def make_frame(count: int = 3) -> Frame:
    readings = np.arange(SIGNALS * count, dtype=np.float32).reshape(SIGNALS, count)
    readings[5, : count // 2] = np.nan
    return Frame(
        tick_us=TICK_US,
        origin=FrameOrigin(shard=3, run="run-1", epoch=1_899_999_999_000_000, sequence=42),
        reactors=reactor_column([f"default/unit-{n}" for n in range(count)]),
        trip_causes=np.arange(count, dtype=np.uint8),
        readings=readings,
    )


def assert_same(found: Frame, expected: Frame) -> None:
    assert (found.tick_us, found.origin) == (expected.tick_us, expected.origin)
    assert found.reactors.to_pylist() == expected.reactors.to_pylist()
    np.testing.assert_array_equal(found.trip_causes, expected.trip_causes)
    np.testing.assert_array_equal(found.readings, expected.readings)


@pytest.mark.parametrize("count", [0, 1, 3, 1000])
def test_a_frame_is_read_as_it_was_written(count: int) -> None:
    frame = make_frame(count)

    found = decode_frame(frame.encode())

    assert_same(found, frame)
    assert len(found) == count


@given(
    readings=st.integers(0, 12).flatmap(
        lambda count: npst.arrays(np.float32, (SIGNALS, count), elements=st.floats(width=32))
    ),
    tick_us=st.integers(0, MAX_MICROS),
    shard=st.integers(0, MAX_SHARD),
    run=st.text(max_size=10),
)
def test_every_reading_travels_bit_for_bit(
    readings: np.ndarray[tuple[int, int], np.dtype[np.float32]], tick_us: int, shard: int, run: str
) -> None:
    count = readings.shape[1]
    frame = dataclasses.replace(
        make_frame(count),
        tick_us=tick_us,
        origin=FrameOrigin(shard=shard, run=run, epoch=tick_us, sequence=0),
        readings=readings,
    )

    found = decode_frame(frame.encode())

    assert found.readings.tobytes() == np.ascontiguousarray(readings).tobytes()
    assert (found.tick_us, found.origin) == (frame.tick_us, frame.origin)


def test_rows_of_a_larger_matrix_are_written_right() -> None:
    """The generator keeps its readings in one matrix and sends a stretch of it."""
    frame = make_frame(6)
    part = dataclasses.replace(
        frame,
        reactors=frame.reactors.slice(2, 3),
        trip_causes=frame.trip_causes[2:5],
        readings=frame.readings[:, 2:5],
    )

    assert_same(decode_frame(part.encode()), part)


def test_the_envelope_is_the_same_whenever_a_tick_is_sent_again() -> None:
    frame = make_frame()

    assert frame.envelope(source="generator/a") == frame.envelope(source="generator/a")
    assert dict(frame.envelope(source="generator/a").headers()) == {
        "ce_specversion": b"1.0",
        "ce_id": b"run-1/3/1900000000000000",
        "ce_source": b"generator/a",
        "ce_type": b"dev.reactorsync.telemetry.frame.v1",
        "ce_subject": b"shard/3",
        "ce_time": b"2030-03-17T17:46:40.000000Z",
        "content-type": b"application/vnd.apache.arrow.stream",
        "rs-run": b"run-1",
        "rs-epoch": b"1899999999000000",
        "rs-seq": b"42",
        "rs-schema": SCHEMA_FINGERPRINT.encode(),
    }


def test_the_fingerprint_changes_only_on_purpose() -> None:
    """A new signal makes a new fingerprint: change this line and docs/wire-format.md then."""
    assert SCHEMA_FINGERPRINT == "43f22e4bf2c566fc"


def test_a_compressed_body_is_read_as_well() -> None:
    """Third parties may compress inside Arrow."""
    frame = make_frame()
    with pa.ipc.open_stream(frame.encode()) as reader:
        batch = reader.read_next_batch()
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)

    assert_same(decode_frame(bytes(sink.getvalue())), frame)


# Refusals


def rewritten(
    change: Callable[[pa.RecordBatch], pa.RecordBatch], *, batches: int = 1, **metadata: str | None
) -> bytes:
    """Return a frame after ``change`` of its batch and of metadata (``None`` removes a key)."""
    with pa.ipc.open_stream(make_frame().encode()) as reader:
        batch = change(reader.read_next_batch())
        merged = {
            key.decode(): value.decode() for key, value in (reader.schema.metadata or {}).items()
        }
    merged |= {key: value for key, value in metadata.items() if value is not None}
    for key in [key for key, value in metadata.items() if value is None]:
        del merged[key]
    batch = batch.replace_schema_metadata(merged)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        for _ in range(batches):
            writer.write_batch(batch)
    return bytes(sink.getvalue())


def unchanged(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch


def with_null(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [*batch.columns[:2], pa.array([1.0, None, 2.0], pa.float32()), *batch.columns[3:]]
    return pa.RecordBatch.from_arrays(columns, schema=FRAME_SCHEMA)


def with_a_reactor_twice(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [pa.array(["default/a", "default/b", "default/a"]), *batch.columns[1:]]
    return pa.RecordBatch.from_arrays(columns, schema=FRAME_SCHEMA)


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        pytest.param(b"", MALFORMED, "no Arrow stream", id="empty"),
        pytest.param(b"{}", MALFORMED, "no Arrow stream", id="json"),
        pytest.param(make_frame().encode()[:-100], MALFORMED, "no Arrow stream", id="cut"),
        pytest.param(make_frame().encode()[:400], MALFORMED, "no Arrow stream", id="schema-cut"),
        pytest.param(rewritten(unchanged, batches=0), MALFORMED, "0 record batches", id="none"),
        pytest.param(rewritten(unchanged, batches=2), MALFORMED, "2 record batches", id="two"),
        pytest.param(
            rewritten(unchanged, version="2"), UNSUPPORTED_VERSION, "b'2'", id="next-version"
        ),
        pytest.param(
            rewritten(unchanged, version=None), UNSUPPORTED_VERSION, "None", id="no-version"
        ),
        pytest.param(
            rewritten(lambda batch: batch.select(batch.schema.names[:-1])),
            SCHEMA_MISMATCH,
            "columns differ",
            id="a-column-less",
        ),
        pytest.param(
            rewritten(lambda batch: batch.rename_columns(["unit", *batch.schema.names[1:]])),
            SCHEMA_MISMATCH,
            "columns differ",
            id="a-column-renamed",
        ),
        pytest.param(rewritten(with_null), SCHEMA_MISMATCH, "nulls", id="null"),
        pytest.param(rewritten(with_a_reactor_twice), SCHEMA_MISMATCH, "twice", id="twice"),
        pytest.param(rewritten(unchanged, shard=None), SCHEMA_MISMATCH, "shard", id="no-shard"),
        pytest.param(rewritten(unchanged, shard="-1"), SCHEMA_MISMATCH, "-1", id="shard-below"),
        pytest.param(rewritten(unchanged, shard="512"), SCHEMA_MISMATCH, "512", id="shard-above"),
        pytest.param(rewritten(unchanged, epoch="x"), SCHEMA_MISMATCH, "x", id="epoch"),
        pytest.param(rewritten(unchanged, sequence=""), SCHEMA_MISMATCH, "b''", id="sequence"),
        pytest.param(
            rewritten(unchanged, tick_us=str(MAX_MICROS + 1)),
            SCHEMA_MISMATCH,
            "no whole number",
            id="tick-after-9999",
        ),
    ],
)
def test_what_is_no_frame_is_refused(value: bytes, reason: str, detail: str) -> None:
    with pytest.raises(UndecodableRecord) as error:
        decode_frame(value)

    assert error.value.reason == reason
    assert detail in error.value.detail


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.integers(0, len(make_frame().encode()) - 1), st.integers(0, 255)), max_size=4
    )
)
def test_damaged_bytes_are_refused_or_read_but_never_anything_else(
    damage: list[tuple[int, int]],
) -> None:
    value = bytearray(make_frame().encode())
    for place, byte in damage:
        value[place] = byte

    try:
        frame = decode_frame(bytes(value))
    except UndecodableRecord:
        return
    assert len(set(frame.reactors.to_pylist())) == len(frame)
