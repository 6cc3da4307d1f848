"""The resources as they were last seen, and who acts on whom.

Everything derived is kept up to date in proportion to what changed: which reactors carry a label,
which match a scenario, which of those it chose, and so which scenarios act on a reactor.
"""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from uuid import UUID

from reactorsync.planning.compose import LeftOut
from reactorsync.planning.schedule import is_live, is_open, is_planned, is_reopened
from reactorsync.planning.targets import (
    Candidate,
    Failure,
    Selection,
    candidate,
    choose,
    failure_on,
    matches,
    missing_names,
)
from reactorsync.resources import AnomalyScenario, Kind, ObjectMeta, Reactor, ReactorState
from reactorsync.resources.scenario import Guard
from reactorsync.resources.scenario_status import Run
from reactorsync.service import about
from reactorsync.wire.keys import reactor_key, shard_of
from reactorsync_operator.label_index import LabelIndex
from reactorsync_operator.reconcile.guards import (
    Surroundings,
    is_severe,
    largest_choice,
    may_break,
)
from reactorsync_operator.tombstones import Tombstones, is_later, is_newer

_NOBODY = Selection(matched=0, chosen=(), failures=())


@dataclass(frozen=True, slots=True)
class WorkKey:
    """An object to look at: its kind and ``namespace/name``."""

    kind: Kind
    name: str

    @property
    def about(self) -> dict[str, str]:
        """What a log record about the object carries, as :func:`reactorsync.service.about`."""
        return about(self.kind, *self.name.split("/", 1))


@dataclass(slots=True)
class _Scenario:
    resource: AnomalyScenario
    ranked: list[Candidate] = field(default_factory=list)
    members: dict[UUID, Candidate] = field(default_factory=dict)
    selection: Selection = _NOBODY
    obstacles: dict[str, Failure | None] = field(default_factory=dict)
    conflicts: dict[str, str] = field(default_factory=dict)


