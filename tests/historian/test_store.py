"""One batch: what is in its way is dealt with, and each reading is stored once."""

import base64
from datetime import UTC, datetime

import numpy as np
import pytest

from reactorsync.db.partitions import Partition as TablePartition
from reactorsync.signals import SIGNAL_NAMES
from reactorsync.wire.errors import MALFORMED, UNSUPPORTED_VERSION
from reactorsync_historian.batch import TICK_IN_FUTURE
from reactorsync_historian.offsets import Fenced
from reactorsync_historian.sequences import Loss, LossCause
from tests.historian.feed import TICK_US, make_frame, of_version
from tests.historian.owners import INCARNATION, PARTITION, START_US, Owner, Owners
from tests.historian.running import Storage, metric

KEYS = [f"fleet-0/unit-{number}" for number in range(5)]


def frame(tick: int, *, keys: list[str] = KEYS, power: float | None = None) -> bytes:
    readings = None if power is None else np.full((len(SIGNAL_NAMES), len(keys)), power, np.float32)
    return make_frame(tick_us=START_US + tick * TICK_US, keys=keys, readings=readings).encode()


async def test_rows_that_are_there_already_are_left_alone_and_counted(
    owner: Owner, storage: Storage
) -> None:
    before = metric("duplicate_rows_total")
    await owner.store([frame(0, keys=KEYS[:2], power=1.0)])

    written = await owner.store([frame(0, power=2.0), frame(1, power=2.0)])

    assert (written.rows, written.duplicates) == (8, 2)
    assert metric("duplicate_rows_total") - before == 2
    powers = storage.fetch(
        "SELECT neutron_power_percent, count(*) FROM telemetry GROUP BY 1 ORDER BY 1"
    )
    assert powers == [(1.0, 2), (2.0, 8)]


async def test_a_tick_that_was_sent_twice_is_stored_once(owner: Owner, storage: Storage) -> None:
    written = await owner.store([frame(0), frame(1), frame(0), frame(2)])

    assert (written.rows, written.duplicates) == (15, 5)
    assert set(storage.stored().values()) == {1}


async def test_a_partition_that_is_missing_is_made(owner: Owner, storage: Storage) -> None:
    await owner.store([frame(0)])
    partition = TablePartition.containing(
        "telemetry", datetime.fromtimestamp(START_US / 1e6, tz=UTC)
    )
    with storage.connect() as connection:
        connection.execute(f"DROP TABLE {partition.name}".encode())

    late = make_frame(tick_us=START_US - 7_200_000_000, keys=KEYS).encode()
    written = await owner.store([late, frame(1)])

    assert written.rows == storage.count() == 10


async def test_a_dead_letter_is_kept_byte_for_byte_with_its_reason(
    owner: Owner, storage: Storage
) -> None:
    before = metric("dlq_records_total", reason=MALFORMED)
    await owner.store([frame(0), b"\x00\xffpoison", frame(1)])

    [letter] = storage.fetch(
        'SELECT topic, incarnation, partition, "offset", key, value, headers, reason, mirrored_at'
        " FROM dead_letter"
    )
    headers = [("ce_id", b"\x00\xff"), ("again", b"1"), ("again", b"2")]
    assert letter == (
        PARTITION.topic,
        INCARNATION,
        PARTITION.number,
        1,
        b"\x00key",
        b"\x00\xffpoison",
        [[name, base64.b64encode(value).decode()] for name, value in headers],
        MALFORMED,
        None,
    )
    assert storage.count() == 10
    assert metric("dlq_records_total", reason=MALFORMED) - before == 1


async def test_a_batch_of_nothing_but_poison_moves_the_offset(
    owner: Owner, storage: Storage
) -> None:
    await owner.store(
        [
            None,
            of_version(frame(0), 2),
            make_frame(tick_us=START_US + 400_000_000, keys=KEYS).encode(),
        ]
    )

    reasons = storage.fetch('SELECT "offset", reason FROM dead_letter ORDER BY 1')
    assert reasons == [(0, MALFORMED), (1, UNSUPPORTED_VERSION), (2, TICK_IN_FUTURE)]
    assert storage.fetch("SELECT next_offset FROM consumer_offset") == [(3,)]


async def test_losses_are_recorded_with_the_batch(owner: Owner, storage: Storage) -> None:
    loss = Loss(shard=0, run="run\0a", first_sequence=7, count=3, cause=LossCause.SEQUENCE_GAP)
    await owner.store([frame(0)], losses=[loss])
    await owner.store([], losses=[loss])

    assert storage.fetch("SELECT shard, run, first_sequence, count, cause FROM lost_frames") == [
        (0, "run\N{REPLACEMENT CHARACTER}a", 7, 3, "SequenceGap")
    ]


async def test_a_fenced_batch_leaves_nothing_behind(owners: Owners, storage: Storage) -> None:
    late, current = owners.new(), owners.new()
    await late.take_over()
    await current.take_over()

    loss = Loss(shard=0, run="a", first_sequence=7, count=3, cause=LossCause.SEQUENCE_GAP)
    with pytest.raises(Fenced):
        await late.store([frame(0), b"poison"], losses=[loss])

    for table in ("telemetry", "dead_letter", "lost_frames"):
        assert storage.count(table) == 0
