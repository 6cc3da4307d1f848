"""The largest fleet that one machine runs end to end at 1 Hz without a late tick or a missing row.

Everything is real and started by ``reactorsync up``: operator, as many generators as it asks for,
broker, historian, Postgres and API. Reactors are declared in the store; the operator publishes
them. Fleets are tried from small to large until one falls behind. Latency is measured from the tick
to the moment its row can be read, and to the moment a WebSocket client has it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np
import psutil
import psycopg
import uvloop
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url
from websockets.asyncio.client import connect

from reactorsync import clock
from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import Partition
from reactorsync.db.engine import create_engine
from reactorsync.designs import Design
from reactorsync.resources import Reactor
from reactorsync.store.postgres import PostgresStore
from reactorsync.wire.envelope import Envelope, from_micros, parse_micros
from reactorsync.wire.events import ShardHeartbeat
from reactorsync_local.machine.parts import TOPICS
from reactorsync_local.supervisor import InstanceState, free_port

SIZES: Final = (10_000, 20_000)
SECONDS: Final = 60
SETTLING_SECONDS: Final = 20
GOAL: Final = 10_000

_TICK_US: Final = 1_000_000
_CREATING: Final = 8
_ASK_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Result:
    """One fleet, measured over ``seconds``. CPU is in cores, by part."""

    reactors: int
    generators: int
    seconds: int
    late_ticks: int
    missing_rows: int
    to_row_p50_ms: float
    to_row_p99_ms: float
    to_socket_p50_ms: float
    to_socket_p99_ms: float
    cores: dict[str, float]
    memory_mb: dict[str, float]

    @property
    def kept_up(self) -> bool:
        """Whether every tick came in time, and every row of it."""
        return self.late_ticks == 0 and self.missing_rows == 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A running installation."""

    state_dir: Path

    @property
    def state(self) -> InstanceState:
        """What its supervisor last wrote."""
        state = InstanceState.read(self.state_dir)
        assert state is not None
        return state

    @property
    def database_url(self) -> SecretStr:
        """URL for SQLAlchemy."""
        return SecretStr((self.state_dir / "database-url").read_text().strip())

    @property
    def conninfo(self) -> str:
        """URL for psycopg."""
        url = make_url(self.database_url.get_secret_value()).set(drivername="postgresql")
        return url.render_as_string(hide_password=False)

    @property
    def bootstrap(self) -> str:
        """Address of the broker."""
        return f"127.0.0.1:{self.state.ports['broker']}"


@dataclass
class Tally:
    """What the observers have seen since :meth:`clear`."""

    to_row_ms: list[float] = field(default_factory=list)
    to_socket_ms: list[float] = field(default_factory=list)
    late: dict[int, int] = field(default_factory=dict)
    """Per shard, the late ticks that its newest heartbeat tells of."""

    def clear(self) -> None:
        """Measure latencies anew from here."""
        self.to_row_ms.clear()
        self.to_socket_ms.clear()


@asynccontextmanager
async def running_machine() -> AsyncIterator[tuple[Machine, int]]:
    """Start everything in a temporary folder; yield it with the port of the API."""
    command = Path(sys.executable).with_name("reactorsync")
    with tempfile.TemporaryDirectory() as folder:
        state_dir = Path(folder) / "state"
        environment = os.environ | {"REACTORSYNC_STATE_DIR": str(state_dir)}
        port = free_port()
        start: list[str | Path] = [
            command,
            "up",
            "--plain",
            "--detach",
            "--empty",
            "--api-port",
            str(port),
        ]
        try:
            await asyncio.to_thread(_run, start, environment)
            yield Machine(state_dir=state_dir), port
        finally:
            await asyncio.to_thread(_run, [command, "down"], environment)


def _run(command: Sequence[str | Path], environment: dict[str, str]) -> None:
    subprocess.run(command, check=True, env=environment, capture_output=True)


