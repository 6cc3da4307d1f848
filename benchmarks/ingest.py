"""Rows a second from Arrow frames into Postgres, against a bare binary COPY of the same rows.

The two sides take turns on the same server and table, slab by slab, so that whatever else the
machine does falls on both; the figure to look at is the median of the slabs' ratios. The last line
goes the whole way: frames that lie in the embedded broker, through the group consumer, to rows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import psycopg
import uvloop
from prometheus_client import REGISTRY
from psycopg import sql
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from reactorsync import clock
from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import Partition, Record
from reactorsync.db.engine import create_engine
from reactorsync.db.migrate import upgrade
from reactorsync.service import Readiness
from reactorsync.signals import SIGNAL_NAMES
from reactorsync.wire.frame import Frame, FrameOrigin, reactor_column
from reactorsync_historian.database import Link, connection_string
from reactorsync_historian.fleet import FleetView
from reactorsync_historian.main import build_sink, run_historian
from reactorsync_historian.offsets import OffsetStore, Ownership
from reactorsync_historian.partitions import PartitionKeeper
from reactorsync_historian.reactors import read_ids
from reactorsync_historian.rows import COLUMNS, TRAILER, CopyBuffer
from reactorsync_historian.session import Sink
from reactorsync_historian.settings import HistorianSettings
from reactorsync_historian.stages import Stage
from reactorsync_local.embedded import EmbeddedBroker, EmbeddedPostgres
from reactorsync_local.supervisor import LogFile, Service, SupervisedProcess, free_port

REACTORS: Final = 1000
"""Reactors of a shard: rows of a frame."""

SHARDS: Final = 4
FRAMES_PER_COMMIT: Final = 10
COMMITS_PER_SLAB: Final = 3
SLABS: Final = 24
FRAMES_THROUGH_BROKER: Final = 400
GOAL: Final = 0.8
GATE: Final = 0.5

_ROWS_PER_SLAB: Final = REACTORS * FRAMES_PER_COMMIT * COMMITS_PER_SLAB
_TICK_US: Final = 10_000
_INCARNATION: Final = "benchmark"
_SESSION_TIMEOUT_MS: Final = 2500

Slab = list[list[tuple[int, Frame]]]
"""Commits of frames, each with its shard."""


@dataclass(frozen=True, slots=True)
class Result:
    """Rows a second, and ratios of the historian to the bare COPY."""

    rows_per_slab: int
    slabs: int
    bare_copy_rows_per_second: float
    historian_rows_per_second: float
    ratio_median: float
    ratio_p10: float
    ratio_p90: float
    end_to_end_rows: int
    end_to_end_rows_per_second: float
    end_to_end_ratio: float


class FrameSource:
    """Frames of ``REACTORS`` reactors a shard; no reactor gets a tick twice."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(1)
        self._frames = 0
        self._start_us = (clock.now_us() - 1_800_000_000) // _TICK_US * _TICK_US
        self.keys = [
            [f"fleet-{shard}/unit-{number}" for number in range(REACTORS)]
            for shard in range(SHARDS)
        ]
        self._columns = [reactor_column(keys) for keys in self.keys]

    def next(self) -> tuple[int, Frame]:
        """Return the next frame and its shard."""
        sequence, shard = divmod(self._frames, SHARDS)
        self._frames += 1
        frame = Frame(
            tick_us=self._start_us + sequence * _TICK_US,
            origin=FrameOrigin(shard, "benchmark", 0, sequence),
            reactors=self._columns[shard],
            trip_causes=np.zeros(REACTORS, np.uint8),
            readings=self._random.random((len(SIGNAL_NAMES), REACTORS), dtype=np.float32) * 300,
        )
        return shard, frame

    def slab(self) -> Slab:
        """Return the frames of one slab."""
        return [[self.next() for _ in range(FRAMES_PER_COMMIT)] for _ in range(COMMITS_PER_SLAB)]