class Fleet:
    """The view. ``mark`` is called for every object whose plan may have changed."""

    def __init__(self, *, shards: int, mark: Callable[[WorkKey], None]) -> None:
        self._shards = shards
        self._mark = mark
        self._reactors: dict[str, Reactor] = {}
        self._scenarios: dict[str, _Scenario] = {}
        self._names: dict[UUID, str] = {}
        self._scenario_names: dict[UUID, str] = {}
        self._scenarios_in: defaultdict[str, set[str]] = defaultdict(set)
        self._labels = LabelIndex()
        self._by_shard: defaultdict[int, set[str]] = defaultdict(set)
        self._chosen_by: defaultdict[str, set[str]] = defaultdict(set)
        self._left_out: dict[str, tuple[LeftOut, ...]] = {}
        self._stale: set[str] = set()
        self._intervals: Counter[int] = Counter()
        self._gone = Tombstones()
        self._severe: dict[str, Run] = {}
        self._refused: set[str] = set()
        self._max_targets_percent = 100

    @property
    def reactors(self) -> Mapping[str, Reactor]:
        """Every reactor by ``namespace/name``."""
        return self._reactors

    @property
    def scenario_count(self) -> int:
        """How many scenarios there are."""
        return len(self._scenarios)

    @property
    def shard_count(self) -> int:
        """How many shards have reactors."""
        return len(self._by_shard)

    def scenarios(self) -> Iterator[AnomalyScenario]:
        """Yield every scenario."""
        for entry in self._scenarios.values():
            yield entry.resource

    def scenario_names(self) -> set[str]:
        """Return ``namespace/name`` of every scenario."""
        return set(self._scenarios)

    def scenario(self, name: str) -> AnomalyScenario | None:
        """Return a scenario by ``namespace/name``."""
        entry = self._scenarios.get(name)
        return entry.resource if entry is not None else None

    def name_of(self, uid: UUID) -> str | None:
        """Return ``namespace/name`` of the reactor with that UID."""
        return self._names.get(uid)

    def scenario_named(self, uid: UUID) -> str | None:
        """Return ``namespace/name`` of the scenario with that UID."""
        return self._scenario_names.get(uid)

    def on_shard(self, shard: int) -> Set[str]:
        """Return the reactors of a shard."""
        return self._by_shard.get(shard, frozenset())

    def shard(self, name: str) -> int:
        """Return the shard of a reactor."""
        return shard_of(name, self._shards)

    def acting_on(self, name: str) -> tuple[AnomalyScenario, ...]:
        """Return the scenarios that chose a reactor."""
        self._refresh()
        chosen_by = self._chosen_by.get(name, ())
        return tuple(self._scenarios[scenario].resource for scenario in chosen_by)

    def selection(self, name: str) -> Selection:
        """Return the reactors a scenario chose."""
        self._refresh()
        return self._scenarios[name].selection

    def conflicts(self, name: str) -> Mapping[str, str]:
        """Return, by name of a reactor, to which scenario this one gives way there."""
        return self._scenarios[name].conflicts

    def surroundings(self, name: str) -> Surroundings:
        """Return what guards look at beside the scenario itself."""
        namespace = name.partition("/")[0]
        return Surroundings(
            reactors=self._labels.count(namespace),
            severe_runs=tuple(run for other, run in self._severe.items() if other != name),
        )

    def limit_growth(self, max_targets_percent: int) -> None:
        """Let no run whose choice is open grow beyond that share of its namespace's reactors."""
        self._max_targets_percent = max_targets_percent

    def note_plan(self, name: str, run: Run | None, *, is_refused: bool) -> None:
        """Note what a scenario's plan came to, which may not yet be stored.

        Scenarios that are refused are looked at again when the severe runs of others change, or
        the reactors there are.
        """
        if is_refused:
            self._refused.add(name)
        else:
            self._refused.discard(name)
        scenario = self._scenarios[name].resource
        self._set_severe(name, run if is_severe(scenario.spec) else None)

    @property
    def readings_per_second(self) -> float:
        """How many readings the running reactors make."""
        return sum(count * 1000 / interval for interval, count in self._intervals.items())

    def put_reactor(self, reactor: Reactor, *, own_write: bool = False) -> None:
        """Take in a reactor.

        ``own_write``: its status was written by this operator's own plan. The answer to a write may
        be older than what the watch has told meanwhile, so it is nothing to learn of births from.
        """
        name = _name(reactor)
        before = self._reactors.get(name)
        if own_write and not _is_same(before, reactor):
            return
        if self._gone.covers(reactor.metadata):
            return
        if before is not None and not _is_newer(reactor, before):
            return
        if reactor.metadata.deletion_timestamp is not None:
            # Only somebody's finalizer keeps it; the plant is to be no more.
            self.remove_reactor(
                name, uid=reactor.metadata.uid, version=reactor.metadata.resource_version
            )
            return
        if before is not None and not _is_same(before, reactor):
            self.remove_reactor(name)
            before = None
        self._reactors[name] = reactor
        if before is None:
            self._enter(name, reactor)
        if before is None or before.metadata.labels != reactor.metadata.labels:
            self._index(name, before, reactor)
            self._match_reactor(reactor)
        if before is None:
            self._count_changed(reactor.metadata.namespace)
        if before is None or before.spec != reactor.spec:
            self._count_interval(before, -1)
            self._count_interval(reactor, +1)
            for scenario in self._chosen_by.get(name, ()):
                self._scenarios[scenario].obstacles.pop(reactor.metadata.name, None)
                self._choose_again(scenario)
        if not own_write:
            self._mark(WorkKey(Kind.REACTOR, name))

    def remove_reactor(
        self, name: str, *, uid: UUID | None = None, version: str | None = None
    ) -> None:
        """Drop a reactor that was deleted, or is being deleted.

        ``version`` is that of the deletion, or of a list in which the reactor was missing, and
        ``uid`` that of the reactor: old news of one that came back since then changes nothing.
        """
        reactor = self._reactors.get(name)
        self._gone.bury(uid, version)
        if reactor is None or not _is_gone(reactor.metadata, uid, version):
            return
        self._gone.bury(reactor.metadata.uid, version or reactor.metadata.resource_version)
        del self._reactors[name]
        self._count_interval(reactor, -1)
        self._index(name, reactor, None)
        for scenario in self._scenarios_in[reactor.metadata.namespace]:
            self._leave(scenario, reactor)
        self._count_changed(reactor.metadata.namespace)
        on_shard = self._by_shard[self.shard(name)]
        on_shard.discard(name)
        if not on_shard:
            del self._by_shard[self.shard(name)]
        if reactor.metadata.uid is not None:
            self._names.pop(reactor.metadata.uid, None)
        self._chosen_by.pop(name, None)
        self.set_left_out(name, ())
        self._mark(WorkKey(Kind.REACTOR, name))

    def put_scenario(self, scenario: AnomalyScenario, *, own_write: bool = False) -> None:
        """Take in a scenario; ``own_write`` as for :meth:`put_reactor`."""
        name = _name(scenario)
        entry = self._scenarios.get(name)
        if own_write and not _is_same(entry.resource if entry is not None else None, scenario):
            return
        if self._gone.covers(scenario.metadata):
            return
        if entry is not None and not _is_newer(scenario, entry.resource):
            return
        if entry is not None and not _is_same(entry.resource, scenario):
            self.remove_scenario(name)
            entry = None
        before = entry.resource if entry is not None else None
        if entry is None:
            entry = self._scenarios[name] = _Scenario(scenario)
            self._scenarios_in[scenario.metadata.namespace].add(name)
            if scenario.metadata.uid is not None:
                self._scenario_names[scenario.metadata.uid] = name
        entry.resource = scenario
        if is_severe(scenario.spec) and is_open(scenario.status.run):
            self._set_severe(name, scenario.status.run)
        if before is not None and before.spec.stages != scenario.spec.stages:
            entry.obstacles.clear()
        if before is None or before.spec.targets != scenario.spec.targets:
            self._match_scenario(entry)
        if before is None or _choice(before) != _choice(scenario):
            self._choose_again(name)
        if before is None or _effect(before) != _effect(scenario):
            for one in entry.selection.chosen:
                self._mark_uid(one.uid)
            self._mark(WorkKey(Kind.ANOMALY_SCENARIO, name))
        elif not own_write or is_planned(before) != is_planned(scenario):
            self._mark(WorkKey(Kind.ANOMALY_SCENARIO, name))

    def remove_scenario(
        self, name: str, *, uid: UUID | None = None, version: str | None = None
    ) -> None:
        """Drop a scenario that was deleted: its faults vanish from the reactors' plans.

        ``uid`` and ``version`` as for :meth:`remove_reactor`.
        """
        entry = self._scenarios.get(name)
        self._gone.bury(uid, version)
        if entry is None or not _is_gone(entry.resource.metadata, uid, version):
            return
        metadata = entry.resource.metadata
        self._gone.bury(metadata.uid, version or metadata.resource_version)
        del self._scenarios[name]
        self._refused.discard(name)
        self._set_severe(name, None)
        self._stale.discard(name)
        self._scenarios_in[entry.resource.metadata.namespace].discard(name)
        if entry.resource.metadata.uid is not None:
            self._scenario_names.pop(entry.resource.metadata.uid, None)
        for one in entry.selection.chosen:
            self._unchoose(name, one)
        self._mark(WorkKey(Kind.ANOMALY_SCENARIO, name))

    def set_left_out(self, name: str, left_out: tuple[LeftOut, ...]) -> None:
        """Note which scenarios give way on a reactor, as its last plan found."""
        before = self._left_out.get(name, ())
        if before == left_out:
            return
        if left_out:
            self._left_out[name] = left_out
        else:
            self._left_out.pop(name, None)
        reactor = name.partition("/")[2]
        gives_way = {one.scenario: one.gives_way_to for one in left_out}
        for uid in {one.scenario for one in before} | gives_way.keys():
            scenario = self._scenario_names.get(uid)
            if scenario is None:
                continue
            conflicts = self._scenarios[scenario].conflicts
            if uid in gives_way:
                conflicts[reactor] = gives_way[uid]
            else:
                conflicts.pop(reactor, None)
            self._mark(WorkKey(Kind.ANOMALY_SCENARIO, scenario))

    def mark_all(self) -> None:
        """Mark every object."""
        for name in self._scenarios:
            self._mark(WorkKey(Kind.ANOMALY_SCENARIO, name))
        for name in self._reactors:
            self._mark(WorkKey(Kind.REACTOR, name))

    def _choose_again(self, name: str) -> None:
        """Note that a scenario must choose again; its plan, at the latest, makes it do so."""
        self._stale.add(name)
        self._mark(WorkKey(Kind.ANOMALY_SCENARIO, name))

    def _refresh(self) -> None:
        """Choose again for the scenarios whose candidates, targets or run changed."""
        while self._stale:
            name = self._stale.pop()
            entry = self._scenarios.get(name)
            if entry is None:
                continue
            before, after = entry.selection, self._choose(entry)
            if before == after:
                continue
            entry.selection = after
            # Both choices hold the same candidates; hashing so many UIDs takes ten times longer.
            kept, now = set(map(id, before.chosen)), set(map(id, after.chosen))
            for one in before.chosen:
                if id(one) not in now:
                    self._unchoose(name, one)
            for one in after.chosen:
                if id(one) not in kept:
                    self._chosen_by[self._names[one.uid]].add(name)
                    self._mark_uid(one.uid)
            self._mark(WorkKey(Kind.ANOMALY_SCENARIO, name))

    def _choose(self, entry: _Scenario) -> Selection:
        scenario = entry.resource
        wanted = choose(scenario.spec.targets, entry.ranked, run=_standing_run(scenario))
        chosen = wanted[: self._most(scenario)]
        failures = [self._obstacle(entry, one) for one in chosen]
        present = {one.reactor for one in entry.ranked} if scenario.spec.targets.names else ()
        return Selection(
            matched=len(entry.ranked),
            chosen=chosen,
            failures=(
                *missing_names(scenario, present),
                *(failure for failure in failures if failure is not None),
            ),
            left_off=len(wanted) - len(chosen),
        )

    def _most(self, scenario: AnomalyScenario) -> int | None:
        """Return how many reactors a scenario may have chosen, ``None`` for any number.

        A run that has begun keeps as many as it had, whatever becomes of the fleet.
        """
        if not self._is_limited(scenario):
            return None
        reactors = self._labels.count(scenario.metadata.namespace)
        allowed = largest_choice(self._max_targets_percent, reactors)
        return max(allowed, scenario.status.targets.selected)

    def _is_limited(self, scenario: AnomalyScenario) -> bool:
        run = _standing_run(scenario)
        return (
            self._max_targets_percent < 100
            and run is not None
            # A Static choice that is closed was allowed, and does not grow.
            and run.selection_cutoff is None
            and not may_break(scenario.spec, Guard.BLAST_RADIUS)
        )

    def _obstacle(self, entry: _Scenario, one: Candidate) -> Failure | None:
        try:
            return entry.obstacles[one.reactor]
        except KeyError:
            found = failure_on(entry.resource, self._by_uid(one.uid))
            entry.obstacles[one.reactor] = found
            return found

    def _count_changed(self, namespace: str) -> None:
        """Look again at the scenarios whose guards depend on how many reactors there are."""
        for name in self._scenarios_in[namespace]:
            if name in self._refused:
                self._mark(WorkKey(Kind.ANOMALY_SCENARIO, name))
            if self._is_limited(self._scenarios[name].resource):
                self._choose_again(name)

    def _set_severe(self, name: str, run: Run | None) -> None:
        before = self._severe.get(name)
        if run is not None and is_open(run):
            self._severe[name] = run
        else:
            self._severe.pop(name, None)
        if before == self._severe.get(name):
            return
        for other in self._refused:
            if other != name:
                self._mark(WorkKey(Kind.ANOMALY_SCENARIO, other))

    def _enter(self, name: str, reactor: Reactor) -> None:
        self._by_shard[self.shard(name)].add(name)
        if reactor.metadata.uid is not None:
            self._names[reactor.metadata.uid] = name

    def _index(self, name: str, before: Reactor | None, after: Reactor | None) -> None:
        if before is not None:
            self._labels.discard(before.metadata.namespace, name, before.metadata.labels)
        if after is not None:
            self._labels.add(after.metadata.namespace, name, after.metadata.labels)

    def _match_reactor(self, reactor: Reactor) -> None:
        for scenario in self._scenarios_in[reactor.metadata.namespace]:
            entry = self._scenarios[scenario]
            if matches(entry.resource, reactor):
                self._join(scenario, entry, reactor)
            else:
                self._leave(scenario, reactor)

    def _match_scenario(self, entry: _Scenario) -> None:
        scenario = entry.resource
        found = [
            candidate(scenario.spec.targets, self._reactors[name])
            for name in self._possible(scenario)
            if matches(scenario, self._reactors[name])
        ]
        entry.ranked = sorted(found)
        entry.obstacles = {}
        entry.members = {one.uid: one for one in found}

    def _possible(self, scenario: AnomalyScenario) -> Iterable[str]:
        """Return the fewest reactors among which all matches are."""
        namespace, targets = scenario.metadata.namespace, scenario.spec.targets
        if targets.selector is None:
            names = (reactor_key(namespace, name) for name in targets.names or ())
            return [name for name in dict.fromkeys(names) if name in self._reactors]
        return self._labels.narrowed(namespace, targets.selector.match_labels)

    def _join(self, name: str, entry: _Scenario, reactor: Reactor) -> None:
        one = candidate(entry.resource.spec.targets, reactor)
        if one.uid in entry.members:
            return
        entry.members[one.uid] = one
        bisect.insort(entry.ranked, one)
        self._choose_again(name)

    def _leave(self, name: str, reactor: Reactor) -> None:
        entry = self._scenarios[name]
        uid = reactor.metadata.uid
        one = entry.members.pop(uid, None) if uid is not None else None
        if one is None:
            return
        entry.obstacles.pop(one.reactor, None)
        del entry.ranked[bisect.bisect_left(entry.ranked, one)]
        self._choose_again(name)

    def _unchoose(self, scenario: str, one: Candidate) -> None:
        name = self._names.get(one.uid)
        if name is None:
            return
        self._chosen_by[name].discard(scenario)
        self._mark(WorkKey(Kind.REACTOR, name))

    def _mark_uid(self, uid: UUID) -> None:
        name = self._names.get(uid)
        if name is not None:
            self._mark(WorkKey(Kind.REACTOR, name))

    def _by_uid(self, uid: UUID) -> Reactor:
        return self._reactors[self._names[uid]]

    def _count_interval(self, reactor: Reactor | None, step: int) -> None:
        if reactor is not None and reactor.spec.state is ReactorState.RUNNING:
            self._intervals[reactor.spec.telemetry.interval_milliseconds] += step


