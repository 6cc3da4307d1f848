"""Three historians under random SIGKILL and SIGSTOP, counted against what the broker took.

The table has no key, and every transaction is held open for a moment, so that a process is often
hit within one. The last test replaces the compare-and-swap by a plain update and must double rows:
it shows that this way of counting can tell.
"""

import asyncio
import random
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from reactorsync_historian.settings import HistorianSettings
from reactorsync_historian.stages import Stage
from tests.historian.feed import Feed
from tests.historian.running import Storage, running_historian, until
from tests.historian.victim import victim

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

MEMBERS = 3
SECONDS = 60.0


@dataclass(frozen=True)
class Slow:
    """A hook that holds every transaction open before it moves the offsets."""

    seconds: float = 0.1

    async def __call__(self, stage: Stage) -> None:
        if stage is Stage.COPIED:
            await asyncio.sleep(self.seconds)


@pytest.fixture
def settings(settings: HistorianSettings) -> HistorianSettings:
    return settings.model_copy(update={"shards": 6})


@pytest.fixture(autouse=True)
def without_key(storage: Storage) -> None:
    storage.execute("ALTER TABLE telemetry DROP CONSTRAINT pk_telemetry")


async def harm_members(
    settings: HistorianSettings, folder: Path, *, seed: int, plain_offsets: bool
) -> None:
    """Run members and hit one of them every few seconds; a killed one is replaced."""
    chance = random.Random(seed)
    end = asyncio.get_running_loop().time() + SECONDS
    with ExitStack() as stack:

        def new_member() -> psutil.Process:
            started = victim(
                settings, Slow(), log=folder / "members.log", plain_offsets=plain_offsets
            )
            pid = stack.enter_context(started).pid
            assert pid is not None
            return psutil.Process(pid)

        members = [new_member() for _ in range(MEMBERS)]
        while asyncio.get_running_loop().time() < end:
            await asyncio.sleep(chance.uniform(1, 4))
            number = chance.randrange(MEMBERS)
            if chance.random() < 0.5:
                members[number].kill()
                members[number] = new_member()
            else:
                members[number].suspend()
                await asyncio.sleep(chance.uniform(2, 4) * settings.kafka_session_timeout_ms / 1000)
                members[number].resume()


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_is_lost_or_doubled(
    settings: HistorianSettings, feed: Feed, storage: Storage, tmp_path: Path, seed: int
) -> None:
    async with feed.flowing(pause_seconds=0.02):
        await harm_members(settings, tmp_path, seed=seed, plain_offsets=False)
    async with running_historian(settings):
        await until(lambda: storage.count() >= len(feed.acknowledged), seconds=60)

    assert storage.stored() == Counter(feed.acknowledged)


async def test_a_plain_update_of_the_offsets_doubles_rows(
    settings: HistorianSettings, feed: Feed, storage: Storage, tmp_path: Path
) -> None:
    async with feed.flowing(pause_seconds=0.02):
        await harm_members(settings, tmp_path, seed=1, plain_offsets=True)

    assert max(storage.stored().values()) > 1
