"""Keeping a view of one kind equal to the store: list once, follow the watch, list again."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import Final, NoReturn, Protocol, TypeVar

from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.service import Backoff
from reactorsync.store.port import (
    R,
    ResourceStore,
    StoreUnavailable,
    WatchEventType,
    WatchExpired,
)
from reactorsync.wire.keys import reactor_key

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 300.0

_YIELD_EVERY: Final = 200
"""Resources taken in before other tasks get their turn."""


R_contra = TypeVar("R_contra", Reactor, AnomalyScenario, contravariant=True)


class View(Protocol[R_contra]):
    """What follows the store; names are ``namespace/name``."""

    def names(self) -> set[str]:
        """Return the names of all that are known."""
        ...

    def put(self, resource: R_contra) -> None:
        """Take a resource in as it is now."""

    def remove(self, name: str) -> None:
        """Drop a resource that is gone."""

    async def reached(self, version: str) -> None:
        """Take note that the view is now as the store was at ``version``."""

    def listed(self) -> None:
        """Take note that everything was listed: the view is whole, and the store is there."""

    def failed(self, problem: str) -> None:
        """Take note that the store is away; the view stays as it is."""


async def follow(
    store: ResourceStore,
    kind: type[R],
    view: View[R],
    *,
    sweep_seconds: float = SWEEP_SECONDS,
) -> NoReturn:
    """Keep ``view`` equal to the store until cancelled.

    A watch may miss a deletion that happens while it is away. Therefore everything is listed again
    every ``sweep_seconds``, and what is not in the list is dropped. While the store is away the
    view stays as it was; the pauses between attempts grow. An object that can no longer be read
    stays as it was last known.
    """
    backoff = Backoff()
    while True:
        try:
            version = await _list(store, kind, view)
            backoff.reset()
            await _watch(store, kind, view, since=version, seconds=sweep_seconds)
        except WatchExpired as error:
            log.info("watch of %s: %s; listing again", kind.__name__, error)
        except StoreUnavailable as error:
            log.warning("watch of %s: %s", kind.__name__, error)
            view.failed(str(error))
            await asyncio.sleep(backoff.next_pause())


async def _list(store: ResourceStore, kind: type[R], view: View[R]) -> str:
    found = await store.list(kind)
    gone = view.names() - found.unreadable
    for count, resource in enumerate(found.items, start=1):
        gone.discard(_name(resource))
        view.put(resource)
        if count % _YIELD_EVERY == 0:
            await asyncio.sleep(0)
    for name in gone:
        view.remove(name)
    await view.reached(found.resource_version)
    view.listed()
    return found.resource_version


async def _watch(
    store: ResourceStore, kind: type[R], view: View[R], *, since: str, seconds: float
) -> None:
    """Take in changes until it is time to list again."""
    try:
        async with (
            asyncio.timeout(seconds),
            aclosing(store.watch(kind, since=since)) as events,
        ):
            count = 0
            async for event in events:
                if event.object is not None:
                    if event.type is WatchEventType.DELETED:
                        view.remove(_name(event.object))
                    else:
                        view.put(event.object)
                await view.reached(event.resource_version)
                count += 1
                if count % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
    except TimeoutError:
        return


def _name(resource: R) -> str:
    return reactor_key(resource.metadata.namespace, resource.metadata.name)
