"""Checkpoints of one shard's plants."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from reactorsync.wire.checkpoint import Checkpoint, decode_checkpoint
from reactorsync.wire.errors import (
    MALFORMED,
    SCHEMA_MISMATCH,
    UNSUPPORTED_VERSION,
    UndecodableRecord,
)


def make_checkpoint(count: int = 2, size: int = 5) -> Checkpoint:
    return Checkpoint(
        shard=3,
        layout="plant-1",
        keys=[f"default/unit-{n}" for n in range(count)],
        uids=[f"00000000-0000-0000-0000-{n:012}" for n in range(count)],
        times_us=np.arange(count, dtype=np.int64),
        states=np.arange(count * size, dtype=np.float64).reshape(count, size),
    )


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_a_checkpoint_is_read_as_it_was_written(count: int) -> None:
    checkpoint = make_checkpoint(count)

    found = decode_checkpoint(checkpoint.encode())

    assert (found.shard, found.layout) == (3, "plant-1")
    assert (found.keys, found.uids) == (checkpoint.keys, checkpoint.uids)
    np.testing.assert_array_equal(found.times_us, checkpoint.times_us)
    np.testing.assert_array_equal(found.states, checkpoint.states)


@given(
    npst.arrays(
        np.float64, st.tuples(st.integers(1, 8), st.integers(1, 40)), elements=st.floats(width=64)
    )
)
def test_every_state_travels_bit_for_bit(
    states: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> None:
    count = states.shape[0]
    checkpoint = Checkpoint(
        shard=0,
        layout="any",
        keys=[str(n) for n in range(count)],
        uids=[str(n) for n in range(count)],
        times_us=np.zeros(count, dtype=np.int64),
        states=states,
    )

    assert decode_checkpoint(checkpoint.encode()).states.tobytes() == states.tobytes()


def test_the_envelope_names_the_shard() -> None:
    headers = dict(make_checkpoint().envelope(source="generator/a", time_us=5).headers())

    assert headers["ce_type"] == b"dev.reactorsync.shard.checkpoint.v1"
    assert headers["ce_subject"] == b"shard/3"
    assert headers["ce_id"] == b"generator/a/3/5"


def rewritten(
    *, drop: str | None = None, times: pa.DataType | None = None, **metadata: str
) -> bytes:
    with pa.ipc.open_stream(make_checkpoint().encode()) as reader:
        batch = reader.read_next_batch()
        merged = {key.decode(): value.decode() for key, value in reader.schema.metadata.items()}
    columns = {name: batch.column(name) for name in batch.schema.names if name != drop}
    if times is not None:
        columns["time_us"] = columns["time_us"].cast(times)
    batch = pa.record_batch(columns).replace_schema_metadata(merged | metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def test_rewriting_alone_changes_nothing() -> None:
    assert decode_checkpoint(rewritten()).keys == make_checkpoint().keys


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", MALFORMED),
        (make_checkpoint().encode()[:-50], MALFORMED),
        (rewritten(version="2"), UNSUPPORTED_VERSION),
        (rewritten(shard="x"), SCHEMA_MISMATCH),
        (rewritten(drop="state"), SCHEMA_MISMATCH),
        (rewritten(drop="uid"), SCHEMA_MISMATCH),
        (rewritten(times=pa.float64()), SCHEMA_MISMATCH),
    ],
)
def test_what_is_no_checkpoint_is_refused(value: bytes, reason: str) -> None:
    with pytest.raises(UndecodableRecord) as error:
        decode_checkpoint(value)

    assert error.value.reason == reason