def _name(resource: Reactor | AnomalyScenario) -> str:
    return reactor_key(resource.metadata.namespace, resource.metadata.name)


def _is_same(known: Reactor | AnomalyScenario | None, other: Reactor | AnomalyScenario) -> bool:
    return known is not None and known.metadata.uid == other.metadata.uid


def _is_newer(resource: Reactor | AnomalyScenario, known: Reactor | AnomalyScenario) -> bool:
    """Return whether ``resource`` was stored after ``known``.

    A watch lags behind own writes and behind other watches, so that what it tells may be older
    than what is known, be it of the same object or of another one that had its name before.
    """
    return is_newer(resource.metadata.resource_version, known.metadata.resource_version)


def _is_gone(known: ObjectMeta, uid: UUID | None, version: str | None) -> bool:
    """Return whether a deletion that was told of is that of the object known."""
    if uid is not None and known.uid != uid:
        return False
    return version is None or not is_later(known.resource_version, version)


def _standing_run(scenario: AnomalyScenario) -> Run | None:
    """Return the run whose choice may be closed; an edit before it injected opens it again."""
    run = scenario.status.run
    if run is None or not is_open(run) or run.token != scenario.spec.run_token:
        return None
    if is_reopened(scenario):
        return run.model_copy(update={"selection_cutoff": None, "selection_time": None})
    return run


def _choice(scenario: AnomalyScenario) -> tuple[object, ...]:
    """Return all of a scenario that its choice of reactors, and its failures on them, depend on."""
    run = _standing_run(scenario)
    closed = None
    if run is not None:
        closed = (run.selection_cutoff, run.selection_time or run.start_time)
    override = scenario.spec.guard_override
    selected = scenario.status.targets.selected if run is not None else None
    return (scenario.spec.targets, scenario.spec.stages, closed, override, selected)


def _effect(scenario: AnomalyScenario) -> tuple[object, ...]:
    """Return all of a scenario that the faults of its reactors depend on."""
    run = scenario.status.run if is_live(scenario) else None
    acts = (run.number, run.start_time, run.end_time) if run is not None else None
    return (scenario.spec, acts)
