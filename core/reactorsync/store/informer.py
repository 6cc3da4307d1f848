"""A local, always current copy of one kind: list once, then follow the watch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Generic

from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.service import Backoff, Readiness, pause
from reactorsync.store.port import (
    R,
    ResourceStore,
    StoreUnavailable,
    WatchEventType,
    WatchExpired,
)
from reactorsync.wire.keys import reactor_key

log = logging.getLogger(__name__)

FleetKey = str
"""``namespace/name``."""


class Informer(Generic[R]):
    """Follows one kind of a store; reads cost nothing and may be a moment old.

    While the store is away the copy stays as it was and the dependency is reported as failing.
    """

    def __init__(self, store: ResourceStore, kind: type[R], readiness: Readiness) -> None:
        self._store = store
        self._kind: type[R] = kind
        self._readiness = readiness
        self._dependency = f"informer-{kind.__name__.lower()}"
        self._objects: dict[FleetKey, R] = {}
        self._version = 0
        self._advanced = asyncio.Condition()
        readiness.expect(self._dependency)

    @property
    def objects(self) -> Mapping[FleetKey, R]:
        """Return a read-only view of the copy."""
        return MappingProxyType(self._objects)

    @property
    def resource_version(self) -> str:
        """Return the version the copy has reached."""
        return str(self._version)

    async def wait_for(self, resource_version: str, *, timeout_seconds: float) -> bool:
        """Wait until the copy has reached a version; return whether it has."""

        def reached() -> bool:
            return self._version >= int(resource_version or 0)

        async with self._advanced:
            try:
                await asyncio.wait_for(self._advanced.wait_for(reached), timeout_seconds)
            except TimeoutError:
                return False
            return True

    async def run(self, stopping: asyncio.Event) -> None:
        """Follow the store until ``stopping``; cancel to end at once."""
        backoff = Backoff()
        while not stopping.is_set():
            try:
                await self._relist()
                self._readiness.works(self._dependency)
                backoff.reset()
                await self._follow()
            except WatchExpired:
                log.info("%s: watch expired, listing again", self._dependency)
            except StoreUnavailable as error:
                self._readiness.fails(self._dependency, str(error))
                await pause(backoff.next_pause(), stopping)

    async def _relist(self) -> None:
        listed = await self._store.list(self._kind)
        self._objects = {_key(item): item for item in listed.items}
        await self._reach(int(listed.resource_version))

    async def _follow(self) -> None:
        async with aclosing(self._store.watch(self._kind, since=self.resource_version)) as watch:
            async for event in watch:
                if event.object is not None:
                    if event.type is WatchEventType.DELETED:
                        self._objects.pop(_key(event.object), None)
                    else:
                        self._objects[_key(event.object)] = event.object
                await self._reach(int(event.resource_version))

    async def _reach(self, version: int) -> None:
        async with self._advanced:
            self._version = version
            self._advanced.notify_all()


def _key(resource: Reactor | AnomalyScenario) -> FleetKey:
    return reactor_key(resource.metadata.namespace, resource.metadata.name)
