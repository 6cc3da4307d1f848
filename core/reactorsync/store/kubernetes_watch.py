"""Following an API server: one watch for each namespace, resumed where it broke off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final, Generic

from reactorsync.kube import ApiError, ApiUnavailable, JsonObject, KubeClient
from reactorsync.kube.client import api_error
from reactorsync.service import Backoff
from reactorsync.store.kubernetes_documents import (
    collection_path,
    metadata_of,
    read_document,
    version_of,
)
from reactorsync.store.kubernetes_errors import store_error
from reactorsync.store.port import R, WatchEvent, WatchEventType, WatchExpired
from reactorsync.store.reading import kind_name, read_or_pass_over

log = logging.getLogger(__name__)

SERVER_SECONDS: Final = 300
"""After which the server ends a watch in good order: so that load spreads over its replicas."""

_QUEUED_EVENTS: Final = 64
"""Of all namespaces together; a watch whose events nobody takes waits, and the server with it."""

_SERVER_ERROR: Final = 500


def watch(
    client: KubeClient,
    kind: type[R],
    *,
    since: str,
    namespaces: Sequence[str | None],
    inactivity_seconds: float,
    outage_seconds: float,
) -> AsyncGenerator[WatchEvent[R]]:
    """Yield the changes after ``since``, as :meth:`ResourceStore.watch` says.

    ``None`` among ``namespaces`` stands for all. A watch that broke off, or was silent for
    ``inactivity_seconds``, goes on where it was; only when that fails for ``outage_seconds`` it
    raises :class:`StoreUnavailable`.
    """
    watches = [
        _Watch(
            client,
            kind,
            namespace,
            inactivity_seconds=inactivity_seconds,
            outage_seconds=outage_seconds,
        )
        for namespace in namespaces
    ]
    if len(watches) == 1:
        return watches[0].events(since)
    return _merged([each.events(since) for each in watches], since)


class _Watch(Generic[R]):
    """The watch of one namespace."""

    def __init__(
        self,
        client: KubeClient,
        kind: type[R],
        namespace: str | None,
        *,
        inactivity_seconds: float,
        outage_seconds: float,
    ) -> None:
        self._client = client
        self._kind: type[R] = kind
        self._path = collection_path(kind, namespace)
        self._title = f"watch of {kind_name(kind)}" + (f" in {namespace}" if namespace else "")
        self._inactivity_seconds = inactivity_seconds
        self._outage_seconds = outage_seconds
        self._backoff = Backoff(first_seconds=0.1, limit_seconds=5.0)
        self._lost_at: float | None = None

    async def events(self, since: str) -> AsyncGenerator[WatchEvent[R]]:
        """Yield the changes after ``since``; its version is what to go on from."""
        if not since.isdecimal():
            raise WatchExpired(f"version {since!r} is not of this store")
        version = since
        clock = asyncio.get_running_loop().time
        while True:
            try:
                async with aclosing(self._documents(version)) as documents:
                    async for document in documents:
                        event = self._event(document)
                        version = event.resource_version
                        yield event
            except (ApiError, ApiUnavailable) as error:
                is_outage = isinstance(error, ApiUnavailable) or error.code >= _SERVER_ERROR
                self._lost_at = clock() if self._lost_at is None else self._lost_at
                if not is_outage or clock() - self._lost_at >= self._outage_seconds:
                    raise store_error(error, self._title) from error
                log.warning("%s broke off: %s", self._title, error)
            await asyncio.sleep(self._backoff.next_pause())

    def _documents(self, version: str) -> AsyncGenerator[JsonObject]:
        return self._client.stream(
            self._path,
            params={
                "watch": "true",
                "resourceVersion": version,
                "allowWatchBookmarks": "true",
                "timeoutSeconds": str(SERVER_SECONDS),
            },
            inactivity_seconds=self._inactivity_seconds,
            opened=self._opened,
        )

    def _opened(self) -> None:
        self._lost_at = None

    def _event(self, document: JsonObject) -> WatchEvent[R]:
        """Return the event that a document is. Raises :class:`ApiError` if it is one of those.

        An object that cannot be read is passed over; its version counts all the same.
        """
        type_, seen = document.get("type"), document.get("object")
        if not isinstance(seen, dict):
            raise ApiUnavailable("the API server sends a watch event without an object")
        if type_ == "ERROR":
            code = seen.get("code")
            raise api_error(code if isinstance(code, int) else _SERVER_ERROR, seen)
        self._backoff.reset()
        metadata_of(seen).pop("managedFields", None)
        found: R | None = None
        if type_ != WatchEventType.BOOKMARK:
            found = read_or_pass_over(self._kind, seen, read_document)
        return WatchEvent(
            type=WatchEventType(str(type_)) if found is not None else WatchEventType.BOOKMARK,
            object=found,
            resource_version=version_of(seen),
        )


async def _merged(
    watches: Sequence[AsyncGenerator[WatchEvent[R]]], since: str
) -> AsyncGenerator[WatchEvent[R]]:
    """Yield the events of all watches; the version of each is one that all have reached."""
    queue: asyncio.Queue[tuple[int, WatchEvent[R] | None]] = asyncio.Queue(_QUEUED_EVENTS)

    async def follow(number: int, events: AsyncGenerator[WatchEvent[R]]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    await queue.put((number, event))
        except Exception:
            await queue.put((number, None))
            raise

    tasks = [asyncio.create_task(follow(number, each)) for number, each in enumerate(watches)]
    reached = [since] * len(watches)
    try:
        while True:
            number, event = await queue.get()
            if event is None:
                await tasks[number]
                continue
            reached[number] = event.resource_version
            yield replace(event, resource_version=min(reached, key=int))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