class BareCopy:
    """The yardstick: bytes made beforehand, one COPY and one commit for each batch."""

    def __init__(
        self, conninfo: str, ids: list[np.ndarray[tuple[int], np.dtype[np.int32]]]
    ) -> None:
        self._connection = psycopg.connect(conninfo)
        self._ids = ids
        self._statement = sql.SQL("COPY telemetry ({}) FROM STDIN (FORMAT binary)").format(
            sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
        )

    def seconds(self, slab: Slab) -> float:
        """Store a slab and return how long that took, without making the bytes."""
        prepared = [self._bytes(frames) for frames in slab]
        started = time.perf_counter()
        for data in prepared:
            with self._connection.cursor() as cursor, cursor.copy(self._statement) as copy:
                copy.write(data)
            self._connection.commit()
        return time.perf_counter() - started

    def _bytes(self, frames: list[tuple[int, Frame]]) -> bytes:
        rows = CopyBuffer()
        for shard, frame in frames:
            rows.append(
                reactor_ids=self._ids[shard],
                tick_us=frame.tick_us,
                trip_causes=frame.trip_causes,
                readings=frame.readings,
            )
        return bytes(rows.data()) + TRAILER

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


class HistorianSide:
    """The historian's own code, from the bytes of the records to the commit with the offsets."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._owners: dict[Partition, Ownership] = {}

    async def take_over(self) -> None:
        """Own the partitions."""
        async with self._sink.link.transaction() as connection:
            self._owners = await self._sink.offsets.take_over(
                connection,
                incarnation=_INCARNATION,
                partitions=[Partition("benchmark", shard) for shard in range(SHARDS)],
            )

    async def seconds(self, slab: Slab) -> float:
        """Store a slab and return how long that took, without encoding the frames."""
        batches = [[_record(shard, frame) for shard, frame in frames] for frames in slab]
        started = time.perf_counter()
        for records in batches:
            await self._store(records)
        return time.perf_counter() - started

    async def _store(self, records: list[Record]) -> None:
        now_us = clock.now_us()
        items = [
            self._sink.reader.read(record, self._owners[record.partition], now_us=now_us)
            for record in records
        ]
        await self._sink.store.store(items, [], incarnation=_INCARNATION)
        for item in items:
            item.owner.next_offset = item.record.offset + 1


def _record(shard: int, frame: Frame) -> Record:
    """Return a frame as it comes from the broker."""
    return Record(
        partition=Partition("benchmark", shard),
        offset=frame.origin.sequence,
        key=b"",
        value=frame.encode(),
        headers=frame.envelope(source="benchmark").headers(),
        timestamp_ms=0,
    )


@asynccontextmanager
async def _running(service: Service, log: Path) -> AsyncIterator[None]:
    process = SupervisedProcess(service, log=LogFile(log))
    await process.start()
    try:
        yield
    finally:
        await process.stop()


async def _pairs(settings: HistorianSettings) -> list[tuple[float, float]]:
    """Return seconds of the bare COPY and of the historian, slab by slab."""
    source = FrameSource()
    conninfo = connection_string(settings.database_url)
    link = Link(conninfo)
    engine = create_engine(settings.database_url, application_name="benchmark")
    partitions = PartitionKeeper(engine, retention=settings.retention)
    historian = HistorianSide(
        build_sink(
            settings,
            link=link,
            offsets=OffsetStore(settings.consumer_group),
            partitions=partitions,
            fleet=FleetView(),
            on_alarms=lambda: None,
        )
    )
    await historian.take_over()
    await historian.seconds(source.slab())
    async with link.transaction() as connection:
        found = [await read_ids(connection, keys) for keys in source.keys]
    ids = [
        np.array([known[key] for key in keys], np.int32)
        for keys, known in zip(source.keys, found, strict=True)
    ]
    bare = BareCopy(conninfo, ids)
    bare.seconds(source.slab())
    pairs = []
    for number in range(SLABS):
        if number % 2:
            ours = await historian.seconds(source.slab())
            theirs = bare.seconds(source.slab())
        else:
            theirs = bare.seconds(source.slab())
            ours = await historian.seconds(source.slab())
        pairs.append((theirs, ours))
    bare.close()
    await link.close()
    await engine.dispose()
    return pairs


async def _end_to_end(settings: HistorianSettings) -> float:
    """Return seconds from the first frame read from the broker to the last row committed."""
    source = FrameSource()
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=_SESSION_TIMEOUT_MS)
    topic = settings.topics.telemetry(0)
    await bus.ensure_topics(settings.topics.live(0))
    producer = bus.producer(client_id="benchmark")
    await producer.start()
    for _ in range(FRAMES_THROUGH_BROKER):
        shard, frame = source.next()
        await producer.send(topic, frame.encode(), partition=shard)
    await producer.stop()

    moments: list[float] = []

    async def note(stage: Stage) -> None:
        if stage in {Stage.POLLED, Stage.COMMITTED}:
            moments.append(time.perf_counter())

    wanted = _rows_committed() + FRAMES_THROUGH_BROKER * REACTORS
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            run_historian(settings, bus=bus, stopping=stopping, readiness=Readiness(), hook=note)
        )
        while _rows_committed() < wanted:
            await asyncio.sleep(0.05)
        stopping.set()
    await bus.close()
    return moments[-1] - moments[0]


def _rows_committed() -> float:
    return REGISTRY.get_sample_value("reactorsync_historian_rows_total") or 0.0


async def measure() -> Result:
    """Measure on servers of our own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder / "postgres", port=free_port())
        broker = EmbeddedBroker(port=free_port())
        async with (
            _running(postgres.service(), folder / "postgres.log"),
            _running(broker.service(), folder / "broker.log"),
        ):
            await asyncio.to_thread(upgrade, postgres.database_url)
            settings = HistorianSettings(
                database_url=SecretStr(postgres.database_url),
                kafka_bootstrap=broker.bootstrap,
                kafka_session_timeout_ms=_SESSION_TIMEOUT_MS,
                shards=SHARDS,
            )
            pairs = await _pairs(settings)
            seconds = await _end_to_end(settings)
    return _result(pairs, seconds)


