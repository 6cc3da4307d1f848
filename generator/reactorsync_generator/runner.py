"""The life of one shard in this process: take-over, ticks, hand-over.

A runner is *active* while the group says that the shard is this process's. When the group gives it
away, the runner is *retired*: it goes on making frames, and nothing else, until the new owner has
had time to take over. A (reactor, tick) that both send is stored once; one that nobody sends is
lost for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from reactorsync.bus.port import Producer, Record
from reactorsync.wire.errors import UndecodableRecord
from reactorsync.wire.topics import Topics
from reactorsync_generator.checkpointing import CheckpointPace, CheckpointWriter
from reactorsync_generator.clock import Clock
from reactorsync_generator.desired_view import DesiredView
from reactorsync_generator.inbox import Inbox
from reactorsync_generator.inheritance import Inheritance
from reactorsync_generator.lease import Lease
from reactorsync_generator.metrics import (
    CATCH_UP_SECONDS,
    DESIRED_REJECTED,
    TICK_DURATION,
    TICK_OVERRUNS,
    TICKS,
)
from reactorsync_generator.orders import require_simulable
from reactorsync_generator.outbox import EventOutbox
from reactorsync_generator.production import Identity, Production, Turn
from reactorsync_generator.publisher import GONE_ELSEWHERE, FrameLane
from reactorsync_generator.settings import GeneratorSettings
from reactorsync_generator.shelf import CheckpointShelf
from reactorsync_generator.ticking import Due, boundary_after, boundary_before

log = logging.getLogger(__name__)

T = TypeVar("T")

_CHANGES_AT_ONCE: Final = 250
_CATCH_UP_SLICE_US: Final = 2_000_000
"""A take-over goes in small steps: the ticks of other shards want the worker threads too."""

_FAR_US: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the runners of one process share.

    ``sequences`` number the frames of each shard; ``threads`` simulate; ``spawn`` starts a task
    whose failure ends the process; ``on_broker`` hears of every success (``None``) and every
    problem with sending frames.
    """

    settings: GeneratorSettings
    topics: Topics
    clock: Clock
    identity: Identity
    sequences: Mapping[int, Iterator[int]]
    threads: Executor
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    lease: Lease
    frames: Producer
    outbox: EventOutbox
    checkpoints: CheckpointWriter
    shelf: CheckpointShelf | None
    pace: CheckpointPace
    on_broker: Callable[[str | None], None]


