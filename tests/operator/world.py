"""The reconciler over a store, a broker and plants that are plain memory, with a clock that obeys.

Everything of the operator that plans is real; only what would be slow or by chance is not.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from reactorsync.planning.targets import Candidate
from reactorsync.resources import (
    AnomalyScenario,
    AnomalyScenarioSpec,
    AnomalyScenarioStatus,
    Condition,
    Kind,
    Reactor,
    ReactorSpec,
    condition_of,
)
from reactorsync.resources.scenario_status import Run
from reactorsync.store.rules import check_update
from reactorsync.wire.desired import DesiredFault, DesiredReactor
from reactorsync.wire.envelope import to_micros
from reactorsync.wire.events import (
    Event,
    FaultInjected,
    FaultRecovered,
    ReactorApplied,
    ReactorObserved,
    ShardHeartbeat,
)
from reactorsync.wire.keys import reactor_key, shard_of
from reactorsync_operator.fleet import Fleet, WorkKey
from reactorsync_operator.reconcile.conditions import (
    READY,
    RECONCILING,
    STALLED,
    ConditionList,
    false,
    true,
)
from reactorsync_operator.reconcile.guards import NO_GUARDS, Guards
from reactorsync_operator.reconcile.observed import ProbeOutcome, Publication
from reactorsync_operator.reconcile.reasons import ScenarioReason
from reactorsync_operator.reconciler import STRANGER_LIMIT, Reconciler
from reactorsync_operator.work_queue import WorkQueue
from tests.core.planning.build import NOON, reactor, scenario, uid_of

SHARDS = 2


@dataclass
class Topic:
    """The desired-state topic: the last value of each key, and how often anything was sent."""

    held: dict[str, DesiredReactor] = field(default_factory=dict)
    since: dict[str, datetime] = field(default_factory=dict)
    sent: int = 0
    now: datetime = NOON

    def offer(self, desired: DesiredReactor) -> None:
        if self.held.get(desired.key) != desired:
            self.held[desired.key] = desired
            self.since[desired.key] = self.now
            self.sent += 1

    def withdraw(self, key: str) -> None:
        self.held.pop(key, None)

    def offered(self, key: str) -> Publication | None:
        held = self.held.get(key)
        if held is None:
            return None
        return Publication(held.revision, to_micros(self.since[key]))

    def publication(self, key: str) -> Publication | None:
        held = self.held.get(key)
        return Publication(held.revision, to_micros(self.now)) if held is not None else None


@dataclass
class Pending:
    """Statuses that are to be written."""

    offered: dict[WorkKey, Reactor | AnomalyScenario] = field(default_factory=dict)
    deleted: list[AnomalyScenario] = field(default_factory=list)

    def offer(self, resource: Reactor | AnomalyScenario, *, urgent: bool = False) -> None:
        self.offered[_key(resource)] = resource

    def withdraw(self, key: WorkKey) -> None:
        self.offered.pop(key, None)

    def forget(self, key: WorkKey) -> None:
        self.offered.pop(key, None)

    def delete(self, resource: AnomalyScenario) -> None:
        self.deleted.append(resource)


@dataclass
class Watchers:
    """What those who look at probes have seen, and whose probes they were asked to look at."""

    seen: dict[tuple[UUID, int], dict[str, ProbeOutcome]] = field(default_factory=dict)
    wanted: dict[UUID, tuple[Run, Collection[Candidate]]] = field(default_factory=dict)

    def want(
        self, scenario: AnomalyScenario, run: Run | None, targets: Collection[Candidate]
    ) -> None:
        assert scenario.metadata.uid is not None
        if run is None:
            self.wanted.pop(scenario.metadata.uid, None)
        else:
            self.wanted[scenario.metadata.uid] = (run, targets)

    def outcomes(self, uid: UUID, run: int) -> Mapping[str, ProbeOutcome]:
        return dict(self.seen.get((uid, run), {}))


@dataclass(frozen=True)
class Deletion:
    """What a watch tells of an object that was deleted."""

    name: str
    uid: UUID | None
    version: str

    def tell(self, remove: Callable[..., None]) -> None:
        remove(self.name, uid=self.uid, version=self.version)


@dataclass(frozen=True)
class Running:
    """The parts of one operator."""

    statuses: Pending
    queue: WorkQueue[WorkKey]
    fleet: Fleet
    reconciler: Reconciler


class World:
    """A fleet and its scenarios. Times are seconds after noon."""

    def __init__(self, *, guards: Guards = NO_GUARDS) -> None:
        self.now = NOON
        self.guards = guards
        self.watchers = Watchers()
        self.reactors: dict[str, Reactor] = {}
        self.scenarios: dict[str, AnomalyScenario] = {}
        self.topic = Topic()
        self.log: list[tuple[Event, int]] = []
        self.writes = 0
        self._is_closed = False
        self._version = 0
        self._births = 0
        self._acting: dict[tuple[str, str], tuple[DesiredReactor, DesiredFault]] = {}
        self.start_operator()

    # The operator

    def start_operator(self, *, replay: Iterable[tuple[Event, int]] | None = None) -> None:
        """Start an operator that knows only what store, topic and event log hold."""
        self.known = list(self.log if replay is None else replay)
        self.told: list[Callable[[], None]] = []
        self._operator = self._operator_over(self.topic)
        self.statuses, self.fleet = self._operator.statuses, self._operator.fleet
        self.reconciler, self._queue = self._operator.reconciler, self._operator.queue

    def _operator_over(self, topic: Topic) -> Running:
        statuses, queue = Pending(), WorkQueue[WorkKey](lambda: 0.0)
        fleet = Fleet(shards=SHARDS, mark=queue.add)
        reconciler = Reconciler(
            fleet,
            queue,
            topic,
            statuses,
            clock=lambda: self.now,
            guards=self.guards,
            probes=self.watchers,
        )
        for one in self.reactors.values():
            fleet.put_reactor(one)
        for other in self.scenarios.values():
            fleet.put_scenario(other)
        reconciler.recall()
        for event, time_us in self.known:
            reconciler.take_event(event, time_us)
        return Running(statuses, queue, fleet, reconciler)

    def left_for_another(self) -> list[str]:
        """What an operator would do that sees only what is stored, published and logged now."""
        topic = Topic(dict(self.topic.held), dict(self.topic.since), now=self.now)
        now = self.now
        # Long enough ago for it to know by now which reactors are no more.
        self.now = now - STRANGER_LIMIT
        other = self._operator_over(topic)
        self.now = now
        other.reconciler.mark_due()
        other.reconciler.work(seconds=60.0)
        found = [f"write {key.name}: {one}" for key, one in other.statuses.offered.items()]
        found += [f"delete {one.metadata.name}" for one in other.statuses.deleted]
        if topic.held != self.topic.held:
            found.append("publish")
        return found

    def settle(self) -> None:
        """Let the operator work until there is nothing more to do at this moment."""
        self.reconciler.mark_due()
        for _ in range(50):
            self.reconciler.work(seconds=60.0)
            assert not self._queue, "a plan failed; see the log"
            if self._is_closed or not (self.statuses.offered or self.statuses.deleted):
                return
            self._write()
            self._delete()
        raise AssertionError("the operator does not come to rest")

    def attempt(self) -> None:
        """Let the operator plan once what it can, write what came of it, and try no plan again."""
        self.reconciler.mark_due()
        self.reconciler.work(seconds=60.0)
        self._queue._delayed.clear()
        self._queue._heap.clear()
        self._write()

    def _write(self) -> None:
        offered, self.statuses.offered = self.statuses.offered, {}
        for resource in offered.values():
            if isinstance(resource, Reactor):
                known = self.reactors.get(resource.metadata.name)
            else:
                known = self.scenarios.get(resource.metadata.name)  # type: ignore[assignment]
            if known is None or known.metadata.uid != resource.metadata.uid:
                continue
            if known.metadata.resource_version != resource.metadata.resource_version:
                continue
            self.writes += 1
            self._store(resource, own_write=True)

    def _delete(self) -> None:
        expired, self.statuses.deleted = self.statuses.deleted, []
        for one in expired:
            known = self.scenarios.get(one.metadata.name)
            if known is None or known.metadata.uid != one.metadata.uid:
                continue
            if known.metadata.resource_version == one.metadata.resource_version:
                self.delete(one.metadata.name)
            else:
                self._queue.add(_key(known))

    # The API server

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Let the operator neither be told nor write anything; then it gets a list."""
        self._is_closed = True
        yield
        self._is_closed = False
        for one in self.reactors.values():
            self.fleet.put_reactor(one)
        for other in self.scenarios.values():
            self.fleet.put_scenario(other)
        for name in set(self.fleet.reactors) - {f"default/{name}" for name in self.reactors}:
            self.fleet.remove_reactor(name)
        for name in self.fleet.scenario_names() - {f"default/{name}" for name in self.scenarios}:
            self.fleet.remove_scenario(name)

    def upgrade(self, name: str = "leak-drill", **spec: Any) -> None:
        """Change a scenario into what the operator cannot read; it says so, and a newer one starts.

        Raises as :meth:`apply`.
        """
        self.apply(name, **spec)
        stored = self.scenarios[name]
        generation, before = stored.metadata.generation, stored.status.conditions
        conditions = ConditionList(before, generation, self.now)
        conditions.set(READY, false(ScenarioReason.INVALID_SPEC, "is unheard of"))
        conditions.set(STALLED, true(ScenarioReason.INVALID_SPEC, "is unheard of"))
        ready, stalled = conditions.build()
        others = [one for one in before if one.type not in (READY, STALLED, RECONCILING)]
        update = {"observed_generation": generation, "conditions": [ready, *others, stalled]}
        self._store(stored.model_copy(update={"status": stored.status.model_copy(update=update)}))
        self.start_operator(replay=self.known)

    # The user

    def add_reactor(self, name: str, *, labels: dict[str, str] | None = None, **spec: Any) -> None:
        self._births += 1
        born = reactor(name, labels=labels, created=self.now, **spec)
        metadata = born.metadata.model_copy(update={"uid": uid_of(f"{name}/{self._births}")})
        self._store(born.model_copy(update={"metadata": metadata}))

    def change_reactor(self, name: str, **spec: Any) -> None:
        stored = self.reactors[name]
        wanted = ReactorSpec.model_validate({**stored.spec.to_json(), **spec})
        self._store(_edited(stored, wanted))

    def label(self, name: str, labels: dict[str, str]) -> None:
        stored = self.reactors[name]
        metadata = stored.metadata.model_copy(update={"labels": labels})
        self._store(stored.model_copy(update={"metadata": metadata}))

    def remove_reactor(self, name: str) -> None:
        gone = self.reactors.pop(name)
        self._version += 1
        deletion = Deletion(f"default/{name}", gone.metadata.uid, str(self._version))
        self._tell(partial(deletion.tell, self.fleet.remove_reactor))

    def apply(self, name: str = "leak-drill", **spec: Any) -> None:
        """Create a scenario, or change the fields given of the one there is.

        Raises Invalid when the store would refuse that.
        """
        stored = self.scenarios.get(name)
        if stored is None:
            self._births += 1
            made = scenario(name, created=self.now, **spec)
            metadata = made.metadata.model_copy(update={"uid": uid_of(f"{name}/{self._births}")})
            self._store(made.model_copy(update={"metadata": metadata}))
        else:
            fields = {**stored.spec.to_json(), **spec}
            wanted = {key: value for key, value in fields.items() if value is not None}
            changed = _edited(stored, AnomalyScenarioSpec.model_validate(wanted))
            check_update(stored, changed)
            self._store(changed)

    def delete(self, name: str = "leak-drill") -> None:
        gone = self.scenarios.pop(name)
        self._version += 1
        deletion = Deletion(f"default/{name}", gone.metadata.uid, str(self._version))
        self._tell(partial(deletion.tell, self.fleet.remove_scenario))

    def terminate_reactor(self, name: str) -> None:
        """Delete a reactor that somebody's finalizer keeps."""
        self._store(_terminating(self.reactors[name], self.now))

    def terminate_scenario(self, name: str) -> None:
        """Delete a scenario that somebody's finalizer keeps."""
        self._store(_terminating(self.scenarios[name], self.now))

    def _store(self, resource: Reactor | AnomalyScenario, *, own_write: bool = False) -> None:
        self._version += 1
        metadata = resource.metadata.model_copy(update={"resource_version": str(self._version)})
        if isinstance(resource, Reactor):
            stored = resource.model_copy(update={"metadata": metadata})
            self.reactors[metadata.name] = stored
            news = partial(self.fleet.put_reactor, stored)
        else:
            written = resource.model_copy(update={"metadata": metadata})
            self.scenarios[metadata.name] = written
            news = partial(self.fleet.put_scenario, written)
        if not self._is_closed:
            self.told.append(news)
            news(own_write=own_write)

    def _tell(self, news: Callable[[], None]) -> None:
        if self._is_closed:
            return
        self.told.append(news)
        news()

    # Time and plants

    def pass_time(self, seconds: float, *, report: bool = True) -> None:
        """Let time go by; then the plants report, and the operator does what there is to do."""
        self.settle()
        self.now += timedelta(seconds=seconds)
        self.topic.now = self.now
        self.settle()
        if report:
            self.report()
            self.settle()

    def until(self, seconds: float) -> None:
        """Let time go by up to a moment, stopping wherever the operator wants to be woken."""
        end = NOON + timedelta(seconds=seconds)
        while self.now < end:
            step = min((end - self.now).total_seconds(), 5.0)
            self.pass_time(step)

    def report(self) -> None:
        """Let every plant say what it does now."""
        for event in self.happenings():
            self.tell(event)

    def tell(self, event: Event, *, time_us: int | None = None) -> None:
        """Put an event on the log, where the operator reads it."""
        sent = (event, to_micros(self.now) if time_us is None else time_us)
        self.log.append(sent)
        self.known.append(sent)
        self.reconciler.take_event(*sent)

    def beat(self, shard: int) -> None:
        """Let the generator of one shard say that it is there."""
        self.tell(_heartbeat(shard, to_micros(self.now)))

    def end_unbegun(self, held: DesiredReactor) -> None:
        """Let a plant that heard of its faults too late say that they are over."""
        for fault in held.faults:
            self.tell(_fault_event(FaultRecovered, held, fault, to_micros(self.now)))

    def restart_plants(self) -> None:
        """Let the plants forget what they have reported."""
        self._acting = {}

    def happenings(self) -> list[Event]:
        """Return what the plants would report since they were asked last."""
        now_us = to_micros(self.now)
        events: list[Event] = [_heartbeat(shard, now_us) for shard in range(SHARDS)]
        acting = {}
        for key, held in self.topic.held.items():
            events.append(
                ReactorApplied(
                    namespace=held.namespace,
                    name=held.name,
                    uid=held.uid,
                    tick_us=now_us,
                    generation=held.generation,
                    revision=held.revision,
                    generator="generator-1",
                    shard=shard_of(key, SHARDS),
                )
            )
            events.append(observed(held, now_us))
            for fault in held.faults:
                if fault.start_us <= now_us < fault.end_us:
                    acting[key, fault.id] = (held, fault)
        events += [
            _fault_event(FaultInjected, *acting[place], now_us)
            for place in acting.keys() - self._acting.keys()
        ]
        events += [
            _fault_event(FaultRecovered, *self._acting[place], now_us)
            for place in self._acting.keys() - acting.keys()
            if place[0] in self.topic.held
        ]
        self._acting = acting
        return events

    # Those who watch

    def passes(self, probe: str, name: str = "leak-drill", *, message: str = "") -> None:
        """Let a probe of the run at hand pass now."""
        stored = self.scenarios[name]
        uid, run = stored.metadata.uid, stored.status.run
        assert uid is not None
        assert run is not None
        seen = self.watchers.seen.setdefault((uid, run.number), {})
        seen.setdefault(probe, ProbeOutcome(to_micros(self.now), message))
        self._queue.add(_key(stored))

    # Looking

    def faults(self, name: str = "bruce-1") -> list[tuple[str, int, str]]:
        """Scenario, run and stage of every fault in the desired state of a reactor."""
        held = self.topic.held[f"default/{name}"]
        return [(fault.scenario, fault.run, fault.stage) for fault in held.faults]

    def faulty(self) -> set[str]:
        """Names of the reactors whose desired state holds a fault."""
        return {held.name for held in self.topic.held.values() if held.faults}

    def status(self, name: str = "leak-drill") -> AnomalyScenarioStatus:
        return self.scenarios[name].status

    def condition(self, type_: str, name: str = "leak-drill") -> Condition | None:
        return condition_of(self.status(name).conditions, type_)

    def says(self, type_: str, name: str = "leak-drill") -> tuple[str, str] | None:
        """Status and reason of a scenario's condition."""
        found = self.condition(type_, name)
        return (found.status.value, found.reason) if found is not None else None

    def reactor_says(self, type_: str, name: str = "bruce-1") -> tuple[str, str] | None:
        """Status and reason of a reactor's condition."""
        found = condition_of(self.reactors[name].status.conditions, type_)
        return (found.status.value, found.reason) if found is not None else None


