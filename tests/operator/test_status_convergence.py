"""However plans, answers and the watch fall together: the newest status is what is stored."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reactorsync.resources import Kind, Reactor
from reactorsync.service import Backoff
from reactorsync.store import ResourceStore, StoreUnavailable
from reactorsync_operator.fleet import Fleet, WorkKey
from reactorsync_operator.status_writer import StatusWriter
from tests.core.planning.build import reactor

KEY = WorkKey(Kind.REACTOR, "default/bruce-1")


class Shelf:
    """Keeps one reactor; each write waits for its fate."""

    def __init__(self) -> None:
        stored = reactor("bruce-1")
        metadata = stored.metadata.model_copy(update={"resource_version": "1"})
        self.stored = stored.model_copy(update={"metadata": metadata})
        self.fates: asyncio.Queue[str] = asyncio.Queue()

    async def replace_statuses(self, resources: Sequence[Reactor]) -> Sequence[Reactor]:
        fate = await self.fates.get()
        (sent,) = resources
        version = self.stored.metadata.resource_version
        is_taken = fate != "away" and sent.metadata.resource_version == version
        if is_taken:
            self.put(sent)
        if fate != "answered":
            raise StoreUnavailable(fate)
        return [self.stored] if is_taken else []

    async def get(self, *_: object) -> Reactor:
        return self.stored

    def put(self, sent: Reactor) -> None:
        """Store it, as a version of its own."""
        version = str(int(self.stored.metadata.resource_version) + 1)
        metadata = sent.metadata.model_copy(update={"resource_version": version})
        self.stored = sent.model_copy(update={"metadata": metadata})


class Table:
    """A shelf, who writes on it, and how many alarms the newest plan would tell of."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.alarms = 0
        self.told: list[int] = []
        self.marked = False
        self.fleet = Fleet(shards=1, mark=self._mark)
        self.writer = StatusWriter(
            cast("ResourceStore", self.shelf),
            self.fleet,
            replan=self._mark,
            interval_seconds=0.0,
            clock=time.monotonic,
            batch=1,
            recorder=cast("Any", self),
        )
        self.writer._backoff = Backoff(0.0005, 0.001)
        self.watch()

    def _mark(self, _key: WorkKey) -> None:
        self.marked = True

    def record(self, _before: Reactor, after: Reactor) -> None:
        self.told.append(after.status.open_alarms)

    def watch(self) -> None:
        """Tell what is stored."""
        self.fleet.put_reactor(self.shelf.stored)

    def plan(self) -> None:
        known = self.fleet.reactors[KEY.name]
        status = known.status.model_copy(update={"open_alarms": self.alarms})
        if status == known.status:
            self.writer.withdraw(KEY)
        else:
            self.writer.offer(known.model_copy(update={"status": status}))

    async def turn(self) -> None:
        """Let everybody do what there is to do now."""
        for _ in range(10):
            await asyncio.sleep(0)
            if self.marked:
                self.marked = False
                self.plan()


steps = st.lists(
    st.one_of(
        st.sampled_from(["answered", "answered", "lost", "away", "watch", "wait"]),
        st.integers(0, 2),
    ),
    max_size=15,
)

BEGUN_AND_TAKEN_BACK = [1, 0, "answered"]
TAKEN_BACK_AND_LOST = [1, 0, "lost"]


@given(steps=steps)
@example(steps=BEGUN_AND_TAKEN_BACK)
@example(steps=TAKEN_BACK_AND_LOST)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_newest_status_is_stored_without_a_sweep(steps: list[str | int]) -> None:
    asyncio.run(_follow(steps))


async def _follow(steps: list[str | int]) -> None:
    table = Table()
    writing = asyncio.create_task(table.writer.run())
    await table.turn()
    for step in steps:
        if isinstance(step, int):
            table.alarms, table.marked = step, True
        elif step == "watch":
            table.watch()
        elif step == "wait":
            await asyncio.sleep(0.002)
        else:
            table.shelf.fates.put_nowait(step)
        await table.turn()
    async with asyncio.timeout(5):
        table.watch()
        await table.turn()
        while not table.writer.idle:
            if table.shelf.fates.empty():
                table.shelf.fates.put_nowait("answered")
            await asyncio.sleep(0.0005)
            table.watch()
            await table.turn()
    assert table.shelf.stored.status.open_alarms == table.alarms
    assert table.told[-1:] == ([table.alarms] if table.told else [])
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing
