"""The operator, wired up: which task feeds which, and what happens when something is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from uuid import UUID

from reactorsync.bus.port import BrokerUnavailable, Bus, TopicMismatch
from reactorsync.resources import AnomalyScenario, Kind, Reactor
from reactorsync.service import Backoff, Readiness
from reactorsync.store import ResourceStore, StoreUnavailable
from reactorsync.wire.events import Event, ShardHeartbeat
from reactorsync_operator.capacity import Capacity
from reactorsync_operator.event_reader import EventReader
from reactorsync_operator.fleet import Fleet, WorkKey
from reactorsync_operator.leadership import MayWrite, always
from reactorsync_operator.metrics import (
    INCARNATIONS,
    LEADING,
    LEASE_TRANSITIONS,
    QUEUE_AGE,
    QUEUE_DEPTH,
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
from reactorsync_operator.watcher import ResourceFeed, StoreFeed, View, Views
from reactorsync_operator.work_queue import WorkQueue

log = logging.getLogger(__name__)

STORE: Final = "store"
BROKER: Final = "broker"
"""Names of the dependencies in ``/readyz``."""

QUEUE: Final = "queue"
"""Name in ``/healthz`` of objects that wait too long."""

LOOK_SECONDS: Final = 2.0
"""How often store and broker are asked whether they are there, and still the same."""

BEAT_SECONDS: Final = 0.5

PLAN_ALLOWANCE_SECONDS: Final = 0.02
"""What each object that waits for its plan adds to how long the oldest may wait: a whole fleet at
once takes its time, and a restart would make it take longer."""

BROKER_GRACE_SECONDS: Final = 10.0
"""How long planning waits at start for what the broker knows, before statuses say it is away."""


class _NewIncarnation(Exception):
    """The broker was replaced by one that has forgotten everything."""


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
    ) -> None:
        self._settings = settings
        self._store = store
        self._bus = bus
        self._readiness = readiness
        self._lease = lease
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
            recorder=self._recorder,
        )
        self.publisher = Publisher(
            bus, topics, namespaces=settings.served_namespaces, may_write=may_write
        )
        self._probes = ProbeRunner(
            bus,
            topics,
            sightings=_Sightings(lambda: self._reconciler.sightings),
            mark=self._mark_scenario,
            exists=lambda uid: self.fleet.scenario_named(uid) is not None,
            http_hosts=settings.probe_http_hosts,
            now_us=_now_us,
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
            take=self._take_event,
            since=self._reconciler.relevant_since,
            now_us=_now_us,
        )
        self._topics_keeper = TopicsKeeper(bus, topics, historian_group=topics.historian_group)
        views = _views(self.fleet, self._sweep)
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
        self._planning_since: float | None = None
        self._broker_is_away = False
        self._session_works = False

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
            _start(group, orderly, self._look_after_store())
            _start(group, orderly, self._beat())
            _start(group, orderly, self._work())
            await stopping.wait()

    async def _work(self) -> None:
        """Do all that only one process may do, once it is this one."""
        await self._leadership()
        self._readiness.expect(BROKER)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._writer.run())
            group.create_task(self._recorder.run())
            group.create_task(self._probes.run())
            group.create_task(self._serve_brokers())
            group.create_task(self._reconcile())
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
        await self._broker_read()
        self._planning_since = time.monotonic()
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

    async def _say_when_all_is_offered(self) -> None:
        await self._reconciler.first_pass()
        self.publisher.offered_all.set()

    def _sweep(self) -> None:
        """Look at everything again; while standing by, whoever leads does that."""
        if self._planning_since is not None:
            self._reconciler.sweep()

    def _mark_scenario(self, uid: UUID) -> None:
        name = self.fleet.scenario_named(uid)
        if name is not None:
            self._queue.add(WorkKey(Kind.ANOMALY_SCENARIO, name))

    def _take_event(self, event: Event, time_us: int) -> None:
        if isinstance(event, ShardHeartbeat):
            self._capacity.take(event)
        self._reconciler.take_event(event, time_us)

    async def _look_after_store(self) -> None:
        """Report whether the store is there; a watch may wait for long before it says so."""
        while True:
            try:
                await self._store.ping()
            except StoreUnavailable as error:
                self._readiness.fails(STORE, str(error))
            else:
                if self._feed.is_whole:
                    self._readiness.works(STORE)
            await asyncio.sleep(LOOK_SECONDS)

    async def _beat(self) -> None:
        """Say that this process is alive, and why it is not."""
        liveness, reported = self._readiness.liveness, set[str]()
        while True:
            liveness.beat()
            waited = self._longest_wait()
            QUEUE_DEPTH.set(len(self._queue))
            QUEUE_AGE.set(waited)
            problems = dict(self._feed.problems())
            allowed = self._settings.queue_limit_seconds + len(self._queue) * PLAN_ALLOWANCE_SECONDS
            if waited > allowed:
                problems[QUEUE] = f"an object has been waiting {waited:.0f} s for its plan"
            for name in reported - problems.keys():
                liveness.works(name)
            for name, problem in problems.items():
                liveness.fails(name, problem)
            reported = set(problems)
            await asyncio.sleep(BEAT_SECONDS)

    def _longest_wait(self) -> float:
        """Return for how long the oldest mark waits; what waited before planning began is not."""
        if self._planning_since is None:
            return 0.0
        return min(self._queue.oldest_seconds, time.monotonic() - self._planning_since)

    async def _serve_brokers(self) -> None:
        """Live with whatever broker is there, from one incarnation to the next."""
        await self._feed.whole()
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
            group.create_task(self._probes.session(cluster))
            await self._events.caught_up.wait()
            self._session_works = True
            self._readiness.works(BROKER)

    async def _look_after(self, cluster: str) -> None:
        """Ask until the broker is away or another one."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if await self._bus.cluster_id() != cluster:
                raise _NewIncarnation

    async def _keep_pool(self, pool: GeneratorPool) -> None:
        await self._feed.whole()
        settings = self._settings
        is_measured = settings.generator_workload is not None

        def needed() -> int:
            return generators_for(
                self.fleet.readings_per_second,
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


def _views(fleet: Fleet, swept: Callable[[], None]) -> Views:
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
    return Views(reactors, scenarios, swept)


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
