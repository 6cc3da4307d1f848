"""The reactors as they were last seen, and how to find them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Set
from uuid import UUID

from reactorsync.planning.targets import matches
from reactorsync.resources import AnomalyScenario, Reactor, ReactorState
from reactorsync.wire.keys import reactor_key, shard_of
from reactorsync_operator.label_index import LabelIndex


class Reactors(Mapping[str, Reactor]):
    """Reactors by ``namespace/name``, found by UID, shard and label, too.

    Only the fleet changes it.
    """

    def __init__(self, *, shards: int) -> None:
        self._shards = shards
        self._reactors: dict[str, Reactor] = {}
        self._names: dict[UUID, str] = {}
        self._labels = LabelIndex()
        self._by_shard: defaultdict[int, set[str]] = defaultdict(set)
        self._intervals: Counter[int] = Counter()

    def __getitem__(self, name: str) -> Reactor:
        return self._reactors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._reactors)

    def __len__(self) -> int:
        return len(self._reactors)

    @property
    def shard_count(self) -> int:
        """How many shards have reactors."""
        return len(self._by_shard)

    @property
    def readings_per_second(self) -> float:
        """How many readings the running reactors make."""
        return sum(count * 1000 / interval for interval, count in self._intervals.items())

    def name_of(self, uid: UUID) -> str | None:
        """Return ``namespace/name`` of the reactor with that UID."""
        return self._names.get(uid)

    def with_uid(self, uid: UUID) -> Reactor:
        """Return the reactor with that UID. Raises ``KeyError`` if there is none."""
        return self._reactors[self._names[uid]]

    def shard(self, name: str) -> int:
        """Return the shard of a reactor, known or not."""
        return shard_of(name, self._shards)

    def on_shard(self, shard: int) -> Set[str]:
        """Return the names on a shard."""
        return self._by_shard.get(shard, frozenset())

    def count_in(self, namespace: str) -> int:
        """Return how many there are in a namespace."""
        return self._labels.count(namespace)

    def matching(self, scenario: AnomalyScenario) -> Iterator[Reactor]:
        """Yield the reactors that a scenario may choose from."""
        namespace, targets = scenario.metadata.namespace, scenario.spec.targets
        names: Set[str]
        if targets.selector is None:
            names = {reactor_key(namespace, name) for name in targets.names or ()}
            names &= self._reactors.keys()
        else:
            names = self._labels.narrowed(namespace, targets.selector.match_labels)
        for name in names:
            if matches(scenario, self._reactors[name]):
                yield self._reactors[name]

    def put(self, name: str, reactor: Reactor) -> None:
        """Enter a reactor, or what became of the one that has this name and its UID."""
        metadata, before = reactor.metadata, self._reactors.get(name)
        self._reactors[name] = reactor
        if before is None:
            self._by_shard[self.shard(name)].add(name)
            if metadata.uid is not None:
                self._names[metadata.uid] = name
            self._labels.add(metadata.namespace, name, metadata.labels)
        else:
            self._count_interval(before, -1)
            if before.metadata.labels != metadata.labels:
                self._labels.discard(metadata.namespace, name, before.metadata.labels)
                self._labels.add(metadata.namespace, name, metadata.labels)
        self._count_interval(reactor, +1)

    def remove(self, name: str) -> None:
        """Drop a reactor. Raises ``KeyError`` if there is none of that name."""
        reactor = self._reactors.pop(name)
        metadata, shard = reactor.metadata, self.shard(name)
        self._count_interval(reactor, -1)
        self._labels.discard(metadata.namespace, name, metadata.labels)
        self._by_shard[shard].discard(name)
        if not self._by_shard[shard]:
            del self._by_shard[shard]
        if metadata.uid is not None:
            self._names.pop(metadata.uid, None)

    def _count_interval(self, reactor: Reactor, step: int) -> None:
        if reactor.spec.state is ReactorState.RUNNING:
            self._intervals[reactor.spec.telemetry.interval_milliseconds] += step
