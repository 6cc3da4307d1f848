"""The generator process: ``reactorsync-generator``."""

from __future__ import annotations

import asyncio
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Final

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import BrokerUnavailable, Bus, Producer
from reactorsync.service import Backoff, Readiness, load_settings, pause, run_part
from reactorsync_generator.broker_watch import BrokerWatch
from reactorsync_generator.checkpointing import CheckpointPace, CheckpointWriter
from reactorsync_generator.clock import Clock, SystemClock
from reactorsync_generator.health import BrokerHealth
from reactorsync_generator.lease import Lease
from reactorsync_generator.membership import Membership
from reactorsync_generator.outbox import EventOutbox
from reactorsync_generator.production import Identity
from reactorsync_generator.runner import Surroundings
from reactorsync_generator.settings import GeneratorSettings
from reactorsync_generator.shard import warm_up
from reactorsync_generator.shelf import CheckpointShelf

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 2.0
_BEAT_SECONDS: Final = 0.25
_DRAIN_SECONDS: Final = 2.0


class Generator:
    """One generator process, wired up; :meth:`run` is its life."""

    def __init__(
        self, settings: GeneratorSettings, bus: Bus, readiness: Readiness, *, clock: Clock
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._clock = clock
        self._health = BrokerHealth(readiness)
        self._lease = Lease(clock, session_timeout_us=settings.session_timeout_us)
        name = settings.generator_name
        # Two connections: a tick's frames do not queue behind checkpoints and bursts of events.
        self._frames = bus.producer(client_id=f"{name}-frames")
        self._reports = bus.producer(client_id=f"{name}-reports")

    async def run(self, stopping: asyncio.Event) -> None:
        """Simulate whatever shards the group deals out, until ``stopping``."""
        with ThreadPoolExecutor(self._settings.simulation_threads, "simulation") as threads:
            await asyncio.get_running_loop().run_in_executor(threads, warm_up)
            try:
                async with asyncio.TaskGroup() as tasks:
                    await self._work(stopping, self._surroundings(threads, tasks))
            finally:
                await asyncio.gather(self._frames.stop(), self._reports.stop())
                await self._bus.close()

    async def _work(self, stopping: asyncio.Event, here: Surroundings) -> None:
        membership = Membership(self._bus, here, self._health)
        here.outbox.on_overflow = membership.tell_all
        watch = BrokerWatch(
            self._bus,
            here.topics,
            self._clock,
            self._health,
            on_new_broker=membership.report_to_new_broker,
        )
        if not await self._reach_broker(watch, stopping):
            return
        self._lease.confirm()  # it has not been looked at since the start
        background = [
            here.spawn(here.outbox.run()),
            here.spawn(self._beat()),
            here.spawn(_keep_looking(watch)),
        ]
        await membership.run(stopping)
        await _drained(here.outbox)
        for task in background:
            task.cancel()

    def _surroundings(self, threads: ThreadPoolExecutor, tasks: asyncio.TaskGroup) -> Surroundings:
        settings = self._settings
        name = settings.generator_name
        folder = settings.checkpoint_folder
        shelf = CheckpointShelf(folder) if folder is not None else None
        outbox = EventOutbox(
            self._reports,
            self._lease,
            topics=settings.topics,
            now_us=self._clock.now_us,
            source=name,
            capacity=settings.max_events_waiting,
        )
        return Surroundings(
            settings=settings,
            topics=settings.topics,
            clock=self._clock,
            identity=Identity(generator=name, run=uuid.uuid4().hex),
            sequences={shard: count() for shard in range(settings.shards)},
            threads=threads,
            spawn=tasks.create_task,
            lease=self._lease,
            frames=self._frames,
            outbox=outbox,
            checkpoints=CheckpointWriter(
                self._reports, self._lease, topics=settings.topics, source=name, shelf=shelf
            ),
            shelf=shelf,
            pace=CheckpointPace(
                shards=settings.shards,
                interval_us=int(settings.checkpoint_seconds * 1e6),
                longest_us=settings.catch_up_us // 2,
                bytes_per_second=settings.checkpoint_bytes_per_second,
            ),
            on_broker=lambda problem: self._health.report("telemetry", problem),
        )

    async def _reach_broker(self, watch: BrokerWatch, stopping: asyncio.Event) -> bool:
        """Connect and make sure of the topics; return whether to go on."""
        backoff = Backoff(limit_seconds=2.0)
        while not stopping.is_set():
            if await watch.look() and await self._started(self._frames, self._reports):
                return True
            await pause(backoff.next_pause(), stopping)
        return False

    async def _started(self, *producers: Producer) -> bool:
        try:
            for producer in producers:
                await producer.start()
        except BrokerUnavailable as error:
            self._health.report("producer", str(error))
            return False
        self._health.report("producer", None)
        return True

    async def _beat(self) -> None:
        """Look at the lease often, so that only a real standstill looks like one."""
        while True:
            self._lease.look()
            await asyncio.sleep(_BEAT_SECONDS)


async def _keep_looking(watch: BrokerWatch) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        await watch.look()


async def _drained(outbox: EventOutbox) -> None:
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            await outbox.drained()
    except TimeoutError:
        log.warning("the broker did not take the last events in time")


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = load_settings(GeneratorSettings)

    async def part(stopping: asyncio.Event, readiness: Readiness) -> None:
        bus = KafkaBus(
            settings.kafka_bootstrap, session_timeout_ms=settings.kafka_session_timeout_ms
        )
        await Generator(settings, bus, readiness, clock=SystemClock()).run(stopping)

    run_part(part, settings)


if __name__ == "__main__":
    main()
