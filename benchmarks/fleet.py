"""The largest fleet that generators stream at 1 Hz without a late tick, on this machine.

Embedded broker and generator processes are real; a consumer reads every frame, counts the ticks and
measures how old their readings are when they arrive. Fleets are tried from small to large until
one has late or missing ticks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import Consumer, Partition, Producer
from reactorsync.designs import Design
from reactorsync.resources.reactor import ReactorState, SensorNoise
from reactorsync.wire.desired import DesiredReactor
from reactorsync.wire.envelope import Envelope
from reactorsync.wire.events import ShardHeartbeat
from reactorsync.wire.frame import decode_frame
from reactorsync.wire.topics import SNAPSHOT_KEY, Topics
from reactorsync_local.embedded import EmbeddedBroker
from reactorsync_local.supervisor import LogFile, SupervisedProcess, free_port

SIZES: Final = (1000, 5000, 10_000, 20_000, 40_000)
GENERATORS: Final = 2
SHARDS: Final = 8
SECONDS: Final = 60
SETTLING_SECONDS: Final = 15
GOAL: Final = 10_000

_SESSION_TIMEOUT_MS: Final = 2500
_BATCH: Final = 500
_TICK_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Result:
    """One fleet, measured over ``seconds``. CPU is in cores."""

    reactors: int
    generators: int
    seconds: float
    ticks: int
    late_ticks: int
    missing_ticks: int
    latency_p50_ms: float
    latency_p99_ms: float
    frame_kb: float
    generator_cores: float
    broker_cores: float
    generator_mb: float
    broker_mb: float

    @property
    def kept_up(self) -> bool:
        """Whether every tick came, and none of them late."""
        return self.late_ticks == 0 and self.missing_ticks == 0


@dataclass
class Tally:
    """What the consumer has seen."""

    ticks: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    """Per shard, the reactors of each tick."""
    latencies_ms: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    late: dict[int, int] = field(default_factory=dict)
    """Per shard, the late ticks that its newest heartbeat tells of."""

    def forget_latencies(self) -> None:
        """Measure anew from here."""
        self.latencies_ms.clear()
        self.sizes.clear()


async def measure(reactors: int, *, generators: int, shards: int, seconds: int) -> Result:
    """Run one fleet from start to stop."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = EmbeddedBroker(port=free_port())
        server = SupervisedProcess(broker.service(), log=LogFile(folder / "broker.log"))
        await server.start()
        stack.push_async_callback(server.stop)
        topics = Topics(shards=shards)
        bus = KafkaBus(broker.bootstrap, session_timeout_ms=_SESSION_TIMEOUT_MS)
        stack.push_async_callback(bus.close)
        await bus.ensure_topics(topics.live(time.time_ns() // 1000))
        await _declare(bus, topics, reactors)
        pool = [
            await stack.enter_async_context(
                _generator(f"generator-{number}", broker.bootstrap, shards, folder)
            )
            for number in range(generators)
        ]
        tally = Tally()
        tapping = asyncio.create_task(_tap(bus, topics, tally))
        try:
            await _all_stream(tally, reactors, shards)
            await asyncio.sleep(SETTLING_SECONDS)
            return await _observe(tally, pool, _broker_process(broker.port), reactors, seconds)
        finally:
            tapping.cancel()
            await asyncio.wait([tapping])


async def _observe(
    tally: Tally,
    pool: Sequence[psutil.Process],
    broker: psutil.Process,
    reactors: int,
    seconds: int,
) -> Result:
    tally.forget_latencies()
    begin_us = (time.time_ns() // 1000 // _TICK_US + 1) * _TICK_US
    late_before = sum(tally.late.values())
    cpu_before = [_cpu_seconds(process) for process in (broker, *pool)]
    begun = time.monotonic()
    await asyncio.sleep(seconds)
    lasted = time.monotonic() - begun
    cores = [
        (_cpu_seconds(process) - before) / lasted
        for process, before in zip((broker, *pool), cpu_before, strict=True)
    ]
    end_us = time.time_ns() // 1000 // _TICK_US * _TICK_US - 2 * _TICK_US
    await asyncio.sleep(6)  # for the heartbeats that tell of the last ticks
    wanted = range(begin_us, end_us, _TICK_US)
    seen = [len([tick for tick in wanted if tick in ticks]) for ticks in tally.ticks.values()]
    complete = len(wanted) * len(tally.ticks)
    return Result(
        reactors=reactors,
        generators=len(pool),
        seconds=len(wanted),
        ticks=sum(seen),
        late_ticks=sum(tally.late.values()) - late_before,
        missing_ticks=complete - sum(seen),
        latency_p50_ms=float(np.percentile(tally.latencies_ms, 50)),
        latency_p99_ms=float(np.percentile(tally.latencies_ms, 99)),
        frame_kb=float(np.mean(tally.sizes)) / 1e3,
        generator_cores=sum(cores[1:]),
        broker_cores=cores[0],
        generator_mb=sum(process.memory_info().rss for process in pool) / 1e6,
        broker_mb=broker.memory_info().rss / 1e6,
    )


async def _declare(bus: KafkaBus, topics: Topics, reactors: int) -> None:
    producer = bus.producer(client_id="benchmark")
    await producer.start()
    try:
        for first in range(0, reactors, _BATCH):
            batch = range(first, min(first + _BATCH, reactors))
            await asyncio.gather(*(_put(producer, topics, _reactor(number)) for number in batch))
        for shard in range(topics.shards):
            await producer.send(topics.reactors, b"{}", key=SNAPSHOT_KEY, partition=shard)
    finally:
        await producer.stop()


async def _put(producer: Producer, topics: Topics, state: DesiredReactor) -> None:
    await producer.send(topics.reactors, state.encode(), key=state.key.encode())


def _reactor(number: int) -> DesiredReactor:
    designs = list(Design)
    return DesiredReactor(
        namespace="benchmark",
        name=f"reactor-{number}",
        uid=uuid4(),
        generation=1,
        design=designs[number % len(designs)],
        power_setpoint_permille=1000,
        interval_milliseconds=_TICK_US // 1000,
        noise=SensorNoise.NOMINAL,
        seed=number,
        state=ReactorState.RUNNING,
    )


@asynccontextmanager
async def _generator(
    name: str, bootstrap: str, shards: int, folder: Path
) -> AsyncIterator[psutil.Process]:
    environment = os.environ | {
        "REACTORSYNC_KAFKA_BOOTSTRAP": bootstrap,
        "REACTORSYNC_KAFKA_SESSION_TIMEOUT_MS": str(_SESSION_TIMEOUT_MS),
        "REACTORSYNC_SHARDS": str(shards),
        "REACTORSYNC_GENERATOR_NAME": name,
        "REACTORSYNC_HANDOVER_SECONDS": "0",
    }
    with (folder / f"{name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "reactorsync_generator.main", env=environment, stderr=log
        )
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            await process.wait()


async def _tap(bus: KafkaBus, topics: Topics, tally: Tally) -> None:
    consumer = bus.consumer(client_id="benchmark")
    consumer.assign(
        [
            Partition(topic, shard)
            for topic in (topics.telemetry(0), topics.events)
            for shard in range(topics.shards)
        ]
    )
    await consumer.start()
    try:
        while True:
            await _take(consumer, tally)
    finally:
        await consumer.stop()


async def _take(consumer: Consumer, tally: Tally) -> None:
    for record in await consumer.poll(timeout_seconds=0.2):
        arrived_us = time.time_ns() // 1000
        assert record.value is not None
        envelope = Envelope.from_headers(record.headers)
        if envelope.type == ShardHeartbeat.type:
            beat = ShardHeartbeat.model_validate_json(record.value)
            tally.late[beat.shard] = beat.late_ticks
        elif envelope.type.startswith("dev.reactorsync.telemetry"):
            frame = decode_frame(record.value)
            tally.ticks[frame.origin.shard][frame.tick_us] = len(frame)
            tally.latencies_ms.append((arrived_us - frame.tick_us) / 1e3)
            tally.sizes.append(len(record.value))


async def _all_stream(tally: Tally, reactors: int, shards: int) -> None:
    """Wait until a tick has all reactors."""
    async with asyncio.timeout(120):
        while True:
            newest = [ticks[max(ticks)] for ticks in tally.ticks.values() if ticks]
            if len(newest) == shards and sum(newest) == reactors:
                return
            await asyncio.sleep(0.2)


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _broker_process(port: int) -> psutil.Process:
    for process in psutil.Process().children(recursive=True):
        if any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for connection in process.net_connections("tcp")
        ):
            return process
    raise LookupError(f"nobody listens on port {port}")


def table_of(results: Sequence[Result]) -> Table:
    """Return the printed table."""
    table = Table(title="Fleets at 1 Hz: ticks, age of readings at a consumer, cores used, memory")
    for heading in (
        "reactors",
        "late",
        "missing",
        "of ticks",
        "p50",
        "p99",
        "frame",
        "generators",
        "broker",
        "RSS",
    ):
        table.add_column(heading, justify="right")
    for result in results:
        table.add_row(
            f"{result.reactors:,}",
            str(result.late_ticks),
            str(result.missing_ticks),
            f"{result.ticks:,}",
            f"{result.latency_p50_ms:.0f} ms",
            f"{result.latency_p99_ms:.0f} ms",
            f"{result.frame_kb:.0f} kB",
            f"{result.generator_cores:.2f} ",
            f"{result.broker_cores:.2f}",
            f"{result.generator_mb:.0f} + {result.broker_mb:.0f} MB",
        )
    return table


async def search(
    sizes: Sequence[int], *, generators: int, shards: int, seconds: int
) -> list[Result]:
    """Measure fleets from small to large, up to the first that falls behind."""
    results: list[Result] = []
    for reactors in sizes:
        results.append(
            await measure(reactors, generators=generators, shards=shards, seconds=seconds)
        )
        if not results[-1].kept_up:
            break
    return results


def main() -> None:
    """Measure, print the table, and write the figures where ``--json`` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="fleets to try")
    parser.add_argument("--generators", type=int, default=GENERATORS, help="processes")
    parser.add_argument("--shards", type=int, default=SHARDS, help="partitions")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="length of a measurement")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    results = uvloop.run(
        search(
            arguments.sizes,
            generators=arguments.generators,
            shards=arguments.shards,
            seconds=arguments.seconds,
        )
    )
    console = Console()
    console.print(table_of(results))
    largest = max((result.reactors for result in results if result.kept_up), default=0)
    console.print(f"Largest fleet without a late tick: {largest:,} reactors (goal {GOAL:,}).")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(result) for result in results], indent=2))


if __name__ == "__main__":
    main()
