"""The loop in the middle: an object was marked, so plan it and hand out what follows."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from reactorsync.planning.schedule import is_open
from reactorsync.resources import AnomalyScenario, Kind
from reactorsync.wire.events import Event
from reactorsync_operator.effects import DesiredStates, Statuses
from reactorsync_operator.fleet import Fleet, WorkKey
from reactorsync_operator.hearing import Hearing
from reactorsync_operator.metrics import (
    PLAN_ERRORS,
    PLAN_SECONDS,
    PLANS,
    QUEUE_DEPTH,
    RESOURCES,
    SILENT_SHARDS,
)
from reactorsync_operator.observations import Observations
from reactorsync_operator.pace import Pace
from reactorsync_operator.probe_orders import ProbeOrders
from reactorsync_operator.probes.port import Probes, Sightings
from reactorsync_operator.recall import has_verdict, recalled_report, relevant_since
from reactorsync_operator.reconcile.guards import NO_GUARDS, Guards
from reactorsync_operator.reconcile.observed import ObservedReactor, ObservedScenario, RunReport
from reactorsync_operator.reconcile.plan_failure import with_plan_failure
from reactorsync_operator.reconcile.reactor import plan_reactor
from reactorsync_operator.reconcile.scenario import plan_scenario
from reactorsync_operator.run_keys import present_run
from reactorsync_operator.wakeups import Wakeups
from reactorsync_operator.work_queue import WorkQueue

log = logging.getLogger(__name__)

STRANGER_LIMIT: Final = timedelta(seconds=30)
"""How long the watch may lag behind the events of a new reactor."""

TURN_SECONDS: Final = 0.005
"""How long plans are made before other tasks get their turn."""


@dataclass(frozen=True, slots=True)
class ShardKey:
    """A shard whose silence is to be noticed."""

    shard: int


@dataclass(frozen=True, slots=True)
class StrangerKey:
    """A reactor that events tell of and no watch; it may be new, or was deleted long ago."""

    uid: UUID


@dataclass(frozen=True, slots=True)
class LaterKey:
    """A large scenario that is to be planned again after a pause."""

    name: str


class Reconciler:
    """Plans what was marked. All state it needs beside the plans' inputs can be read again.

    ``clock`` returns the time in UTC.
    """

    def __init__(
        self,
        fleet: Fleet,
        queue: WorkQueue[WorkKey],
        desired: DesiredStates,
        statuses: Statuses,
        *,
        clock: Callable[[], datetime],
        guards: Guards = NO_GUARDS,
        probes: Probes | None = None,
    ) -> None:
        fleet.limit_growth(guards.max_targets_percent)
        self._guards = guards
        self._probes = ProbeOrders(probes)
        self._fleet = fleet
        self._queue = queue
        self._desired = desired
        self._statuses = statuses
        self._clock = clock
        self._observations = Observations()
        self._wakeups: Wakeups[WorkKey | ShardKey | LaterKey | StrangerKey] = Wakeups(clock)
        self._pace = Pace()
        self._hearing = Hearing()
        self._uids: dict[WorkKey, UUID] = {}
        self._failing: dict[WorkKey, str] = {}
        self._delivery_problem: str | None = None
        self._worked = 0

    @property
    def sightings(self) -> Sightings:
        """What events told of alarms and diagnoses, for whoever looks at probes."""
        return self._observations.sightings

    def take_event(self, event: Event, time_us: int) -> None:
        """Fold an event in and mark what it concerns."""
        touched = self._observations.take(event, time_us=time_us)
        if touched.reactor is not None:
            name = self._fleet.reactors.name_of(touched.reactor)
            self._mark_reactor(name)
            if name is None:
                self._wakeups.set(StrangerKey(touched.reactor), self._clock() + STRANGER_LIMIT)
        for scenario, _ in touched.runs:
            self._mark_scenario(self._fleet.scenario_named(scenario))
        if touched.shard is not None:
            self._look_at_shard(touched.shard)

    def set_delivery_problem(self, problem: str | None) -> None:
        """Say why desired state cannot be published now, ``None`` when it can."""
        if problem == self._delivery_problem:
            return
        self._delivery_problem = problem
        for scenario in self._fleet.scenarios():
            if is_open(scenario.status.run) or not has_verdict(scenario):
                self._queue.add(WorkKey.of(scenario))

    def recall(self) -> None:
        """Take over from the statuses what a predecessor had observed before its end."""
        for name, reactor in self._fleet.reactors.items():
            if reactor.metadata.uid is not None:
                report = recalled_report(reactor, self._desired.publication(name))
                self._observations.seed(reactor.metadata.uid, report)

    def relevant_since(self) -> datetime:
        """Return from when on events matter that are not yet folded into the statuses for good."""
        return relevant_since(self._fleet.scenarios(), self._clock())

    def sweep(self) -> None:
        """Forget what belongs to nothing any more, and look at everything again."""
        present = map(present_run, self._fleet.scenarios())
        runs = {run for run in present if run is not None}
        reactors = {
            reactor.metadata.uid
            for reactor in self._fleet.reactors.values()
            if reactor.metadata.uid is not None
        }
        self._observations.retain(runs=runs, reactors=reactors)
        self._fleet.mark_all()

    async def run(self) -> None:
        """Plan whatever is marked, until cancelled."""
        while True:
            await self._queue.wait()
            self._count()
            self.work(seconds=TURN_SECONDS)
            await asyncio.sleep(0)

    def work(self, *, seconds: float) -> None:
        """Plan what is marked, for about so long at most."""
        turn_ends = time.perf_counter() + seconds
        while time.perf_counter() < turn_ends and (key := self._queue.take()) is not None:
            self._work(key)

    async def first_pass(self) -> None:
        """Wait until everything that is marked now has been looked at once."""
        target = self._worked + len(self._queue)
        while self._worked < target:
            await asyncio.sleep(0.01)

    async def wake(self) -> None:
        """Mark what has to be looked at by the clock, until cancelled."""
        while True:
            self.mark_due()
            await self._wakeups.wait()

    def mark_due(self) -> None:
        """Mark what has to be looked at now."""
        for key in self._wakeups.due():
            match key:
                case ShardKey(shard):
                    self._look_at_shard(shard)
                case LaterKey(name):
                    self._mark_scenario(name)
                case StrangerKey(uid):
                    self._look_at_stranger(uid)
                case WorkKey():
                    self._queue.add(key)

    def _work(self, key: WorkKey) -> None:
        began = time.perf_counter()
        self._worked += 1
        try:
            if key.kind is Kind.REACTOR:
                self._plan_reactor(key)
            else:
                self._plan_scenario(key)
        except Exception as error:  # noqa: BLE001 - one must not keep the others from being planned
            self._queue.retry(key)
            PLAN_ERRORS.labels(key.kind).inc()
            self._tell_failure(key, error)
            return
        self._queue.done(key)
        if self._failing.pop(key, None) is not None:
            log.info("%s %s: planned again", key.kind, key.name)
        PLANS.labels(key.kind).inc()
        PLAN_SECONDS.labels(key.kind).observe(time.perf_counter() - began)

    def _tell_failure(self, key: WorkKey, error: Exception) -> None:
        """Say in log and status that an object cannot be planned, each once for each cause."""
        problem = f"{type(error).__name__}: {error}"
        if self._failing.get(key) != problem:
            self._failing[key] = problem
            log.error(
                "%s %s: no plan; trying again, ever less often", key.kind, key.name, exc_info=error
            )
        fleet = self._fleet
        is_reactor = key.kind is Kind.REACTOR
        resource = fleet.reactors.get(key.name) if is_reactor else fleet.scenario(key.name)
        if resource is None:
            return
        failed = with_plan_failure(resource, problem, self._clock())
        if failed.status == resource.status:
            self._statuses.withdraw(key)
        else:
            self._statuses.offer(failed)

    def _plan_reactor(self, key: WorkKey) -> None:
        reactor = self._fleet.reactors.get(key.name)
        if reactor is None or reactor.metadata.uid is None:
            self._desired.withdraw(key.name)
            self._forget(key)
            return
        self._know(key, reactor.metadata.uid)
        plan = plan_reactor(
            ObservedReactor(
                reactor=reactor,
                scenarios=self._fleet.acting_on(key.name),
                report=self._observations.report(reactor.metadata.uid),
                heartbeat_us=self._observations.heartbeat_us(self._fleet.reactors.shard(key.name)),
                offered=self._desired.offered(key.name),
                publication=self._desired.publication(key.name),
                delivery_problem=self._delivery_problem,
                nothing_heard=self._hearing.fell_with_all(self._fleet.reactors.shard(key.name)),
            ),
            self._clock(),
        )
        self._desired.offer(plan.desired)
        self._fleet.set_left_out(key.name, plan.left_out)
        self._wakeups.set(key, plan.next_wakeup)
        if plan.status == reactor.status:
            self._statuses.withdraw(key)
        else:
            self._statuses.offer(reactor.model_copy(update={"status": plan.status}))

    def _know(self, key: WorkKey, uid: UUID) -> None:
        """Note whose name this is; another reactor that had it before is gone."""
        before = self._uids.get(key)
        if before is not None and before != uid:
            self._observations.forget(before)
        self._uids[key] = uid

    def _plan_scenario(self, key: WorkKey) -> None:
        scenario = self._fleet.scenario(key.name)
        if scenario is None:
            self._forget(key)
            return
        selection = self._fleet.selection(key.name)
        now, targets = self._clock(), selection.chosen
        put_off = self._pace.put_off(key.name, scenario, targets=len(targets), now=now)
        if put_off is not None:
            self._wakeups.set(LaterKey(key.name), put_off)
            return
        plan = plan_scenario(
            ObservedScenario(
                scenario=scenario,
                selection=selection,
                conflicts=self._fleet.conflicts(key.name),
                report=self._run_report(scenario),
                probes=self._probes.outcomes(scenario),
                delivery_problem=self._delivery_problem,
            ),
            now,
            guards=self._guards,
            surroundings=self._fleet.surroundings(key.name),
        )
        self._pace.planned(key.name, scenario, now)
        self._fleet.note_plan(key.name, plan.status.run, is_refused=plan.is_refused)
        self._probes.order(key.name, scenario, plan.watched, targets)
        self._wakeups.set(key, plan.next_wakeup)
        if plan.delete:
            self._statuses.delete(scenario)
        if plan.status == scenario.status:
            self._statuses.withdraw(key)
        else:
            self._statuses.offer(
                scenario.model_copy(update={"status": plan.status}), urgent=plan.run_changed
            )

    def _forget(self, key: WorkKey) -> None:
        self._wakeups.set(key, None)
        self._statuses.forget(key)
        self._failing.pop(key, None)
        if key.kind is Kind.ANOMALY_SCENARIO:
            self._wakeups.set(LaterKey(key.name), None)
            self._pace.forget(key.name)
            self._probes.cancel(key.name)
        uid = self._uids.pop(key, None)
        if uid is not None:
            self._observations.forget(uid)

    def _run_report(self, scenario: AnomalyScenario) -> RunReport:
        run = present_run(scenario)
        return self._observations.run(run) if run is not None else RunReport()

    def _look_at_shard(self, shard: int) -> None:
        """Notice that a shard fell silent or is heard of again; that concerns all its reactors."""
        heartbeat_us = self._observations.heartbeat_us(shard)
        if heartbeat_us is None:
            return
        heard = self._hearing.look(shard, heartbeat_us=heartbeat_us, now=self._clock())
        if heard.silent_at is not None:
            self._wakeups.set(ShardKey(shard), heard.silent_at)
        for changed in (*((shard,) if heard.has_changed else ()), *heard.outlived):
            for name in self._fleet.reactors.on_shard(changed):
                self._mark_reactor(name)

    def _look_at_stranger(self, uid: UUID) -> None:
        """Forget a reactor that events tell of and that there is none: no fault acts on it."""
        if self._fleet.reactors.name_of(uid) is not None:
            return
        report = self._observations.report(uid)
        self._observations.forget(uid)
        for fault in report.faults if report is not None else ():
            scenario = fault.partition("/")[0]
            self._mark_scenario(self._fleet.scenario_named(UUID(scenario)))

    def _mark_scenario(self, name: str | None) -> None:
        if name is not None:
            self._queue.add(WorkKey(Kind.ANOMALY_SCENARIO, name))

    def _mark_reactor(self, name: str | None) -> None:
        if name is not None:
            self._queue.add(WorkKey(Kind.REACTOR, name))

    def _count(self) -> None:
        QUEUE_DEPTH.set(len(self._queue))
        RESOURCES.labels(Kind.REACTOR).set(len(self._fleet.reactors))
        RESOURCES.labels(Kind.ANOMALY_SCENARIO).set(self._fleet.scenario_count)
        SILENT_SHARDS.set(self._fleet.reactors.shard_count - self._hearing.count)
