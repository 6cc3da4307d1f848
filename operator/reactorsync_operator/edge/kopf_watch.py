"""kopf, embedded: it lists and watches, and calls one function for each event. Nothing else.

No handler of kopf's that needs a state is registered, so it writes nothing: no finalizer, no
annotation, no event, no peering object. What it would keep in annotations goes nowhere, and the
name of its finalizer is our own, so that even a mistake would touch nobody else's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, NoReturn

import aiohttp
import kopf

from reactorsync.kube import Cluster, open_session
from reactorsync.resources import Kind
from reactorsync.resources.crd_presentation import PRESENTATIONS
from reactorsync.resources.meta import GROUP, VERSION
from reactorsync_operator.api_requests import counting
from reactorsync_operator.edge.streams import WatchStreams
from reactorsync_operator.watcher import WatchEnded

log = logging.getLogger(__name__)

PREFIX: Final = f"operator.{GROUP}"

PAGE: Final = 500
"""Objects that one answer to a list holds."""

STOP_SECONDS: Final = 5.0
"""How long kopf may take to end once it was asked to."""

_RETRYING: Final = "kopf._cogs.clients.watching"
"""Where kopf logs each attempt of a list or a watch that fails."""

Told = Callable[[Kind, str | None, Mapping[str, Any]], None]
"""What is called for each event: kind, type (``None`` for what a list holds), the object."""


class KopfWatch:
    """Watches all kinds in ``namespaces``, ``None`` for the whole cluster.

    A watch that is silent for ``inactivity_seconds`` is made anew. ``spawned`` is called whenever
    kopf runs: it takes the signals of the process for itself, which is when to take them back.

    kopf ends as a whole when one namespace lets it no longer watch. Then ``look_again`` is awaited,
    which may call :meth:`serve`; when it does, kopf is begun anew with what is left.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        namespaces: Collection[str] | None,
        told: Told,
        streams: WatchStreams,
        inactivity_seconds: float,
        spawned: Callable[[], None],
        look_again: Callable[[], Awaitable[None]],
    ) -> None:
        self._cluster = cluster
        self._namespaces = frozenset(namespaces) if namespaces is not None else None
        self._told = told
        self._streams = streams
        self._inactivity_seconds = inactivity_seconds
        self._spawned = spawned
        self._look_again = look_again
        self._changed = asyncio.Event()
        self._sessions: list[aiohttp.ClientSession] = []

    def serve(self, namespaces: Collection[str]) -> None:
        """Watch these namespaces from now on; none at all is nothing to do until the next call."""
        if self._namespaces != frozenset(namespaces):
            self._namespaces = frozenset(namespaces)
            self._changed.set()

    async def run(self) -> NoReturn:
        """Watch until cancelled.

        Raises:
            WatchEnded: kopf gave up.
        """
        # It says of each event that it was handled, and of each watch that it was made again.
        logging.getLogger("kopf").setLevel(logging.WARNING)
        logging.getLogger(_RETRYING).addFilter(is_no_further_attempt)
        while True:
            self._changed.clear()
            if self._namespaces is None or self._namespaces:
                await self._watch()
            else:
                await self._changed.wait()

    async def _watch(self) -> None:
        """Watch until there is something else to watch."""
        # Not `kopf.operator`: at its end it cancels whatever else began after it in this loop.
        tasks = await kopf.spawn_tasks(
            registry=self._registry(),
            settings=watch_settings(self._inactivity_seconds),
            standalone=True,
            clusterwide=self._namespaces is None,
            namespaces=self._namespaces or (),
        )
        self._spawned()
        changed = asyncio.create_task(self._changed.wait())
        try:
            done, _ = await asyncio.wait([*tasks, changed], return_when=asyncio.FIRST_COMPLETED)
            if changed in done:
                return
            one = done.pop()
            problem = None if one.cancelled() else one.exception()
            if self._namespaces is not None:
                await self._look_again()
            if not self._changed.is_set():
                raise WatchEnded(f"kopf has ended: {one.get_name()}: {problem!r}") from problem
        finally:
            changed.cancel()
            await _stop(tasks)
            # It closes them when it ends in order, but not when one of its tasks has failed.
            while self._sessions:
                await self._sessions.pop().close()

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._login)
        for kind in Kind:
            plural = PRESENTATIONS[kind].plural
            kopf.on.event(GROUP, VERSION, plural, id=plural, registry=registry)(self._teller(kind))
        return registry

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        session = open_session(
            self._cluster,
            connections=0,
            user_agent="reactorsync-operator kopf",
            traces=[counting()],
        )
        self._sessions.append(session)
        self._streams.follow(session)
        return kopf.AiohttpSession(
            aiohttp_session=session,
            server=self._cluster.server,
            default_namespace=self._cluster.namespace,
        )

    def _teller(self, kind: Kind) -> Any:
        # Asynchronous, for kopf runs other functions in threads.
        async def tell(*, event: kopf.RawEvent, **_: Any) -> None:
            try:
                self._told(kind, event["type"], event["object"])
            except Exception:
                log.exception("an event of a %s could not be taken in", kind)

        return tell


def is_no_further_attempt(record: logging.LogRecord) -> bool:
    """Return whether a line of kopf's log is not the second or a later attempt of one request."""
    message = record.getMessage()
    return not (
        message.startswith("Request attempt #")
        and not message.startswith("Request attempt #1/")
        and "will retry" in message
    )


def watch_settings(inactivity_seconds: float) -> kopf.OperatorSettings:
    """Return settings under which kopf watches, keeps quiet and writes nothing."""
    settings = kopf.OperatorSettings()
    # It would kill the whole process some time after it was asked to end.
    settings.process.ultimate_exiting_timeout = None
    settings.posting.enabled = False
    # Which kinds and namespaces there are is known: watching that takes rights in all the cluster.
    settings.scanning.disabled = True
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
    settings.watching.connect_timeout = 10
    settings.watching.inactivity_timeout = inactivity_seconds
    settings.watching.reconnect_backoff = 0.1
    settings.watching.chunk_size = PAGE
    settings.networking.request_timeout = 20
    settings.networking.connect_timeout = 10
    # Longer than an API server takes to restart: only then does it give up.
    settings.networking.error_backoffs = (0.5, 1, 1, 2, 3, *(5,) * 20)
    # A task for each object, but only as long as it has something to do.
    settings.queueing.idle_timeout = 0.2
    settings.queueing.exit_timeout = 0.5
    settings.persistence.finalizer = f"{PREFIX}/unused"
    settings.persistence.progress_storage = _NoProgress()
    settings.persistence.diffbase_storage = _NoDiffBase()
    return settings


class _NoProgress(kopf.ProgressStorage):
    """Remembers nothing of handlers; none of ours has anything to remember."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass

    def purge(self, **_: Any) -> None:
        pass

    def touch(self, **_: Any) -> None:
        pass

    def clear(self, *, essence: Any) -> Any:
        return essence


class _NoDiffBase(kopf.DiffBaseStorage):
    """Finds no difference: the copy of each object that it takes would be thrown away."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


async def _stop(tasks: Collection[asyncio.Task[Any]]) -> None:
    # Its clean-up waits for its other tasks, and needs a second push if those do not end.
    pending = set(tasks)
    for _ in range(2):
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=STOP_SECONDS)
        if not pending:
            return
    log.warning("kopf does not end: %s", ", ".join(task.get_name() for task in pending))