async def measure(reactors: int, *, seconds: int) -> Result:
    """Run one fleet from start to stop."""
    async with running_machine() as (machine, api_port):
        await _declare(machine, reactors)
        tally = Tally()
        observers = [
            asyncio.create_task(_watch_events(machine, tally)),
            asyncio.create_task(_watch_rows(machine, tally)),
            asyncio.create_task(_watch_socket(api_port, tally)),
        ]
        try:
            await _all_stored(machine, reactors)
            await asyncio.sleep(SETTLING_SECONDS)
            return await _observe(machine, tally, reactors=reactors, seconds=seconds)
        finally:
            for observer in observers:
                observer.cancel()
            await asyncio.gather(*observers, return_exceptions=True)


async def _observe(machine: Machine, tally: Tally, *, reactors: int, seconds: int) -> Result:
    tally.clear()
    late_before = sum(tally.late.values())
    begin_us = (clock.now_us() // _TICK_US + 1) * _TICK_US
    processes = _processes(machine)
    cpu_before = {name: _cpu_seconds(found) for name, found in processes.items()}
    begun = time.monotonic()
    await asyncio.sleep(seconds)
    lasted = time.monotonic() - begun
    cores = {
        name: (_cpu_seconds(found) - cpu_before[name]) / lasted for name, found in processes.items()
    }
    await asyncio.sleep(6)  # the last rows, and the heartbeats that tell of the last ticks
    ticks = seconds - 1
    with psycopg.connect(machine.conninfo) as connection:
        window = (from_micros(begin_us), from_micros(begin_us) + timedelta(seconds=ticks))
        found = connection.execute(
            "SELECT count(*) FROM telemetry WHERE ts >= %s AND ts < %s", window
        ).fetchone()
    return Result(
        reactors=reactors,
        generators=sum(name.startswith("generator") for name in processes),
        seconds=seconds,
        late_ticks=sum(tally.late.values()) - late_before,
        missing_rows=reactors * ticks - (found[0] if found else 0),
        to_row_p50_ms=float(np.percentile(tally.to_row_ms, 50)),
        to_row_p99_ms=float(np.percentile(tally.to_row_ms, 99)),
        to_socket_p50_ms=float(np.percentile(tally.to_socket_ms, 50)),
        to_socket_p99_ms=float(np.percentile(tally.to_socket_ms, 99)),
        cores=_by_part(cores),
        memory_mb=_by_part(
            {
                name: sum(process.memory_info().rss for process in found) / 1e6
                for name, found in processes.items()
            }
        ),
    )


async def _declare(machine: Machine, reactors: int) -> None:
    engine = create_engine(machine.database_url, application_name="benchmark", pool_size=_CREATING)
    store = PostgresStore(engine)
    designs = list(Design)
    numbers = iter(range(reactors))

    async def create() -> None:
        for number in numbers:
            await store.create(
                Reactor.model_validate(
                    {
                        "metadata": {"name": f"unit-{number}"},
                        "spec": {"design": designs[number % len(designs)]},
                    }
                )
            )

    try:
        await asyncio.gather(*(create() for _ in range(_CREATING)))
    finally:
        await engine.dispose()


async def _watch_events(machine: Machine, tally: Tally) -> None:
    names = TOPICS.event_topics(clock.now_us())
    bus = KafkaBus(machine.bootstrap, session_timeout_ms=2500)
    consumer = bus.consumer(client_id="benchmark")
    consumer.assign([Partition(topic, shard) for topic in names for shard in range(TOPICS.shards)])
    await consumer.start()
    try:
        while True:
            for record in await consumer.poll(timeout_seconds=0.5):
                if Envelope.from_headers(record.headers).type == ShardHeartbeat.type:
                    beat = ShardHeartbeat.model_validate_json(record.value or b"")
                    tally.late[beat.shard] = beat.late_ticks
    finally:
        await consumer.stop()
        await bus.close()


async def _watch_rows(machine: Machine, tally: Tally) -> None:
    """Ask for the newest row of one reactor again and again: the resolution is 20 ms."""
    newest = None
    async with await psycopg.AsyncConnection.connect(
        machine.conninfo, autocommit=True
    ) as connection:
        while True:
            cursor = await connection.execute(
                "SELECT max(ts) FROM telemetry WHERE reactor_id = "
                "(SELECT id FROM reactor WHERE name = 'unit-0') AND ts > now() - interval '1 min'"
            )
            row = await cursor.fetchone()
            now = time.time()
            if row is not None and row[0] is not None and row[0] != newest:
                newest = row[0]
                tally.to_row_ms.append((now - newest.timestamp()) * 1e3)
            await asyncio.sleep(_ASK_SECONDS)


async def _watch_socket(port: int, tally: Tally) -> None:
    async with connect(f"ws://127.0.0.1:{port}/ws") as socket:
        await socket.send(
            json.dumps(
                {
                    "subscribe": {
                        "reactors": [f"default/unit-{number}" for number in range(20)],
                        "signals": ["neutron_power_percent"],
                    }
                }
            )
        )
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "telemetry":
                tick_us = parse_micros(message["tick"])
                tally.to_socket_ms.append((time.time_ns() / 1000 - tick_us) / 1e3)


async def _all_stored(machine: Machine, reactors: int) -> None:
    """Wait until a recent tick has a row for every reactor."""
    query = (
        "SELECT count(*) FROM telemetry "
        "WHERE ts = date_trunc('second', now()) - interval '3 seconds'"
    )
    async with (
        asyncio.timeout(180),
        await psycopg.AsyncConnection.connect(machine.conninfo, autocommit=True) as connection,
    ):
        while True:
            row = await (await connection.execute(query)).fetchone()
            if row is not None and row[0] == reactors:
                return
            await asyncio.sleep(0.5)


def _processes(machine: Machine) -> dict[str, list[psutil.Process]]:
    """Return the processes of every supervised service, its children among them."""
    found = {}
    for status in machine.state.processes:
        if status.pid is not None:
            process = psutil.Process(status.pid)
            found[status.name] = [process, *process.children(recursive=True)]
    return found


def _by_part(figures: dict[str, float]) -> dict[str, float]:
    """Add up the generators."""
    parts: dict[str, float] = {}
    for name, figure in figures.items():
        part = "generators" if name.startswith("generator") else name
        parts[part] = round(parts.get(part, 0.0) + figure, 3)
    return parts


def _cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    seconds = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


def tables_of(results: Sequence[Result]) -> list[Table]:
    """Return the printed tables."""
    table = Table(title="Fleets at 1 Hz, end to end")
    for heading in ("reactors", "generators", "late ticks", "missing rows"):
        table.add_column(heading, justify="right")
    for heading in ("to row p50", "p99", "to socket p50", "p99"):
        table.add_column(heading, justify="right")
    use = Table(title="Cores used (memory) by part")
    use.add_column("reactors", justify="right")
    parts = sorted({part for result in results for part in result.cores})
    for part in parts:
        use.add_column(part, justify="right")
    for result in results:
        latencies = (
            result.to_row_p50_ms,
            result.to_row_p99_ms,
            result.to_socket_p50_ms,
            result.to_socket_p99_ms,
        )
        table.add_row(
            f"{result.reactors:,}",
            str(result.generators),
            str(result.late_ticks),
            str(result.missing_rows),
            *(f"{latency:.0f} ms" for latency in latencies),
        )
        use.add_row(
            f"{result.reactors:,}",
            *(
                f"{result.cores.get(part, 0):.2f} ({result.memory_mb.get(part, 0):.0f} MB)"
                for part in parts
            ),
        )
    return [table, use]


async def search(sizes: Sequence[int], *, seconds: int) -> list[Result]:
    """Measure fleets from small to large, up to the first that falls behind."""
    results: list[Result] = []
    for reactors in sizes:
        results.append(await measure(reactors, seconds=seconds))
        if not results[-1].kept_up:
            break
    return results


def main() -> None:
    """Measure, print the tables, and write the figures where ``--json`` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="fleets to try")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="length of a measurement")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    results = uvloop.run(search(arguments.sizes, seconds=arguments.seconds))
    console = Console()
    for table in tables_of(results):
        console.print(table)
    largest = max((result.reactors for result in results if result.kept_up), default=0)
    console.print(f"Largest fleet without a late tick: {largest:,} reactors (goal {GOAL:,}).")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(result) for result in results], indent=2))


if __name__ == "__main__":
    main()
