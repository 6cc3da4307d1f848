"""The resources as they were last seen, and who acts on whom.

Everything derived is kept up to date in proportion to what changed: which reactors match a
scenario, which of those it chose, and so which scenarios act on a reactor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from reactorsync.planning.compose import LeftOut
from reactorsync.planning.schedule import is_live, is_open, is_planned
from reactorsync.planning.targets import Candidate, Selection
from reactorsync.resources import AnomalyScenario, Kind, ObjectMeta, Reactor
from reactorsync.resources.scenario_status import Run
from reactorsync.service import about
from reactorsync.wire.keys import reactor_key
from reactorsync_operator.choice import Choice
from reactorsync_operator.reactors import Reactors
from reactorsync_operator.reconcile.guards import Surroundings, is_severe
from reactorsync_operator.restraint import Restraint
from reactorsync_operator.tombstones import Tombstones, is_later, is_newer


@dataclass(frozen=True, slots=True)
class WorkKey:
    """An object to look at: its kind and ``namespace/name``."""

    kind: Kind
    name: str

    @classmethod
    def of(cls, resource: Reactor | AnomalyScenario) -> Self:
        """Return the key of an object."""
        return cls(Kind(resource.kind), _name(resource))

    @property
    def about(self) -> dict[str, str]:
        """What a log record about the object carries, as :func:`reactorsync.service.about`."""
        return about(self.kind, *self.name.split("/", 1))


class Fleet:
    """The view. ``mark`` is called for every object whose plan may have changed."""

    def __init__(self, *, shards: int, mark: Callable[[WorkKey], None]) -> None:
        self._mark = mark
        self.reactors = Reactors(shards=shards)
        """Every reactor by ``namespace/name``."""
        self._choices: dict[str, Choice] = {}
        self._scenario_names: dict[UUID, str] = {}
        self._scenarios_in: defaultdict[str, set[str]] = defaultdict(set)
        self._chosen_by: defaultdict[str, set[str]] = defaultdict(set)
        self._left_out: dict[str, tuple[LeftOut, ...]] = {}
        self._conflicts: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._stale: set[str] = set()
        self._gone = Tombstones()
        self._restraint = Restraint()

    @property
    def scenario_count(self) -> int:
        """How many scenarios there are."""
        return len(self._choices)

    def scenarios(self) -> Iterator[AnomalyScenario]:
        """Yield every scenario."""
        for choice in self._choices.values():
            yield choice.scenario

    def scenario_names(self) -> set[str]:
        """Return ``namespace/name`` of every scenario."""
        return set(self._choices)

    def scenario(self, name: str) -> AnomalyScenario | None:
        """Return a scenario by ``namespace/name``."""
        choice = self._choices.get(name)
        return choice.scenario if choice is not None else None

    def scenario_named(self, uid: UUID) -> str | None:
        """Return ``namespace/name`` of the scenario with that UID."""
        return self._scenario_names.get(uid)

    def acting_on(self, name: str) -> tuple[AnomalyScenario, ...]:
        """Return the scenarios that chose a reactor."""
        self._refresh()
        chosen_by = self._chosen_by.get(name, ())
        return tuple(self._choices[scenario].scenario for scenario in chosen_by)

    def selection(self, name: str) -> Selection:
        """Return the reactors a scenario chose."""
        self._refresh()
        return self._choices[name].selection

    def conflicts(self, name: str) -> Mapping[str, str]:
        """Return, by name of a reactor, to which scenario this one gives way there."""
        return self._conflicts.get(name, {})

    def surroundings(self, name: str) -> Surroundings:
        """Return what guards look at beside the scenario itself."""
        return Surroundings(
            reactors=self.reactors.count_in(name.partition("/")[0]),
            severe_runs=self._restraint.severe_runs(but=name),
        )

    def limit_growth(self, max_targets_percent: int) -> None:
        """Let no run whose choice is open grow beyond that share of its namespace's reactors."""
        self._restraint.max_targets_percent = max_targets_percent

    def note_plan(self, name: str, run: Run | None, *, is_refused: bool) -> None:
        """Note what a scenario's plan came to, which may not yet be stored.

        Scenarios that are refused are looked at again when the severe runs of others change, or
        the reactors there are.
        """
        self._restraint.set_refused(name, is_refused=is_refused)
        self._set_severe(name, run if is_severe(self._choices[name].scenario.spec) else None)

    def put_reactor(self, reactor: Reactor, *, own_write: bool = False) -> None:
        """Take in a reactor.

        ``own_write``: its status was written by this operator's own plan. The answer to a write may
        be older than what the watch has told meanwhile, so it is nothing to learn of births from.
        """
        name = _name(reactor)
        before = self.reactors.get(name)
        if not self._is_news(reactor, before, own_write=own_write):
            return
        metadata = reactor.metadata
        if metadata.deletion_timestamp is not None:
            # Only somebody's finalizer keeps it; the plant is to be no more.
            self.remove_reactor(name, uid=metadata.uid, version=metadata.resource_version)
            return
        if before is not None and not _is_same(before, reactor):
            self.remove_reactor(name)
            before = None
        self.reactors.put(name, reactor)
        if before is None or before.metadata.labels != metadata.labels:
            for scenario in self._scenarios_in[metadata.namespace]:
                if self._choices[scenario].consider(reactor):
                    self._choose_again(scenario)
        if before is None:
            self._count_changed(metadata.namespace)
        elif before.spec != reactor.spec:
            for scenario in self._chosen_by.get(name, ()):
                self._choices[scenario].look_again_at(reactor)
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
        reactor = self.reactors.get(name)
        self._gone.bury(uid, version)
        if reactor is None or not _is_gone(reactor.metadata, uid, version):
            return
        metadata = reactor.metadata
        self._gone.bury(metadata.uid, version or metadata.resource_version)
        self.reactors.remove(name)
        for scenario in self._scenarios_in[metadata.namespace]:
            if self._choices[scenario].drop(reactor):
                self._choose_again(scenario)
        self._count_changed(metadata.namespace)
        self._chosen_by.pop(name, None)
        self.set_left_out(name, ())
        self._mark(WorkKey(Kind.REACTOR, name))

    def put_scenario(self, scenario: AnomalyScenario, *, own_write: bool = False) -> None:
        """Take in a scenario; ``own_write`` as for :meth:`put_reactor`."""
        name = _name(scenario)
        before = self.scenario(name)
        if not self._is_news(scenario, before, own_write=own_write):
            return
        if before is not None and not _is_same(before, scenario):
            self.remove_scenario(name)
            before = None
        if before is None:
            self._enter(name, scenario)
        if is_severe(scenario.spec) and is_open(scenario.status.run):
            self._set_severe(name, scenario.status.run)
        choice = self._choices[name]
        if choice.follow(scenario) or before is None:
            self._choose_again(name)
        if before is None or _effect(before) != _effect(scenario):
            for one in choice.selection.chosen:
                self._mark_reactor(one)
            self._mark_scenario(name)
        elif not own_write or is_planned(before) != is_planned(scenario):
            self._mark_scenario(name)

    def remove_scenario(
        self, name: str, *, uid: UUID | None = None, version: str | None = None
    ) -> None:
        """Drop a scenario that was deleted: its faults vanish from the reactors' plans.

        ``uid`` and ``version`` as for :meth:`remove_reactor`.
        """
        scenario = self.scenario(name)
        self._gone.bury(uid, version)
        if scenario is None or not _is_gone(scenario.metadata, uid, version):
            return
        metadata = scenario.metadata
        self._gone.bury(metadata.uid, version or metadata.resource_version)
        choice = self._choices.pop(name)
        self._restraint.set_refused(name, is_refused=False)
        self._set_severe(name, None)
        self._stale.discard(name)
        self._conflicts.pop(name, None)
        self._scenarios_in[metadata.namespace].discard(name)
        if metadata.uid is not None:
            self._scenario_names.pop(metadata.uid, None)
        for one in choice.selection.chosen:
            self._unchoose(name, one)
        self._mark_scenario(name)

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
            if uid in gives_way:
                self._conflicts[scenario][reactor] = gives_way[uid]
            else:
                self._conflicts[scenario].pop(reactor, None)
            self._mark_scenario(scenario)

    def mark_all(self) -> None:
        """Mark every object."""
        for name in self._choices:
            self._mark_scenario(name)
        for name in self.reactors:
            self._mark(WorkKey(Kind.REACTOR, name))

    def _is_news(
        self,
        resource: Reactor | AnomalyScenario,
        known: Reactor | AnomalyScenario | None,
        *,
        own_write: bool,
    ) -> bool:
        """Return whether ``resource`` was stored after what is ``known`` by its name.

        A watch lags behind own writes and behind other watches, so that what it tells may be older
        than what is known, be it of the same object or of another one that had its name before.
        """
        if own_write and (known is None or not _is_same(known, resource)):
            return False
        if self._gone.covers(resource.metadata):
            return False
        version = resource.metadata.resource_version
        return known is None or is_newer(version, known.metadata.resource_version)

    def _enter(self, name: str, scenario: AnomalyScenario) -> None:
        self._choices[name] = Choice(scenario, self.reactors)
        self._scenarios_in[scenario.metadata.namespace].add(name)
        if scenario.metadata.uid is not None:
            self._scenario_names[scenario.metadata.uid] = name

    def _choose_again(self, name: str) -> None:
        """Note that a scenario must choose again; its plan, at the latest, makes it do so."""
        self._stale.add(name)
        self._mark_scenario(name)

    def _refresh(self) -> None:
        """Choose again for the scenarios whose candidates, targets or run changed."""
        while self._stale:
            name = self._stale.pop()
            choice = self._choices[name]
            namespace = choice.scenario.metadata.namespace
            reactors = self.reactors.count_in(namespace)
            turnover = choice.choose(
                self._restraint.most_targets(choice.scenario, reactors=reactors)
            )
            if turnover is None:
                continue
            for one in turnover.left:
                self._unchoose(name, one)
            for one in turnover.came:
                reactor = reactor_key(namespace, one.reactor)
                self._chosen_by[reactor].add(name)
                self._mark(WorkKey(Kind.REACTOR, reactor))
            self._mark_scenario(name)

    def _count_changed(self, namespace: str) -> None:
        """Look again at the scenarios whose guards depend on how many reactors there are."""
        for name in self._scenarios_in[namespace]:
            if self._restraint.is_refused(name):
                self._mark_scenario(name)
            if self._restraint.is_limited(self._choices[name].scenario):
                self._choose_again(name)

    def _set_severe(self, name: str, run: Run | None) -> None:
        for other in self._restraint.set_severe(name, run):
            self._mark_scenario(other)

    def _unchoose(self, scenario: str, one: Candidate) -> None:
        name = self.reactors.name_of(one.uid)
        if name is not None:
            self._chosen_by[name].discard(scenario)
            self._mark(WorkKey(Kind.REACTOR, name))

    def _mark_reactor(self, one: Candidate) -> None:
        name = self.reactors.name_of(one.uid)
        if name is not None:
            self._mark(WorkKey(Kind.REACTOR, name))

    def _mark_scenario(self, name: str) -> None:
        self._mark(WorkKey(Kind.ANOMALY_SCENARIO, name))


def _name(resource: Reactor | AnomalyScenario) -> str:
    return reactor_key(resource.metadata.namespace, resource.metadata.name)


def _is_same(known: Reactor | AnomalyScenario, other: Reactor | AnomalyScenario) -> bool:
    return known.metadata.uid == other.metadata.uid


def _is_gone(known: ObjectMeta, uid: UUID | None, version: str | None) -> bool:
    """Return whether a deletion that was told of is that of the object known."""
    if uid is not None and known.uid != uid:
        return False
    return version is None or not is_later(known.resource_version, version)


def _effect(scenario: AnomalyScenario) -> tuple[object, ...]:
    """Return all of a scenario that the faults of its reactors depend on."""
    run = scenario.status.run if is_live(scenario) else None
    acts = (run.number, run.start_time, run.end_time) if run is not None else None
    return (scenario.spec, acts)
