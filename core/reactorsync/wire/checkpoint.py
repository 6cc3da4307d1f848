"""Checkpoints: the physical state of one shard's plants, for whoever takes the shard over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reactorsync.wire.envelope import ARROW_STREAM, Envelope
from reactorsync.wire.errors import (
    MALFORMED,
    SCHEMA_MISMATCH,
    UNSUPPORTED_VERSION,
    UndecodableRecord,
)

CHECKPOINT_VERSION: Final = 1
CHECKPOINT_TYPE: Final = "dev.reactorsync.shard.checkpoint.v1"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """States of ``n`` plants.

    Attributes:
        shard: partition the plants belong to.
        layout: name of the state vector's layout; a reader with another one starts afresh.
        keys: ``namespace/name`` of each plant.
        uids: UID of each plant's resource; a recreated reactor does not inherit a state.
        times_us: simulated time of each plant, microseconds since 1970, shape ``(n,)``.
        states: shape ``(n, state_size)``, float64.
    """

    shard: int
    layout: str
    keys: list[str]
    uids: list[str]
    times_us: npt.NDArray[np.int64]
    states: npt.NDArray[np.float64]

    def encode(self) -> bytes:
        """Return the checkpoint as an Arrow IPC stream of one zstd-compressed record batch."""
        size = self.states.shape[1]
        states = pa.FixedSizeListArray.from_arrays(
            pa.array(np.ascontiguousarray(self.states).reshape(-1)), size
        )
        batch = pa.RecordBatch.from_arrays(
            [
                pa.array(self.keys, pa.string()),
                pa.array(self.uids, pa.string()),
                pa.array(self.times_us, pa.int64()),
                states,
            ],
            names=["reactor", "uid", "time_us", "state"],
        ).replace_schema_metadata(
            {
                "version": str(CHECKPOINT_VERSION),
                "shard": str(self.shard),
                "layout": self.layout,
            }
        )
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
            writer.write_batch(batch)
        return bytes(sink.getvalue())

    def envelope(self, *, source: str, time_us: int) -> Envelope:
        """Return the envelope to publish the checkpoint with."""
        return Envelope(
            id=f"{source}/{self.shard}/{time_us}",
            source=source,
            type=CHECKPOINT_TYPE,
            subject=f"shard/{self.shard}",
            time_us=time_us,
            content_type=ARROW_STREAM,
        )


def decode_checkpoint(value: bytes) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        UndecodableRecord: the bytes are no Arrow stream, or of another version or shape.
    """
    try:
        with pa.ipc.open_stream(value) as reader:
            metadata = reader.schema.metadata or {}
            version = metadata.get(b"version")
            if version != str(CHECKPOINT_VERSION).encode():
                raise UndecodableRecord(
                    UNSUPPORTED_VERSION,
                    f"version {version!r}, this reader knows {CHECKPOINT_VERSION}",
                )
            batch = reader.read_next_batch()
            batch.validate(full=True)
    except (pa.ArrowException, OSError, EOFError, StopIteration) as error:
        raise UndecodableRecord(MALFORMED, f"value is no Arrow stream: {error}") from error
    try:
        states = batch.column("state")
        if batch.schema.types != _column_types(states.type.list_size):
            raise ValueError("columns differ from those of version 1")
        if any(column.null_count for column in (*batch.columns, states.flatten())):
            raise ValueError("a column holds nulls")
        return Checkpoint(
            shard=int(metadata[b"shard"]),
            layout=metadata[b"layout"].decode(),
            keys=batch.column("reactor").to_pylist(),
            uids=batch.column("uid").to_pylist(),
            times_us=batch.column("time_us").to_numpy(),
            states=states.flatten().to_numpy().reshape(batch.num_rows, states.type.list_size),
        )
    except (KeyError, ValueError, AttributeError) as error:
        raise UndecodableRecord(SCHEMA_MISMATCH, f"checkpoint: {error}") from error


def _column_types(state_size: int) -> list[pa.DataType]:
    return [pa.string(), pa.string(), pa.int64(), pa.list_(pa.float64(), state_size)]
