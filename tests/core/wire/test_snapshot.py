"""The marker that a partition of desired state is complete."""

import pytest

from reactorsync.wire.errors import (
    MALFORMED,
    SCHEMA_MISMATCH,
    UNSUPPORTED_VERSION,
    UndecodableRecord,
)
from reactorsync.wire.snapshot import decode_snapshot, encode_snapshot, snapshot_envelope
from reactorsync.wire.topics import SNAPSHOT_KEY


def test_the_marker_is_these_bytes() -> None:
    assert SNAPSHOT_KEY == b"reactorsync.dev/snapshot"
    assert encode_snapshot(12) == b'{"reactors":12,"version":1}'
    assert dict(snapshot_envelope(3, source="operator", time_us=5).headers()) == {
        "ce_specversion": b"1.0",
        "ce_id": b"operator/3/5",
        "ce_source": b"operator",
        "ce_type": b"dev.reactorsync.shard.snapshot.v1",
        "ce_subject": b"shard/3",
        "ce_time": b"1970-01-01T00:00:00.000005Z",
        "content-type": b"application/json",
    }


@pytest.mark.parametrize("reactors", [0, 1, 100_000])
def test_what_is_written_is_read_back(reactors: int) -> None:
    assert decode_snapshot(encode_snapshot(reactors)) == reactors


def test_fields_of_later_additions_are_ignored() -> None:
    assert decode_snapshot(b'{"reactors":1,"version":1,"later":true}') == 1


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", MALFORMED),
        (b"[]", SCHEMA_MISMATCH),
        (b'{"version":1}', SCHEMA_MISMATCH),
        (b'{"reactors":-1,"version":1}', SCHEMA_MISMATCH),
        (b'{"reactors":1,"version":2}', UNSUPPORTED_VERSION),
    ],
)
def test_what_is_no_marker_is_refused(value: bytes, reason: str) -> None:
    with pytest.raises(UndecodableRecord) as error:
        decode_snapshot(value)

    assert error.value.reason == reason