def observed(held: DesiredReactor, tick_us: int, *, trip_cause: str | None = None) -> Event:
    """What a plant shows of itself."""
    return ReactorObserved(
        namespace=held.namespace,
        name=held.name,
        uid=held.uid,
        tick_us=tick_us,
        generator="generator-1",
        shard=shard_of(held.key, SHARDS),
        power_permille=0 if trip_cause else 1000,
        trip_cause=trip_cause,
    )


def _heartbeat(shard: int, now_us: int) -> Event:
    return ShardHeartbeat(
        shard=shard,
        generator="generator-1",
        run="test",
        epoch=1,
        tick_us=now_us,
        reactors=0,
        readings_per_second=0.0,
        late_ticks=0,
    )


def _fault_event(
    kind: type[FaultInjected] | type[FaultRecovered],
    held: DesiredReactor,
    fault: DesiredFault,
    now_us: int,
) -> Event:
    return kind(
        namespace=held.namespace,
        name=held.name,
        uid=held.uid,
        tick_us=now_us,
        fault_id=fault.id,
        scenario=fault.scenario,
        run=fault.run,
        stage=fault.stage,
        kind=fault.kind,
    )


def _edited(stored: Any, spec: Any) -> Any:
    """The resource with another spec: one generation on, if it is another."""
    grown = stored.metadata.generation + (spec != stored.spec)
    metadata = stored.metadata.model_copy(update={"generation": grown})
    return stored.model_copy(update={"metadata": metadata, "spec": spec})


def _terminating(stored: Any, now: datetime) -> Any:
    metadata = stored.metadata.model_copy(
        update={"deletion_timestamp": now, "generation": stored.metadata.generation + 1}
    )
    return stored.model_copy(update={"metadata": metadata})


def _key(resource: Reactor | AnomalyScenario) -> WorkKey:
    metadata = resource.metadata
    return WorkKey(Kind(resource.kind), reactor_key(metadata.namespace, metadata.name))
