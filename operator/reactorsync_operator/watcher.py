"""Feeds the fleet from the store: lists, follows the watch, and lists again now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Final, Generic

from reactorsync.service import Backoff
from reactorsync.store import ResourceStore, StoreUnavailable, WatchEventType, WatchExpired
from reactorsync.store.port import R, WatchEvent
from reactorsync.wire.keys import reactor_key
from reactorsync_operator.metrics import RELISTS, WATCH_EVENTS

log = logging.getLogger(__name__)

_YIELD_EVERY: Final = 200
"""Resources taken in before other tasks get their turn."""


@dataclass(frozen=True, slots=True)
class View(Generic[R]):
    """Where the resources of one kind are kept.

    ``names`` returns ``namespace/name`` of all that are known, ``put`` takes one in as it is now,
    ``remove`` drops one that is gone.
    """

    names: Callable[[], set[str]]
    put: Callable[[R], None]
    remove: Callable[[str], None]


class Watcher(Generic[R]):
    """Keeps a view of one kind equal to the store.

    A watch may miss a deletion that happens while it is away. Therefore everything is listed again
    every ``sweep_seconds``, and what is not in the list is dropped; ``swept`` is called after that.
    """

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
        self.listed = asyncio.Event()
        """Set once all resources have been listed."""

    async def run(self) -> None:
        """Follow the store until cancelled. While it is away, the view stays as it is."""
        backoff = Backoff()
        while True:
            try:
                version = await self._list()
                backoff.reset()
                if self.listed.is_set() and self._swept is not None:
                    self._swept()
                self.listed.set()
                await self._follow(version)
            except WatchExpired as error:
                log.info("watch of %s: %s; listing again", self._kind.__name__, error)
            except StoreUnavailable as error:
                log.warning("watch of %s: %s", self._kind.__name__, error)
                await asyncio.sleep(backoff.next_pause())

    async def _list(self) -> str:
        found = await self._store.list(self._kind)
        RELISTS.labels(self._kind.__name__).inc()
        gone = self._view.names()
        for count, resource in enumerate(found.items, start=1):
            gone.discard(_name(resource))
            self._view.put(resource)
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
        for name in gone:
            self._view.remove(name)
        return found.resource_version

    async def _follow(self, version: str) -> None:
        """Take in changes until it is time to list again."""
        events = self._store.watch(self._kind, since=version)
        try:
            async with asyncio.timeout(self._sweep_seconds):
                count = 0
                async for event in events:
                    self._take(event)
                    count += 1
                    if count % _YIELD_EVERY == 0:
                        await asyncio.sleep(0)
        except TimeoutError:
            return
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    def _take(self, event: WatchEvent[R]) -> None:
        if event.object is None:
            return
        WATCH_EVENTS.labels(self._kind.__name__).inc()
        if event.type is WatchEventType.DELETED:
            self._view.remove(_name(event.object))
        else:
            self._view.put(event.object)


def _name(resource: R) -> str:
    return reactor_key(resource.metadata.namespace, resource.metadata.name)
