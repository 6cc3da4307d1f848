"""SIGKILL and SIGSTOP of a real process, at every stage of a batch.

The table has no key, so nothing but the offsets prevents a second row.
"""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import psutil
import pytest

from reactorsync_historian.settings import HistorianSettings
from reactorsync_historian.stages import Stage
from tests.historian.feed import Feed
from tests.historian.running import Storage, running_historian, until
from tests.historian.victim import SelfHarm, victim


@pytest.fixture(autouse=True)
def without_key(storage: Storage) -> None:
    storage.execute("ALTER TABLE telemetry DROP CONSTRAINT pk_telemetry")


async def test_a_kill_at_any_stage_neither_loses_nor_doubles_a_row(
    settings: HistorianSettings, feed: Feed, storage: Storage, tmp_path: Path
) -> None:
    async with feed.flowing():
        for stage in Stage:
            harm = SelfHarm(stage, batch=3, number=signal.SIGKILL)
            with victim(settings, harm, log=tmp_path / f"{stage}.log") as process:
                await until(lambda ended=process: ended.exitcode == -signal.SIGKILL)
    async with running_historian(settings):
        await until(lambda: storage.count() >= len(feed.acknowledged))

    assert storage.stored() == Counter(feed.acknowledged)


@pytest.mark.soak
async def test_a_process_stopped_in_a_transaction_wakes_to_be_fenced(
    settings: HistorianSettings, feed: Feed, storage: Storage, tmp_path: Path
) -> None:
    """It has moved the offset and not committed: its locks hold up whoever takes over."""
    log = tmp_path / "victim.log"
    harm = SelfHarm(Stage.OFFSETS_MOVED, batch=2, number=signal.SIGSTOP)
    with victim(settings, harm, log=log) as zombie:
        assert zombie.pid is not None
        process = psutil.Process(zombie.pid)
        async with feed.flowing():
            await until(lambda: process.status() == psutil.STATUS_STOPPED)
            before = storage.count()
            async with running_historian(settings):
                await until(lambda: storage.count() > before)
                process.resume()
                await until(lambda: "terminating connection" in log.read_text())
                await asyncio.sleep(1)
    async with running_historian(settings):
        await until(lambda: storage.count() >= len(feed.acknowledged))

    assert storage.stored() == Counter(feed.acknowledged)
