"""A local, always current copy of one kind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Generic

from reactorsync.service import Backoff, Readiness
from reactorsync.store.follow import follow
from reactorsync.store.port import R, ResourceStore
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
        self._copy: _Copy[R] = _Copy(self._dependency, readiness)
        readiness.expect(self._dependency)

    @property
    def objects(self) -> Mapping[FleetKey, R]:
        """Return a read-only view of the copy."""
        return MappingProxyType(self._copy.objects)

    @property
    def resource_version(self) -> str:
        """Return the version the copy has reached."""
        return str(self._copy.version)

    async def wait_for(self, resource_version: str, *, timeout_seconds: float) -> bool:
        """Wait until the copy has reached a version; return whether it has."""

        def reached() -> bool:
            return self._copy.version >= int(resource_version or 0)

        async with self._copy.advanced:
            try:
                await asyncio.wait_for(self._copy.advanced.wait_for(reached), timeout_seconds)
            except TimeoutError:
                return False
            return True

    async def run(self, stopping: asyncio.Event) -> None:
        """Follow the store until ``stopping``; cancel to end at once."""
        following = asyncio.create_task(self._follow())
        try:
            await stopping.wait()
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following

    async def _follow(self) -> None:
        backoff = Backoff()
        while True:
            try:
                await follow(self._store, self._kind, self._copy)
            except Exception as error:
                # Nobody waits for this task: what it does not say, nobody hears.
                log.exception("%s failed; starting it again", self._dependency)
                self._readiness.fails(self._dependency, f"{type(error).__name__}: {error}")
                await asyncio.sleep(backoff.next_pause())


class _Copy(Generic[R]):
    """The objects, and how far they are."""

    def __init__(self, dependency: str, readiness: Readiness) -> None:
        self._dependency = dependency
        self._readiness = readiness
        self.objects: dict[FleetKey, R] = {}
        self.version = 0
        self.advanced = asyncio.Condition()

    def names(self) -> set[str]:
        return set(self.objects)

    def put(self, resource: R) -> None:
        metadata = resource.metadata
        self.objects[reactor_key(metadata.namespace, metadata.name)] = resource

    def remove(self, name: str) -> None:
        self.objects.pop(name, None)

    async def reached(self, version: str) -> None:
        async with self.advanced:
            self.version = int(version)
            self.advanced.notify_all()

    def listed(self) -> None:
        self._readiness.works(self._dependency)

    def failed(self, problem: str) -> None:
        self._readiness.fails(self._dependency, problem)
