"""The operator, wired up: which task feeds which, and what happens when something is away."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Final

from reactorsync.bus.port import BrokerUnavailable, Bus, TopicMismatch
from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.service import Backoff, Readiness
from reactorsync.store import ResourceStore, StoreUnavailable
from reactorsync_operator.event_reader import EventReader
from reactorsync_operator.fleet import Fleet, WorkKey
from reactorsync_operator.metrics import INCARNATIONS
from reactorsync_operator.pool import FilePool, generators_for, keep_pool
from reactorsync_operator.publisher import Publisher
from reactorsync_operator.reconciler import Reconciler
from reactorsync_operator.settings import OperatorSettings
from reactorsync_operator.status_writer import StatusWriter
from reactorsync_operator.topics_keeper import TopicsKeeper
from reactorsync_operator.watcher import View, Watcher
from reactorsync_operator.work_queue import WorkQueue

log = logging.getLogger(__name__)

STORE: Final = "store"
BROKER: Final = "broker"
"""Names of the dependencies in ``/readyz``."""

LOOK_SECONDS: Final = 2.0
"""How often store and broker are asked whether they are there, and still the same."""

BROKER_GRACE_SECONDS: Final = 10.0
"""How long planning waits at start for what the broker knows, before statuses say it is away."""


class _NewIncarnation(Exception):
    """The broker was replaced by one that has forgotten everything."""


class Operator:
    """Everything that runs; only the adapters behind ``store`` and ``bus`` differ between modes."""

    def __init__(
        self,
        settings: OperatorSettings,
        *,
        store: ResourceStore,
        bus: Bus,
        readiness: Readiness,
    ) -> None:
        self._settings = settings
        self._store = store
        self._bus = bus
        self._readiness = readiness
        readiness.expect(STORE, BROKER)
        topics = settings.topics
        queue: WorkQueue[WorkKey] = WorkQueue(time.monotonic)
        self.fleet = Fleet(shards=settings.shards, mark=queue.add)
        self._queue = queue
        self._writer = StatusWriter(
            store,
            self.fleet,
            replan=queue.add,
            interval_seconds=settings.status_interval_seconds,
            clock=time.monotonic,
        )
        self.publisher = Publisher(bus, topics)
        self._reconciler = Reconciler(
            self.fleet, queue, self.publisher, self._writer, clock=_utc_now
        )
        self._events = EventReader(
            bus,
            topics,
            take=self._reconciler.take_event,
            since=self._reconciler.relevant_since,
            now_us=_now_us,
        )
        self._topics_keeper = TopicsKeeper(bus, topics, historian_group=topics.historian_group)
        self._reactors = Watcher(
            store,
            Reactor,
            View(
                lambda: set(self.fleet.reactors), self.fleet.put_reactor, self.fleet.remove_reactor
            ),
            sweep_seconds=settings.sweep_seconds,
            swept=self._reconciler.sweep,
        )
        self._scenarios = Watcher(
            store,
            AnomalyScenario,
            View(self.fleet.scenario_names, self.fleet.put_scenario, self.fleet.remove_scenario),
            sweep_seconds=settings.sweep_seconds,
        )
        self._broker_is_away = False
        self._session_works = False

    @property
    def idle(self) -> bool:
        """Whether everything known has been planned, published and written."""
        return self._queue.idle and self.publisher.idle and self._writer.idle

    async def run(self, stopping: asyncio.Event) -> None:
        """Reconcile until ``stopping``. What is left undone then, the next start does."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._reactors.run()),
                group.create_task(self._scenarios.run()),
                group.create_task(self._writer.run()),
                group.create_task(self._look_after_store()),
                group.create_task(self._serve_brokers()),
                group.create_task(self._reconcile()),
            ]
            if self._settings.generator_pool_file is not None:
                pool = FilePool(self._settings.generator_pool_file)
                tasks.append(group.create_task(self._keep_pool(pool)))
            await stopping.wait()
            for task in tasks:
                task.cancel()

    async def _reconcile(self) -> None:
        """Plan, once everything is known that a plan depends on."""
        await self._fleet_listed()
        await self._broker_read()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reconciler.run())
            group.create_task(self._reconciler.wake())
            group.create_task(self._say_when_all_is_offered())

    async def _broker_read(self) -> None:
        """Wait for what the broker knows; if it is away, not for long."""
        began = time.monotonic()
        while not (self.publisher.read_back.is_set() and self._events.caught_up.is_set()):
            if self._broker_is_away and time.monotonic() - began > BROKER_GRACE_SECONDS:
                log.warning("the broker is away: planning without what it knows")
                return
            await asyncio.sleep(0.02)

    async def _fleet_listed(self) -> None:
        await self._reactors.whole()
        await self._scenarios.whole()

    async def _say_when_all_is_offered(self) -> None:
        await self._reconciler.first_pass()
        self.publisher.offered_all.set()

    async def _look_after_store(self) -> None:
        """Report whether the store is there; a watch may wait for long before it says so."""
        while True:
            try:
                await self._store.ping()
            except StoreUnavailable as error:
                self._readiness.fails(STORE, str(error))
            else:
                if self._reactors.is_whole and self._scenarios.is_whole:
                    self._readiness.works(STORE)
            await asyncio.sleep(LOOK_SECONDS)

    async def _serve_brokers(self) -> None:
        """Live with whatever broker is there, from one incarnation to the next."""
        await self._fleet_listed()
        backoff = Backoff()
        while True:
            self._session_works = False
            try:
                await self._serve_broker()
            except* _NewIncarnation:
                log.warning("the broker has forgotten everything: telling it all again")
                INCARNATIONS.inc()
            except* (BrokerUnavailable, TopicMismatch) as group:
                problem = str(_first(group))
                self._readiness.fails(BROKER, problem)
                if self._session_works:
                    # A connection that was lost may be had again at once.
                    backoff.reset()
                else:
                    self._broker_is_away = True
                    self._reconciler.set_delivery_problem(problem)
                await asyncio.sleep(backoff.next_pause())

    async def _serve_broker(self) -> None:
        cluster = await self._bus.cluster_id()
        await self._topics_keeper.keep()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.publisher.session())
            group.create_task(self._topics_keeper.session())
            group.create_task(self._look_after(cluster))
            await self.publisher.read_back.wait()
            self._broker_is_away = False
            self._reconciler.set_delivery_problem(None)
            self._reconciler.recall()
            group.create_task(self._events.session(cluster))
            await self._events.caught_up.wait()
            self._session_works = True
            self._readiness.works(BROKER)

    async def _look_after(self, cluster: str) -> None:
        """Ask until the broker is away or another one."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if await self._bus.cluster_id() != cluster:
                raise _NewIncarnation

    async def _keep_pool(self, pool: FilePool) -> None:
        await self._reactors.whole()
        settings = self._settings

        def needed() -> int:
            return generators_for(
                self.fleet.readings_per_second,
                capacity=settings.generator_capacity,
                shards=settings.shards,
            )

        await keep_pool(pool, needed, clock=time.monotonic)


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    """Return the first error in the group, which may hold groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _now_us() -> int:
    return time.time_ns() // 1000


def _utc_now() -> datetime:
    return datetime.now(UTC)
