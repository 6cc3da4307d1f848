"""docs/wire-format.md says what the code does, and its examples work."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from reactorsync.bus.kafka import KafkaBus
from reactorsync.signals import SIGNAL_INDEX, SIGNAL_NAMES
from reactorsync.wire.desired import decode_desired
from reactorsync.wire.document import BLOCKS, rewrite
from reactorsync.wire.frame import Frame, FrameOrigin, reactor_column
from reactorsync.wire.topics import Topics
from tests.servers import FreshBroker

PAGE = Path(__file__).parents[3] / "docs" / "wire-format.md"
TICK_US = 1_900_000_000_000_000


def example(name: str) -> str:
    """Return the code block that follows the marker of that name."""
    match = re.search(rf"<!-- example: {name} -->\n```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert match is not None
    return match[1]


def test_the_tables_are_those_of_the_code() -> None:
    """When this fails: ``python -m reactorsync.wire.document docs/wire-format.md``."""
    page = PAGE.read_text(encoding="utf-8")

    assert rewrite(page) == page


def test_every_table_is_on_the_page() -> None:
    names = re.findall(r"<!-- generated: ([a-z-]+) -->", PAGE.read_text(encoding="utf-8"))

    assert sorted(names) == sorted(BLOCKS)


def test_a_block_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError):
        rewrite("<!-- generated: colours -->\n<!-- end -->")


def test_the_example_of_desired_state_is_one() -> None:
    text = example("desired")

    assert json.loads(text) == decode_desired(text.encode()).to_json()


async def test_the_reader_of_thirty_lines_prints_what_a_generator_sends(
    fresh_broker: FreshBroker, tmp_path: Path
) -> None:
    topics = Topics(shards=2, slot_seconds=600)
    bus = KafkaBus(fresh_broker.bootstrap, session_timeout_ms=2000)
    await bus.ensure_topics(topics.live(TICK_US))
    readings = np.full((len(SIGNAL_NAMES), 2), np.nan, dtype=np.float32)
    readings[SIGNAL_INDEX["neutron_power_percent"]] = [99.5, 42.25]
    frame = Frame(
        tick_us=TICK_US,
        origin=FrameOrigin(shard=1, run="r", epoch=0, sequence=0),
        reactors=reactor_column(["default/bruce-1", "default/bruce-2"]),
        trip_causes=np.zeros(2, dtype=np.uint8),
        readings=readings,
    )
    producer = bus.producer(client_id="test")
    await producer.start()
    await producer.send(
        topics.telemetry(TICK_US),
        frame.encode(),
        headers=frame.envelope(source="test").headers(),
        partition=1,
    )
    program = tmp_path / "reader.py"
    program.write_text(example("reader"), encoding="utf-8")

    reader = await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"REACTORSYNC_KAFKA_BOOTSTRAP": fresh_broker.bootstrap},
    )
    assert reader.stdout is not None
    async with asyncio.timeout(30):
        lines = [(await reader.stdout.readline()).decode().strip() for _ in range(2)]
    reader.terminate()
    await reader.wait()
    await producer.stop()
    await bus.close()

    assert lines == [
        "1900000000.0 default/bruce-1 99.50 %",
        "1900000000.0 default/bruce-2 42.25 %",
    ]


def test_the_reader_is_about_thirty_lines_long() -> None:
    code = [line for line in example("reader").splitlines() if line.strip()]

    assert len(code) <= 32