def _result(pairs: list[tuple[float, float]], seconds: float) -> Result:
    ratios = [bare / historian for bare, historian in pairs]
    deciles = statistics.quantiles(ratios, n=10)
    bare_rate = _ROWS_PER_SLAB / statistics.median(bare for bare, _ in pairs)
    rows = FRAMES_THROUGH_BROKER * REACTORS
    return Result(
        rows_per_slab=_ROWS_PER_SLAB,
        slabs=len(pairs),
        bare_copy_rows_per_second=bare_rate,
        historian_rows_per_second=_ROWS_PER_SLAB / statistics.median(ours for _, ours in pairs),
        ratio_median=statistics.median(ratios),
        ratio_p10=deciles[0],
        ratio_p90=deciles[-1],
        end_to_end_rows=rows,
        end_to_end_rows_per_second=rows / seconds,
        end_to_end_ratio=rows / seconds / bare_rate,
    )


def _print(result: Result) -> None:
    table = Table(
        "way",
        "rows/s",
        "of bare COPY",
        title=f"{result.slabs} pairs of {result.rows_per_slab:,} rows, "
        f"{FRAMES_PER_COMMIT * REACTORS:,} rows a commit",
    )
    table.add_row(
        "bare binary COPY, rows prepared", f"{result.bare_copy_rows_per_second:,.0f}", "1"
    )
    table.add_row(
        "historian, from Arrow frames, offsets in the transaction",
        f"{result.historian_rows_per_second:,.0f}",
        f"{result.ratio_median:.2f} (p10 {result.ratio_p10:.2f}, p90 {result.ratio_p90:.2f})",
    )
    table.add_row(
        f"broker to rows, {result.end_to_end_rows:,} rows that wait",
        f"{result.end_to_end_rows_per_second:,.0f}",
        f"{result.end_to_end_ratio:.2f}",
    )
    console = Console()
    console.print(table)
    verdict = "met" if result.ratio_median >= GOAL else "missed"
    console.print(f"Goal {GOAL:.2f} of bare COPY (gate {GATE:.2f}): {verdict}.")


def main() -> None:
    """Measure, print the table, and fail below the gate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    path: Path | None = parser.parse_args().json
    result = uvloop.run(measure())
    _print(result)
    if path is not None:
        path.write_text(json.dumps(asdict(result), indent=2) + "\n", encoding="utf-8")
    if result.ratio_median < GATE:
        raise SystemExit(f"below the gate of {GATE}")


if __name__ == "__main__":
    main()
