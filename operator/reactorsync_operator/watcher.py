"""Feeds the fleet from the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol

from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.store import ResourceStore
from reactorsync.store.follow import follow
from reactorsync.store.port import R
from reactorsync_operator.metrics import RELISTS, WATCH_EVENTS


@dataclass(frozen=True, slots=True)
class View(Generic[R]):
    """Where the resources of one kind are kept.

    ``names`` returns ``namespace/name`` of all that are known, ``get`` one of them, ``put`` takes
    one in as it is now, ``remove`` drops one that is gone.
    """

    names: Callable[[], set[str]]
    get: Callable[[str], R | None]
    put: Callable[[R], None]
    remove: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Views:
    """Where all resources are kept.

    ``swept`` is called after each further list of them, ``cleared_up`` when it may be known again
    of a reactor whether there is one.
    """

    reactors: View[Reactor]
    scenarios: View[AnomalyScenario]
    swept: Callable[[], None]
    cleared_up: Callable[[], None] = lambda: None


class WatchEnded(Exception):
    """What follows the resources has ended by itself: the process is deaf and must start anew."""


class ResourceFeed(Protocol):
    """Keeps the views equal to where the resources live."""

    @property
    def is_whole(self) -> bool:
        """Whether all resources have been listed."""
        ...

    async def whole(self) -> None:
        """Wait until all resources have been listed."""

    async def run(self) -> None:
        """Follow until cancelled. Raises :class:`WatchEnded` when it cannot go on."""

    def problems(self) -> Mapping[str, str]:
        """Return what only a restart will heal, by name; nothing while all is well."""
        ...

    def closed(self) -> Mapping[str, str]:
        """Return the namespaces that are to be followed and refuse it, and what they answer."""
        ...

    def unwatched(self) -> Mapping[str, str]:
        """Return why there is no watch where there should be one, by name of what to report."""
        ...


class StoreFeed:
    """Feeds the views from a store's own watch, which heals by itself."""

    def __init__(self, store: ResourceStore, views: Views, *, sweep_seconds: float) -> None:
        self._reactors = Watcher(
            store, Reactor, views.reactors, sweep_seconds=sweep_seconds, swept=views.swept
        )
        self._scenarios = Watcher(
            store, AnomalyScenario, views.scenarios, sweep_seconds=sweep_seconds
        )

    @property
    def is_whole(self) -> bool:
        """See :class:`ResourceFeed`."""
        return self._reactors.is_whole and self._scenarios.is_whole

    async def whole(self) -> None:
        """See :class:`ResourceFeed`."""
        await self._reactors.whole()
        await self._scenarios.whole()

    async def run(self) -> None:
        """See :class:`ResourceFeed`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reactors.run())
            group.create_task(self._scenarios.run())

    def problems(self) -> Mapping[str, str]:
        """See :class:`ResourceFeed`."""
        return {}

    def closed(self) -> Mapping[str, str]:
        """See :class:`ResourceFeed`."""
        return {}

    def unwatched(self) -> Mapping[str, str]:
        """See :class:`ResourceFeed`."""
        return {}


class Watcher(Generic[R]):
    """Keeps a view of one kind equal to the store; ``swept`` is called after each further list."""

    def __init__(
        self,
        store: ResourceStore,
        kind: type[R],
        view: View[R],
        *,
        sweep_seconds: float,
        swept: Callable[[], None] | None = None,
    ) -> None:
        self._store = store
        self._kind: type[R] = kind
        self._view: View[R] = view
        self._sweep_seconds = sweep_seconds
        self._swept = swept
        self._listed = asyncio.Event()

    async def whole(self) -> None:
        """Wait until all resources have been listed."""
        await self._listed.wait()

    @property
    def is_whole(self) -> bool:
        """Whether all resources have been listed."""
        return self._listed.is_set()

    async def run(self) -> None:
        """Follow the store until cancelled. While it is away, the view stays as it is."""
        await follow(self._store, self._kind, self, sweep_seconds=self._sweep_seconds)

    # What `follow` tells

    def names(self) -> set[str]:
        """See :class:`reactorsync.store.follow.View`."""
        return self._view.names()

    def put(self, resource: R) -> None:
        """See :class:`reactorsync.store.follow.View`."""
        WATCH_EVENTS.labels(self._kind.__name__).inc()
        self._view.put(resource)

    def remove(self, name: str) -> None:
        """See :class:`reactorsync.store.follow.View`."""
        WATCH_EVENTS.labels(self._kind.__name__).inc()
        self._view.remove(name)

    async def reached(self, version: str) -> None:
        """See :class:`reactorsync.store.follow.View`; nobody waits for a version here."""

    def listed(self) -> None:
        """See :class:`reactorsync.store.follow.View`."""
        RELISTS.labels(self._kind.__name__).inc()
        if self._listed.is_set() and self._swept is not None:
            self._swept()
        self._listed.set()

    def failed(self, problem: str) -> None:
        """See :class:`reactorsync.store.follow.View`; readiness is asked for elsewhere."""
