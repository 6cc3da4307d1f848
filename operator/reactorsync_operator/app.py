"""The operator, wired up: which task feeds which, and what happens when something is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from reactorsync import clock
from reactorsync.bus.events import EventReader
from reactorsync.bus.port import Bus
from reactorsync.resources import AnomalyScenario, Kind, Reactor
from reactorsync.service import Readiness
from reactorsync.store import ResourceStore
from reactorsync.wire.errors import UndecodableRecord
from reactorsync.wire.events import Event, ReactorEvent, ShardHeartbeat
from reactorsync_operator.broker_sessions import BROKER, BrokerSessions
from reactorsync_operator.capacity import Capacity
from reactorsync_operator.fleet import Fleet, WorkKey
from reactorsync_operator.leadership import MayWrite, always
from reactorsync_operator.metrics import (
    EVENTS,
    LEADING,
    LEASE_TRANSITIONS,
    UNDECODABLE_EVENTS,
)
from reactorsync_operator.pool import FilePool, GeneratorPool, generators_for, keep_pool
from reactorsync_operator.probes.port import Sightings
from reactorsync_operator.probes.runner import ProbeRunner
from reactorsync_operator.publisher import Publisher
from reactorsync_operator.reconcile.guards import Guards
from reactorsync_operator.reconcile.observed import AlarmReport, DiagnosisReport
from reactorsync_operator.reconciler import Reconciler
from reactorsync_operator.recorder import LogRecorder, Recorder
from reactorsync_operator.settings import OperatorSettings
from reactorsync_operator.status_writer import BATCH, StatusWriter
from reactorsync_operator.topics_keeper import TopicsKeeper
from reactorsync_operator.vitals import STORE, Vitals
from reactorsync_operator.watcher import ResourceFeed, StoreFeed, View, Views
from reactorsync_operator.work_queue import WorkQueue

log = logging.getLogger(__name__)


class Lease(Protocol):
    """The right to act alone."""

    @property
    def held(self) -> asyncio.Event:
        """Set while it is ours."""
        ...

    def is_held(self) -> bool:
        """Return whether it is ours at this moment."""
        ...

    async def run(self) -> None:
        """Try to get it, then keep it, until cancelled; raises when it was lost."""


FeedFactory = Callable[[Views], ResourceFeed]


class Operator:
    """Everything that runs; only the adapters differ between modes.

    ``feed`` makes what keeps the fleet up to date; without it ``store`` is watched. With a
    ``lease``, the fleet is followed from the start, but nothing is planned, published or written
    before the lease is held. ``writers`` statuses are written at once, ``batch`` in each write.
    What ``while_leading`` makes runs besides, while this process may write. ``leaves_alone`` is for
    :class:`Publisher`.
    """

    def __init__(
        self,
        settings: OperatorSettings,
        *,
        store: ResourceStore,
        bus: Bus,
        readiness: Readiness,
        feed: FeedFactory | None = None,
        lease: Lease | None = None,
        pool: Callable[[MayWrite], GeneratorPool] | None = None,
        recorder: Recorder | None = None,
        writers: int = 1,
        batch: int = BATCH,
        while_leading: Collection[Callable[[], Coroutine[Any, Any, None]]] = (),
        leaves_alone: Callable[[str], bool] = lambda _key: False,
    ) -> None:
        self._settings = settings
        self._store = store
        self._readiness = readiness
        self._lease = lease
        self._while_leading = while_leading
        may_write = lease.is_held if lease is not None else always
        readiness.expect(STORE)
        if lease is None:
            readiness.expect(BROKER)
        topics = settings.topics
        queue: WorkQueue[WorkKey] = WorkQueue(time.monotonic)
        self.fleet = Fleet(shards=settings.shards, mark=queue.add)
        self._queue = queue
        self._recorder = recorder or LogRecorder()
        self._writer = StatusWriter(
            store,
            self.fleet,
            replan=queue.add,
            interval_seconds=settings.status_interval_seconds,
            clock=time.monotonic,
            batch=batch,
            writers=writers,
            may_write=may_write,
            all_asked=lambda: self.publisher.complete.is_set(),  # noqa: PLW0108 - made below
            recorder=self._recorder,
        )
        self.publisher = Publisher(
            bus,
            topics,
            namespaces=settings.served_namespaces,
            may_write=may_write,
            leaves_alone=lambda key: leaves_alone(key) or self._is_there(key),
        )
        self._probes = ProbeRunner(
            bus,
            topics,
            sightings=_Sightings(lambda: self._reconciler.sightings),
            mark=self._mark_scenario,
            exists=lambda uid: self.fleet.scenario_named(uid) is not None,
            http_hosts=settings.probe_http_hosts,
            now_us=clock.now_us,
        )
        self._reconciler = Reconciler(
            self.fleet,
            queue,
            self.publisher,
            self._writer,
            clock=_utc_now,
            guards=Guards(
                environment=settings.environment,
                max_targets_percent=settings.guard_max_targets_percent,
                max_severe_runs=settings.guard_max_severe_runs,
            ),
            probes=self._probes,
        )
        self._capacity = Capacity(settings.generator_capacity, clock=time.monotonic)
        self._events = EventReader(
            bus,
            topics,
            client_id="reactorsync-operator-events",
            take=self._take_event,
            since=self._reconciler.relevant_since,
            undecodable=_count_undecodable,
        )
        self._brokers = BrokerSessions(
            bus,
            readiness,
            publisher=self.publisher,
            topics_keeper=TopicsKeeper(bus, topics, historian_group=topics.historian_group),
            events=self._events,
            probes=self._probes,
            delivery_problem=self._reconciler.set_delivery_problem,
            read_back=self._reconciler.recall,
        )
        views = _views(self.fleet, self._sweep, self.publisher.look_again)
        self._feed: ResourceFeed = (
            feed(views)
            if feed is not None
            else StoreFeed(store, views, sweep_seconds=settings.sweep_seconds)
        )
        self._pool: GeneratorPool | None = None
        if pool is not None:
            self._pool = pool(may_write)
        elif settings.generator_pool_file is not None:
            self._pool = FilePool(settings.generator_pool_file)
        self._vitals = Vitals(
            readiness,
            store=store,
            feed=self._feed,
            queue=queue,
            statuses=self._writer,
            queue_limit_seconds=settings.queue_limit_seconds,
        )

    @property
    def idle(self) -> bool:
        """Whether everything known has been planned, published and written."""
        return self._queue.idle and self.publisher.idle and self._writer.idle

    async def run(self, stopping: asyncio.Event) -> None:
        """Reconcile until ``stopping``. What is left undone then, the next start does.

        Raises:
            BaseExceptionGroup: holds ``LeadershipLost``, ``NotLeading`` or ``WatchEnded`` when the
                process has to start anew.
        """
        async with asyncio.TaskGroup() as group, AsyncExitStack() as orderly:
            # Ended in reverse order: the lease is given back when nothing can be written any more.
            if self._lease is not None:
                _start(group, orderly, self._lease.run())
            _start(group, orderly, self._feed.run())
            _start(group, orderly, self._vitals.run())
            _start(group, orderly, self._work())
            await stopping.wait()

    async def _work(self) -> None:
        """Do all that only one process may do, once it is this one."""
        await self._leadership()
        self._readiness.expect(BROKER)
        try:
            await self._lead()
        finally:
            if self._lease is not None:
                LEADING.set(0)
                LEASE_TRANSITIONS.labels("not_leading").inc()

    async def _lead(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._writer.run())
            group.create_task(self._recorder.run())
            group.create_task(self._probes.run())
            group.create_task(self._serve_brokers())
            group.create_task(self._reconcile())
            for chore in self._while_leading:
                group.create_task(chore())
            if self._pool is not None:
                group.create_task(self._keep_pool(self._pool))

    async def _leadership(self) -> None:
        if self._lease is None:
            return
        LEADING.set(0)
        log.info("standing by until the lease is free")
        await self._lease.held.wait()
        LEADING.set(1)
        LEASE_TRANSITIONS.labels("leading").inc()
        log.info("leading")

    async def _reconcile(self) -> None:
        """Plan, once everything is known that a plan depends on."""
        await self._feed.whole()
        await self._brokers.read()
        self._vitals.planning_began()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reconciler.run())
            group.create_task(self._reconciler.wake())
            group.create_task(self._say_when_all_is_offered())

    async def _say_when_all_is_offered(self) -> None:
        await self._reconciler.first_pass()
        self.publisher.offered_all.set()

    def _sweep(self) -> None:
        """Look at everything again; while standing by, whoever leads does that."""
        if self._vitals.plans:
            self._reconciler.sweep()
            self.publisher.look_again()

    def _mark_scenario(self, uid: UUID) -> None:
        name = self.fleet.scenario_named(uid)
        if name is not None:
            self._queue.add(WorkKey(Kind.ANOMALY_SCENARIO, name))

    def _take_event(self, event: Event, time_us: int) -> None:
        EVENTS.labels(event.type).inc()
        if isinstance(event, ShardHeartbeat):
            self._capacity.take(event)
        elif isinstance(event, ReactorEvent) and not self._is_served(event.namespace):
            # The topics may be shared with an operator of other namespaces.
            return
        self._reconciler.take_event(event, time_us)

    def _is_there(self, key: str) -> bool:
        """Return whether there is a reactor, which may have no plan, or nobody can tell."""
        return key in self.fleet.reactors or key.partition("/")[0] in self._feed.closed()

    def _is_served(self, namespace: str) -> bool:
        served = self._settings.served_namespaces
        return served is None or namespace in served

    async def _serve_brokers(self) -> None:
        await self._feed.whole()
        await self._brokers.run()

    async def _keep_pool(self, pool: GeneratorPool) -> None:
        await self._feed.whole()
        settings = self._settings
        is_measured = settings.generator_workload is not None

        def needed() -> int:
            return generators_for(
                # Generators make all that the topic asks for, whoever wrote it.
                self.fleet.reactors.readings_per_second
                + self.publisher.readings_per_second_elsewhere,
                capacity=self._capacity.readings_per_second
                if is_measured
                else settings.generator_capacity,
                shards=settings.shards,
                at_least=settings.generator_min_replicas,
                at_most=settings.generator_max_replicas,
            )

        await keep_pool(pool, needed, clock=time.monotonic)


@dataclass(frozen=True, slots=True)
class _Sightings:
    """The sightings of a reconciler that is made later: it needs the probes, and they need it."""

    made: Callable[[], Sightings]

    def alarms(self, reactor: UUID) -> Collection[AlarmReport]:
        return self.made().alarms(reactor)

    def diagnoses(self, reactor: UUID) -> Collection[DiagnosisReport]:
        return self.made().diagnoses(reactor)


def _start(
    group: asyncio.TaskGroup, orderly: AsyncExitStack, coroutine: Coroutine[Any, Any, None]
) -> None:
    """Start a task that is ended, and awaited, when its turn in ``orderly`` comes."""
    task = group.create_task(coroutine)

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    orderly.push_async_callback(end)


def _count_undecodable(error: UndecodableRecord) -> None:
    UNDECODABLE_EVENTS.labels(error.reason).inc()


def _views(fleet: Fleet, swept: Callable[[], None], cleared_up: Callable[[], None]) -> Views:
    reactors: View[Reactor] = View(
        names=lambda: set(fleet.reactors),
        get=fleet.reactors.get,
        put=fleet.put_reactor,
        remove=fleet.remove_reactor,
    )
    scenarios: View[AnomalyScenario] = View(
        names=fleet.scenario_names,
        get=fleet.scenario,
        put=fleet.put_scenario,
        remove=fleet.remove_scenario,
    )
    return Views(reactors, scenarios, swept, cleared_up)


def _utc_now() -> datetime:
    return datetime.now(UTC)
