"""Parts die at any moment, by SIGKILL; what comes out is counted, not believed.

The oracle is the broker's own log: every reading it acknowledged must be a row, and no row may be
anything else.
"""

import asyncio
import os
import signal
import time
from datetime import UTC, datetime, timedelta

import psycopg
from sqlalchemy.engine import make_url

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import Partition
from reactorsync.bus.reading import read_to_end
from reactorsync.wire.envelope import from_micros
from reactorsync.wire.frame import decode_frame
from tests.end_to_end.conftest import Installation
from tests.end_to_end.test_one_machine import condition, get, rows, wait_for

UNITS = 16
FLEET = "\n---\n".join(
    f"""
apiVersion: reactorsync.dev/v1alpha1
kind: Reactor
metadata: {{name: unit-{number}}}
spec: {{design: {"Candu6" if number % 2 else "Pwr3Loop"}}}
"""
    for number in range(UNITS)
)

SECONDS = 20
SCENARIO = f"""
apiVersion: reactorsync.dev/v1alpha1
kind: AnomalyScenario
metadata: {{name: bias}}
spec:
  targets: {{names: [unit-1]}}
  stages:
    - name: reads-high
      fault: SensorBias
      sensor: {{signal: containment_pressure_kpa}}
      durationSeconds: {SECONDS}
"""

Reading = tuple[str, datetime]


def kill(installation: Installation, part: str) -> None:
    """SIGKILL a part, and wait until the supervision has another one in its place."""

    def pid() -> int | None:
        return next(one.pid for one in installation.state.processes if one.name == part)

    victim = pid()
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: pid() not in (None, victim))


def stored(installation: Installation) -> list[Reading]:
    """Return every row, from the database itself."""
    url = make_url((installation.state_dir / "database-url").read_text().strip())
    conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(conninfo) as connection:
        found = connection.execute(
            "SELECT namespace || '/' || name, ts FROM telemetry JOIN reactor ON id = reactor_id"
        ).fetchall()
    return [(key, moment.astimezone(UTC)) for key, moment in found]


async def acknowledged(installation: Installation) -> set[Reading]:
    """Return every reading in the broker's telemetry topics."""
    bus = KafkaBus(f"127.0.0.1:{installation.state.ports['broker']}", session_timeout_ms=2500)
    consumer = bus.consumer(client_id="oracle")
    await consumer.start()
    try:
        topics = {name for name in await bus.list_topics() if ".telemetry" in name}
        partitions: set[Partition] = set()
        for topic in topics:
            partitions |= await consumer.partitions_of(topic)
        consumer.assign(partitions)
        readings: set[Reading] = set()
        async for record in read_to_end(consumer, partitions, timeout_seconds=20):
            frame = decode_frame(record.value or b"")
            moment = from_micros(frame.tick_us)
            readings |= {(key, moment) for key in frame.reactors.to_pylist()}
        return readings
    finally:
        await consumer.stop()
        await bus.close()


def suspended(installation: Installation) -> bool:
    """Return whether every generator has been heard to stop every plant."""
    for number in range(UNITS):
        unit = get(installation, "rx", f"unit-{number}")
        ready = next(one for one in unit["status"]["conditions"] if one["type"] == "Ready")
        if ready["reason"] != "Suspended" or (
            unit["status"]["observedGeneration"] != unit["metadata"]["generation"]
        ):
            return False
    return True


def settled(installation: Installation) -> set[Reading]:
    """Stop all telemetry, so that there is an end to count up to; return what the broker has."""
    halted = FLEET.replace("spec: {", "spec: {state: Suspended, ")
    assert installation("apply", "-f", "-", stdin=halted).returncode == 0
    wait_for(lambda: suspended(installation))
    sent = asyncio.run(acknowledged(installation))
    while True:
        time.sleep(2)
        again = asyncio.run(acknowledged(installation))
        if again == sent:
            return sent
        sent = again


def stream(installation: Installation) -> None:
    """Declare the fleet, running, and wait until its readings are stored."""
    assert installation("apply", "-f", "-", stdin=FLEET).returncode == 0
    since = datetime.now(UTC)
    wait_for(lambda: condition(get(installation, "rx", "unit-0"), "Ready") == "True")
    wait_for(lambda: max((moment for _, moment in stored(installation)), default=since) > since)


def test_nothing_is_lost_or_doubled_while_parts_are_killed(installation: Installation) -> None:
    stream(installation)

    for part in ("historian", "generator-0", "operator", "historian"):
        kill(installation, part)
        time.sleep(2)
    stream(installation)
    sent = settled(installation)
    wait_for(lambda: len(stored(installation)) >= len(sent))
    kept = stored(installation)

    assert len(sent) >= 5 * UNITS
    assert len(kept) == len(set(kept)), "a reading is stored twice"
    assert sent - set(kept) == set(), "acknowledged readings are missing"
    assert set(kept) - sent == set(), "rows came from nowhere"


def test_the_rest_goes_on_by_itself_when_a_server_is_killed(installation: Installation) -> None:
    stream(installation)
    before = set(stored(installation))

    kill(installation, "postgres")
    stream(installation)
    kill(installation, "broker")
    stream(installation)
    sent = settled(installation)
    wait_for(lambda: sent <= set(stored(installation)))
    kept = stored(installation)

    assert sent, "the new broker has nothing"
    assert before <= set(kept), "rows are gone"
    assert len(kept) == len(set(kept)), "a reading is stored twice"


def test_a_fault_ends_on_time_with_the_operator_dead(installation: Installation) -> None:
    stream(installation)
    assert installation("apply", "-f", "-", stdin=SCENARIO).returncode == 0
    wait_for(lambda: condition(get(installation, "anom", "bias"), "Injected") == "True")
    start = datetime.fromisoformat(get(installation, "anom", "bias")["status"]["run"]["startTime"])
    end = start + timedelta(seconds=SECONDS)
    operator = next(one for one in installation.state.processes if one.name == "operator")
    assert operator.pid is not None

    # A stopped process is as good as a dead one, and its supervision does not replace it.
    os.kill(operator.pid, signal.SIGSTOP)
    try:
        time.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds()) + 4)
        readings = {
            datetime.fromisoformat(row["time"]): float(row["containment_pressure_kpa"])
            for row in rows(installation, "unit-1", signals="containment_pressure_kpa")
        }
    finally:
        os.kill(operator.pid, signal.SIGCONT)

    biased = [moment for moment, value in readings.items() if value > 140]
    assert biased
    assert start <= min(biased) <= start + timedelta(seconds=3)
    assert end - timedelta(seconds=2) <= max(biased) < end
    assert max(readings) > end
    wait_for(lambda: condition(get(installation, "anom", "bias"), "Succeeded") == "True")