class ShardRunner:
    """Runs one shard; ``inherit`` reads what its former owner left."""

    def __init__(
        self,
        number: int,
        here: Surroundings,
        *,
        inherit: Callable[[], Awaitable[Inheritance]],
    ) -> None:
        settings = here.settings
        self.number = number
        self.view = DesiredView(check=require_simulable)
        self._here = here
        self._inherit = inherit
        self._production = Production(
            number,
            here.identity,
            topics=here.topics,
            epoch_us=here.clock.now_us(),
            sequence=here.sequences[number],
            catch_up_us=settings.catch_up_us,
        )
        self._lane = FrameLane(
            here.frames,
            here.lease,
            capacity=settings.max_frames_waiting,
            on_health=here.on_broker,
        )
        self._inbox = Inbox()
        self._complete = asyncio.Event()
        self._wake = asyncio.Event()
        self._in_use = asyncio.Lock()
        self._active = True
        self._ticking = False
        self._tell_all = False
        self._last_us = 0
        self._next_heartbeat_us = 0
        self._next_checkpoint_us = 0
        self._storing: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ticking(self) -> bool:
        """Whether the take-over is done and frames are made."""
        return self._ticking

    @property
    def reactors(self) -> int:
        """How many reactors the shard has."""
        return self._production.reactors

    # Desired state

    def deliver(self, record: Record) -> None:
        """Take in a record of this shard's desired-state partition."""
        try:
            change = self.view.read(record)
        except UndecodableRecord as error:
            log.error("%s offset %d: %s", record.partition, record.offset, error)
            DESIRED_REJECTED.labels(error.reason).inc()
            return
        if change is not None:
            self._inbox.put([change], self._here.clock.now_us())
            self._wake.set()

    def reach_end(self, high_watermark: int | None) -> None:
        """Hear where the partition ends; what has been read may be complete by it."""
        if self.view.complete:
            return
        changes = self.view.reach_end(high_watermark)
        if self.view.complete:
            self._inbox.put(changes, self._here.clock.now_us())
            self._complete.set()
            self._wake.set()

    def tell_all(self) -> None:
        """Say again everything current: the broker may have forgotten it."""
        self._tell_all = True
        self._wake.set()

    # Beginning and end

    def start(self) -> None:
        """Begin with the take-over."""
        self._tasks = [self._here.spawn(self._run()), self._here.spawn(self._lane.run())]

    def retire(self) -> None:
        """The group has given the shard away: from now on frames alone."""
        self._active = False

    def reactivate(self) -> None:
        """The group has given the shard back before this runner was done with it."""
        self._active = True
        self.tell_all()

    async def halt(self) -> None:
        """Stop the clock of the plants; what was made is still sent."""
        await _cancel(self._tasks[0])

    async def finish(self, *, drain_seconds: float) -> None:
        """End; frames that wait are sent for at most ``drain_seconds`` more."""
        ticks, lane = self._tasks
        await _cancel(ticks)
        if self._storing is not None:
            await _cancel(self._storing)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_seconds):
                await self._lane.drained()
        self._lane.discard(GONE_ELSEWHERE)
        await _cancel(lane)
        self._here.pace.released(self.number)

    async def inheritance(self) -> Inheritance:
        """Return the states of the plants as they are."""
        async with self._in_use:
            return await self._in_thread(self._production.inheritance, self._here.clock.now_us())

    async def store_checkpoint(self) -> None:
        """Write a checkpoint of the plants as they are, if there are any yet."""
        if not self._ticking:
            return
        now_us = self._here.clock.now_us()
        async with self._in_use:
            checkpoint, value = await self._in_thread(self._production.checkpoint, now_us)
        self._here.pace.wrote(self.number, len(value))
        await self._here.checkpoints.write(checkpoint, value, time_us=now_us)

    # The loop

    async def _run(self) -> None:
        await self._take_over()
        while True:
            await self._sleep_until(self._next_wake_us())
            await self._here.lease.held()
            now_us = self._here.clock.now_us()
            await self._turn(now_us)
            if self._active:
                self._report(now_us)

    async def _take_over(self) -> None:
        """Begin with the complete desired state and what a former owner left."""
        await self._complete.wait()
        inheritance = await self._inherit()
        production, clock = self._production, self._here.clock
        begin_us = boundary_after(clock.now_us())
        changes, _ = self._inbox.take(_FAR_US)
        production.inherit(inheritance)
        for first in range(0, len(changes), _CHANGES_AT_ONCE):
            turn = Turn(changes[first : first + _CHANGES_AT_ONCE], begin_us)
            made = await self._in_thread(production.turn, turn)
            self._here.outbox.post(made.events, time_us=clock.now_us())
        production.inherit({})
        self._last_us = max(begin_us, await self._catch_up())
        self._next_heartbeat_us = self._next_checkpoint_us = self._last_us
        self._ticking = True
        log.info(
            "shard %d: taken over with %d reactors, %d states found",
            self.number,
            self.reactors,
            len(inheritance),
        )

    async def _catch_up(self) -> int:
        """Simulate in silence up to the present; return how far that was."""
        reached_us = self._production.oldest_us(boundary_before(self._here.clock.now_us()))
        while (present_us := boundary_before(self._here.clock.now_us())) > reached_us:
            to_us = min(present_us, reached_us + _CATCH_UP_SLICE_US)
            await self._in_thread(self._production.catch_up, to_us)
            CATCH_UP_SECONDS.inc((to_us - reached_us) / 1e6)
            reached_us = to_us
        return reached_us

    async def _turn(self, now_us: int) -> None:
        production = self._production
        due = production.cadence.due(last_us=self._last_us, now_us=now_us)
        changes, boundary_us = self._inbox.take(now_us) if self._active else ([], now_us)
        ticks_us = () if due is None else due.ticks_us
        turn = Turn(changes, boundary_us, ticks_us, tell_all=self._active and self._tell_all)
        if not (due or changes or turn.tell_all):
            return
        self._tell_all = self._tell_all and not turn.tell_all
        async with self._in_use:
            with TICK_DURATION.time():
                made = await self._in_thread(production.turn, turn)
        for frame in made.frames:
            self._lane.offer(frame)
        if self._active:
            self._here.outbox.post(made.events, time_us=now_us)
        if changes:
            # What the changes made due before they were valid was never due.
            self._last_us = max(self._last_us, boundary_us - 1)
        if due is not None:
            self._last_us = max(self._last_us, due.ticks_us[-1])
            self._count(due)

    def _count(self, due: Due) -> None:
        TICKS.inc(len(due.ticks_us))
        late = due.late(self._here.clock.now_us())
        if late:
            TICK_OVERRUNS.inc(late)
            self._production.count_late(late)

    def _report(self, now_us: int) -> None:
        settings = self._here.settings
        if now_us >= self._next_heartbeat_us:
            self._next_heartbeat_us = now_us + int(settings.heartbeat_seconds * 1e6)
            sampled = self._production.cadence.intervals_us
            tick_us = boundary_before(self._last_us if sampled else now_us)
            beat = self._production.heartbeat(
                now_us, tick_us=tick_us, processor_us=time.process_time_ns() // 1000
            )
            self._here.outbox.post([beat], time_us=now_us)
        if now_us >= self._next_checkpoint_us and (self._storing is None or self._storing.done()):
            self._next_checkpoint_us = self._here.pace.next_us(self.number, now_us)
            self._storing = self._here.spawn(self.store_checkpoint())

    def _next_wake_us(self) -> int:
        times = [self._production.cadence.next_due(self._last_us)]
        if self._active:
            times += [self._next_heartbeat_us, self._next_checkpoint_us]
            if self._tell_all or self._inbox.waits:
                return 0
        return min((time_us for time_us in times if time_us is not None), default=_FAR_US)

    async def _sleep_until(self, time_us: int) -> None:
        """Sleep, until then or until something comes in."""
        self._wake.clear()
        sleeping = asyncio.ensure_future(self._here.clock.sleep_until(time_us))
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        """Run in a worker thread; when cancelled, not before the thread is done with the plants."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._here.threads, function, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
