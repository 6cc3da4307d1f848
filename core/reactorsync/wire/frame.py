"""Telemetry frames: the readings of one shard at one tick, as an Arrow IPC stream."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reactorsync.signals import SIGNAL_NAMES
from reactorsync.wire.envelope import ARROW_STREAM, MAX_MICROS, Envelope
from reactorsync.wire.errors import (
    MALFORMED,
    SCHEMA_MISMATCH,
    UNSUPPORTED_VERSION,
    UndecodableRecord,
)

FRAME_VERSION: Final = 1
FRAME_TYPE: Final = "dev.reactorsync.telemetry.frame.v1"

MAX_SHARD: Final = 511
"""Largest number of a shard, as the setting ``shards`` allows."""

FRAME_SCHEMA: Final = pa.schema(
    [
        pa.field("reactor", pa.string(), nullable=False),
        pa.field("trip_cause", pa.uint8(), nullable=False),
        *(pa.field(name, pa.float32(), nullable=False) for name in SIGNAL_NAMES),
    ]
)
"""Columns of a frame. A reading that does not exist is NaN, never null."""

SCHEMA_FINGERPRINT: Final = hashlib.blake2b(
    ";".join(f"{field.name}:{field.type}" for field in FRAME_SCHEMA).encode(), digest_size=8
).hexdigest()
"""Travels as ``rs-schema``: a reader that does not know it must not guess."""


@dataclass(frozen=True, slots=True)
class FrameOrigin:
    """Where a frame comes from.

    ``run`` names one life of a generator process, ``epoch`` (microseconds) when it took the shard
    over, ``sequence`` counts its frames of that shard from 0 without a hole.
    """

    shard: int
    run: str
    epoch: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Frame:
    """Readings of ``n`` reactors at one tick.

    Attributes:
        tick_us: time of the readings, microseconds since 1970.
        origin: who made the frame.
        reactors: keys, Arrow string array of length ``n``.
        trip_causes: codes of :class:`reactorsync.trips.TripCause`, shape ``(n,)``.
        readings: shape ``(n_signals, n)``, float32, rows in registry order, NaN for no reading.
    """

    tick_us: int
    origin: FrameOrigin
    reactors: pa.StringArray
    trip_causes: npt.NDArray[np.uint8]
    readings: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.reactors)

    def encode(self) -> bytes:
        """Return the frame as an Arrow IPC stream of one record batch."""
        origin = self.origin
        schema = FRAME_SCHEMA.with_metadata(
            {
                "version": str(FRAME_VERSION),
                "tick_us": str(self.tick_us),
                "shard": str(origin.shard),
                "run": origin.run,
                "epoch": str(origin.epoch),
                "sequence": str(origin.sequence),
            }
        )
        columns = [
            self.reactors,
            pa.array(self.trip_causes),
            *(_float_column(row) for row in self.readings),
        ]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        return bytes(sink.getvalue())

    def envelope(self, *, source: str) -> Envelope:
        """Return the envelope; its id is the same whenever the same tick is sent again."""
        origin = self.origin
        return Envelope(
            id=f"{origin.run}/{origin.shard}/{self.tick_us}",
            source=source,
            type=FRAME_TYPE,
            subject=f"shard/{origin.shard}",
            time_us=self.tick_us,
            content_type=ARROW_STREAM,
            extensions={
                "run": origin.run,
                "epoch": str(origin.epoch),
                "seq": str(origin.sequence),
                "schema": SCHEMA_FINGERPRINT,
            },
        )


def reactor_column(keys: Sequence[str]) -> pa.StringArray:
    """Return the ``reactor`` column; make it once per set of reactors, not once per tick."""
    return pa.array(keys, type=pa.string())


def decode_frame(value: bytes) -> Frame:
    """Read a frame.

    Raises:
        UndecodableRecord: the bytes are no Arrow stream, of another version, have other columns
            than version 1, hold a reactor twice, or give an origin that cannot be.
    """
    try:
        with pa.ipc.open_stream(value) as reader:
            metadata = reader.schema.metadata or {}
            version = metadata.get(b"version")
            if version != str(FRAME_VERSION).encode():
                raise UndecodableRecord(
                    UNSUPPORTED_VERSION, f"version {version!r}, this reader knows {FRAME_VERSION}"
                )
            if not reader.schema.equals(FRAME_SCHEMA, check_metadata=False):
                raise UndecodableRecord(
                    SCHEMA_MISMATCH, "columns differ from those of frame version 1"
                )
            batches = list(reader)
            for batch in batches:
                # First of all: what follows looks into the buffers and trusts their lengths.
                batch.validate(full=True)
    except (pa.ArrowException, OSError, EOFError) as error:
        raise UndecodableRecord(MALFORMED, f"value is no Arrow stream: {error}") from error
    if len(batches) != 1:
        raise UndecodableRecord(MALFORMED, f"{len(batches)} record batches, must be 1")
    batch = batches[0]
    if any(column.null_count for column in batch.columns):
        raise UndecodableRecord(SCHEMA_MISMATCH, "a column holds nulls")
    if pc.count_distinct(batch.column(0)).as_py() != batch.num_rows:
        raise UndecodableRecord(SCHEMA_MISMATCH, "a reactor occurs twice")
    try:
        origin = FrameOrigin(
            shard=_whole(metadata[b"shard"], limit=MAX_SHARD),
            run=metadata[b"run"].decode(),
            epoch=_whole(metadata[b"epoch"], limit=MAX_MICROS),
            sequence=_whole(metadata[b"sequence"], limit=MAX_MICROS),
        )
        tick_us = _whole(metadata[b"tick_us"], limit=MAX_MICROS)
    except (KeyError, ValueError) as error:
        raise UndecodableRecord(SCHEMA_MISMATCH, f"metadata {error}") from error
    return Frame(
        tick_us=tick_us,
        origin=origin,
        reactors=batch.column(0),
        trip_causes=batch.column(1).to_numpy(),
        readings=_stack(batch),
    )


def _whole(digits: bytes, *, limit: int) -> int:
    number = int(digits) if digits.isdigit() else -1
    if not 0 <= number <= limit:
        raise ValueError(f"{digits!r} is no whole number from 0 to {limit}")
    return number


def _float_column(row: npt.NDArray[np.float32]) -> pa.FloatArray:
    """Wrap a contiguous row without copying and without turning NaN into null."""
    return pa.Array.from_buffers(
        pa.float32(), len(row), [None, pa.py_buffer(np.ascontiguousarray(row))]
    )


def _stack(batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
    readings = np.empty((len(SIGNAL_NAMES), batch.num_rows), dtype=np.float32)
    for index in range(len(SIGNAL_NAMES)):
        readings[index] = batch.column(index + 2).to_numpy()
    return readings
