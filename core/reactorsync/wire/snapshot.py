"""The snapshot marker: says that a partition of desired state holds its share of the whole fleet.

Whoever owns the desired state writes the records of all reactors, then one marker to each
partition, named explicitly. A reader that has seen no marker in a partition does not know yet
whether reactors are missing: a volatile broker may have forgotten them.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import ConfigDict, Field, ValidationError

from reactorsync.resources.meta import Model
from reactorsync.wire.desired import SNAPSHOT_TYPE
from reactorsync.wire.envelope import JSON, Envelope
from reactorsync.wire.errors import (
    MALFORMED,
    SCHEMA_MISMATCH,
    UNSUPPORTED_VERSION,
    UndecodableRecord,
)


class _Snapshot(Model):
    model_config = ConfigDict(extra="ignore")

    version: Literal[1] = 1
    reactors: int = Field(ge=0)


def encode_snapshot(reactors: int) -> bytes:
    """Return a marker's value; ``reactors`` is how many reactors the partition holds."""
    return json.dumps(
        _Snapshot(reactors=reactors).to_json(), sort_keys=True, separators=(",", ":")
    ).encode()


def decode_snapshot(value: bytes) -> int:
    """Return how many reactors the partition holds.

    Raises:
        UndecodableRecord: no JSON, another version, or no such number.
    """
    try:
        return _Snapshot.model_validate_json(value).reactors
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            reason = MALFORMED
        else:
            reason = UNSUPPORTED_VERSION if first["loc"] == ("version",) else SCHEMA_MISMATCH
        raise UndecodableRecord(reason, str(error)) from error


def snapshot_envelope(shard: int, *, source: str, time_us: int) -> Envelope:
    """Return the envelope to publish the marker of partition ``shard`` with."""
    return Envelope(
        id=f"{source}/{shard}/{time_us}",
        source=source,
        type=SNAPSHOT_TYPE,
        subject=f"shard/{shard}",
        time_us=time_us,
        content_type=JSON,
    )
