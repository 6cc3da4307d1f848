"""Membership of the consumer group: which shards are this process's, and what is wanted of them.

The safe rule of a rebalance. aiokafka's assignors are eager: every rebalance takes all shards from
everybody and deals them anew, which takes about a second. So

* on revocation every shard writes a checkpoint, and goes on as if nothing had happened;
* on assignment a shard that stays is not touched: no tick is missed, nothing is read again;
* a shard that has gone elsewhere is retired: frames alone, for ``handover_seconds``, while the new
  owner restores the checkpoint and simulates what has passed since;
* a member that does not learn the outcome within two session timeouts, or stood still for longer
  than one, publishes nothing until the group has confirmed it; when the group has dealt the shards
  anew meanwhile, it takes its shards over like any other.

So two members send the same ticks for the length of a rebalance and a hand-over, never longer. The
historian's primary key drops the second one; a tick that nobody sends would be gone for good.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final

from reactorsync.bus.port import BrokerUnavailable, Bus, Partition
from reactorsync.service import Backoff, pause
from reactorsync_generator.checkpointing import read_newest
from reactorsync_generator.health import BrokerHealth
from reactorsync_generator.inheritance import Inheritance, newest
from reactorsync_generator.metrics import REACTORS_ASSIGNED, REBALANCES, SHARDS_ASSIGNED
from reactorsync_generator.runner import ShardRunner, Surroundings

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.2
_POLL_RECORDS: Final = 500
"""At most so many at a time: they are decoded in the event loop, beside the ticks."""

_CONFIRM_SECONDS: Final = 0.2
_DRAIN_SECONDS: Final = 2.0
_SOURCE: Final = "group"

_NEW_BROKER_SECONDS: Final = 10.0
"""A broker that starts empty deals the shards more than once before all have come back to it."""


@dataclass(frozen=True, slots=True)
class _Leaving:
    runner: ShardRunner
    farewell: asyncio.Task[None]


class Membership:
    """This process's membership, and the runners of the shards that it has by it."""

    def __init__(self, bus: Bus, here: Surroundings, health: BrokerHealth) -> None:
        self._bus = bus
        self._here = here
        self._health = health
        self._consumer = bus.consumer(
            client_id=here.settings.generator_name, group=here.settings.group
        )
        self._runners: dict[int, ShardRunner] = {}
        self._leaving: dict[int, _Leaving] = {}
        self._clusters: dict[int, str] = {}
        self._reading: set[asyncio.Task[dict[int, Inheritance]]] = set()
        self._joined = False
        health.report(_SOURCE, "the shards have not been dealt yet")

    @property
    def runners(self) -> Collection[ShardRunner]:
        """Runners of the shards that the group has given to this process."""
        return self._runners.values()

    async def run(self, stopping: asyncio.Event) -> None:
        """Be a member until ``stopping``; then leave, and hand the shards over in order."""
        self._consumer.subscribe(
            topics=[self._here.topics.reactors],
            on_assigned=self._assigned,
            on_revoked=self._revoked,
        )
        await self._connect(stopping)
        confirming = self._here.spawn(self._confirm_when_doubted())
        backoff = Backoff(limit_seconds=1.0)
        while not stopping.is_set():
            try:
                await self._hear()
            except BrokerUnavailable as error:
                self._health.report(_SOURCE, str(error))
                await pause(backoff.next_pause(), stopping)
            else:
                backoff.reset()
                if self._joined:
                    self._health.report(_SOURCE, None)
        confirming.cancel()
        await self._leave()

    def tell_all(self) -> None:
        """Have every shard tell again what holds: events have been lost."""
        for runner in self._runners.values():
            runner.tell_all()

    async def report_to_new_broker(self) -> None:
        """Give a broker that has forgotten everything what this process knows."""
        self.tell_all()
        await asyncio.gather(*(runner.store_checkpoint() for runner in self._runners.values()))

    async def _connect(self, stopping: asyncio.Event) -> None:
        backoff = Backoff(limit_seconds=2.0)
        while not stopping.is_set():
            try:
                await self._consumer.start()
            except BrokerUnavailable as error:
                self._health.report(_SOURCE, str(error))
                await pause(backoff.next_pause(), stopping)
            else:
                return

    async def _hear(self) -> None:
        """Poll once and pass on what came."""
        for record in await self._consumer.poll(
            timeout_seconds=_POLL_SECONDS, max_records=_POLL_RECORDS
        ):
            runner = self._runners.get(record.partition.number)
            if runner is not None:
                runner.deliver(record)
        for runner in self._runners.values():
            if not runner.view.complete:
                runner.reach_end(self._consumer.high_watermark(self._partition(runner.number)))
        REACTORS_ASSIGNED.set(sum(runner.reactors for runner in self._runners.values()))
        if self._joined:
            self._health.report_views(
                complete=sum(runner.view.complete for runner in self._runners.values()),
                shards=len(self._runners),
            )

    # Rebalancing

    async def _revoked(self, partitions: Collection[Partition]) -> None:
        """A rebalance begins, or this process is leaving: make every shard ready to move."""
        del partitions
        self._joined = False
        self._here.lease.rebalancing()
        seconds = self._here.settings.kafka_session_timeout_ms / 2000
        storing = [
            asyncio.ensure_future(runner.store_checkpoint()) for runner in self._runners.values()
        ]
        if storing:
            _, unfinished = await asyncio.wait(storing, timeout=seconds)
            for task in unfinished:
                task.cancel()
            if unfinished:
                log.warning("%d checkpoints were not stored in time", len(unfinished))

    async def _assigned(self, partitions: Collection[Partition]) -> None:
        """A rebalance has ended: keep, begin, or hand over shards. May be called again."""
        cluster = await self._bus.cluster_id()
        if not await self._consumer.partitions_of(self._here.topics.reactors):
            log.warning("the broker has no %s yet: shards stay", self._here.topics.reactors)
            self._here.lease.confirm()
            return
        numbers = {partition.number for partition in partitions}
        doubtful = not self._here.lease.look()
        replaced: dict[int, Inheritance] = {}
        for number in sorted(self._runners.keys() - numbers):
            self._see_off(self._runners.pop(number), cluster)
        for number in sorted(numbers & self._leaving.keys()):
            self._take_back(self._leaving.pop(number))
        for number in sorted(numbers & self._runners.keys()):
            if doubtful and self._clusters.get(number) == cluster:
                replaced[number] = await self._replace(self._runners.pop(number))
        self._here.lease.confirm()
        self._begin(numbers - self._runners.keys(), cluster, replaced)
        for number in numbers:
            self._read_on(number, cluster)
        self._joined = True
        REBALANCES.inc()
        SHARDS_ASSIGNED.set(len(self._runners))
        log.info("shards %s of %d", sorted(self._runners), self._here.topics.shards)

    def _begin(self, numbers: Collection[int], cluster: str, own: dict[int, Inheritance]) -> None:
        if not numbers:
            return
        reading = asyncio.create_task(self._read_states(numbers))
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)
        for number in sorted(numbers):
            runner = ShardRunner(
                number, self._here, inherit=_inheriting(reading, number, own.get(number, {}))
            )
            self._runners[number] = runner
            self._clusters[number] = cluster
            runner.start()

    def _read_on(self, number: int, cluster: str) -> None:
        """Read a shard's desired state: on from where it was, or anew from a broker that is new."""
        runner = self._runners[number]
        if self._clusters.get(number) != cluster:
            self._clusters[number] = cluster
            runner.view.start_over()
        self._consumer.seek(self._partition(number), runner.view.next_offset)

    def _see_off(self, runner: ShardRunner, cluster: str) -> None:
        """The shard has another owner: go on for a while, then end."""
        runner.retire()
        seconds = self._here.settings.handover_after_rebalance_seconds if runner.ticking else 0.0
        if self._clusters.get(runner.number) != cluster:
            seconds = max(seconds, _NEW_BROKER_SECONDS)
        farewell = self._here.spawn(self._farewell(runner, seconds))
        self._leaving[runner.number] = _Leaving(runner, farewell)

    def _take_back(self, leaving: _Leaving) -> None:
        """The shard came back before it was gone; what was changed meanwhile is read again."""
        leaving.farewell.cancel()
        leaving.runner.reactivate()
        self._runners[leaving.runner.number] = leaving.runner
        self._clusters.pop(leaving.runner.number, None)

    async def _farewell(self, runner: ShardRunner, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._leaving.pop(runner.number, None)
        await runner.finish(drain_seconds=_DRAIN_SECONDS)

    async def _replace(self, runner: ShardRunner) -> Inheritance:
        """Others may have had this shard meanwhile: end its runner, keep what it knows."""
        await runner.halt()
        inheritance = await runner.inheritance()
        runner.retire()
        self._here.spawn(runner.finish(drain_seconds=_DRAIN_SECONDS))
        return inheritance

    async def _read_states(self, numbers: Collection[int]) -> dict[int, Inheritance]:
        backoff = Backoff(limit_seconds=2.0)
        while True:
            try:
                return await read_newest(
                    self._bus,
                    self._here.topics,
                    numbers,
                    now_us=self._here.clock.now_us(),
                    client_id=f"{self._here.settings.generator_name}-checkpoints",
                    shelf=self._here.shelf,
                )
            except BrokerUnavailable as error:
                log.warning("checkpoints cannot be read yet: %s", error)
                await asyncio.sleep(backoff.next_pause())

    # Doubt

    async def _confirm_when_doubted(self) -> None:
        """Ask the group whether this process is still a member, by committing what was read."""
        lease = self._here.lease
        while True:
            await lease.doubted()
            if self._joined:
                offsets = {
                    self._partition(runner.number): runner.view.next_offset
                    for runner in self._runners.values()
                }
                try:
                    await self._consumer.commit(offsets)
                except BrokerUnavailable as error:
                    log.info("membership is not confirmed: %s", str(error).partition("\n")[0])
                else:
                    if self._joined:
                        lease.confirm()
            await asyncio.sleep(_CONFIRM_SECONDS)

    # Leaving

    async def _leave(self) -> None:
        """Leave the group and make frames until the new owners do."""
        await self._consumer.stop()
        if self._here.lease.look():
            self._here.lease.confirm()  # what follows is bounded by the hand-over alone
        runners, self._runners = list(self._runners.values()), {}
        for runner in runners:
            runner.retire()
        if self._health.works and any(runner.ticking for runner in runners):
            await asyncio.sleep(self._here.settings.handover_after_leaving_seconds)
        for leaving in self._leaving.values():
            leaving.farewell.cancel()
            runners.append(leaving.runner)
        for reading in self._reading:
            reading.cancel()
        await asyncio.gather(*(runner.finish(drain_seconds=_DRAIN_SECONDS) for runner in runners))

    def _partition(self, number: int) -> Partition:
        return Partition(self._here.topics.reactors, number)


def _inheriting(
    reading: asyncio.Task[dict[int, Inheritance]], number: int, own: Inheritance
) -> Callable[[], Awaitable[Inheritance]]:
    async def inherit() -> Inheritance:
        stored = await asyncio.shield(reading)
        return newest([own, stored[number]])

    return inherit
