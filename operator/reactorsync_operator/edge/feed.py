"""Feeds the fleet from Kubernetes: an own list at once, kopf's watch, and sweeps for the rest."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any, Final, NoReturn

from reactorsync.kube import ApiError, ApiUnavailable, JsonObject, KubeClient
from reactorsync.resources import AnomalyScenario, Kind, Reactor
from reactorsync.service import Backoff
from reactorsync.store.kubernetes_documents import (
    collection_path,
    items_of,
    metadata_of,
)
from reactorsync_operator.edge.kopf_watch import PAGE, KopfWatch
from reactorsync_operator.edge.mirror import Mirror, Sweep
from reactorsync_operator.edge.streams import WatchStreams
from reactorsync_operator.metrics import MISSED_EVENTS, RELISTS, WATCH_AGE
from reactorsync_operator.watcher import Views

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""How often the age of the watches is looked at."""

SOON_SECONDS: Final = 1.0
"""How long after a watch began anew the list is compared: deletions meanwhile are never told."""

GRACE_SECONDS: Final = 30.0
"""How long a watch may take to tell what a list has told already; longer, and it is deaf."""

DEAF_SWEEP_SECONDS: Final = 30.0
"""Time between two sweeps while a watch is deaf."""

_GONE: Final = 410
_ATTEMPTS: Final = 3

AnyMirror = Mirror[Reactor] | Mirror[AnomalyScenario]


class KopfFeed:
    """Keeps ``views`` equal to what the API server of ``client`` has in ``namespaces``.

    ``None`` stands for all namespaces. ``clock`` returns monotonic seconds.
    """

    def __init__(
        self,
        client: KubeClient,
        views: Views,
        *,
        namespaces: Collection[str] | None,
        sweep_seconds: float,
        inactivity_seconds: float,
        clock: Callable[[], float],
        spawned: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._swept = views.swept
        self._sweep_seconds = sweep_seconds
        self._limit_seconds = 2 * inactivity_seconds
        self._mirrors: dict[Kind, AnyMirror] = {
            Kind.REACTOR: Mirror(Reactor, views.reactors, clock=clock),
            Kind.ANOMALY_SCENARIO: Mirror(AnomalyScenario, views.scenarios, clock=clock),
        }
        within = (None,) if namespaces is None else tuple(namespaces)
        self._paths = {
            Kind.REACTOR: [collection_path(Reactor, each) for each in within],
            Kind.ANOMALY_SCENARIO: [collection_path(AnomalyScenario, each) for each in within],
        }
        self._listed = asyncio.Event()
        self._sweep_soon = asyncio.Event()
        self._deaf: dict[Kind, int] = {}
        self._streams = WatchStreams(clock, begun=self._sweep_soon.set)
        self._watch = KopfWatch(
            client.cluster,
            namespaces=namespaces,
            told=self._told,
            streams=self._streams,
            inactivity_seconds=inactivity_seconds,
            spawned=spawned,
        )

    @property
    def is_whole(self) -> bool:
        """Whether everything has been listed."""
        return self._listed.is_set()

    async def whole(self) -> None:
        """Wait until everything has been listed."""
        await self._listed.wait()

    def problems(self) -> Mapping[str, str]:
        """Return why the watch of a kind can no longer be trusted, by name of what to report."""
        found = {}
        for kind in self._paths:
            age = self._age(kind)
            if kind in self._deaf:
                found[f"watch of {kind}"] = (
                    f"deaf: it never told of {self._deaf[kind]} changes that a list had"
                )
            elif age > self._limit_seconds:
                found[f"watch of {kind}"] = f"the API server has said nothing for {age:.0f} s"
        return found

    async def run(self) -> None:
        """Follow until cancelled. Raises :class:`WatchEnded` when kopf ends by itself."""
        await self._list_first()
        for paths in self._paths.values():
            self._streams.expect(paths)
        self._listed.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch.run())
            group.create_task(self._keep_sweeping())
            group.create_task(self._look())

    def _told(self, kind: Kind, type_: str | None, body: Mapping[str, Any]) -> None:
        self._mirrors[kind].told(type_, body)

    def _age(self, kind: Kind) -> float:
        """Return the age of the watch that has been silent longest, 0 before there is any."""
        if not self._listed.is_set():
            return 0.0
        return max(map(self._streams.age, self._paths[kind]))

    async def _look(self) -> NoReturn:
        while True:
            for kind in self._paths:
                WATCH_AGE.labels(kind).set(self._age(kind))
            await asyncio.sleep(LOOK_SECONDS)

    async def _list_first(self) -> None:
        backoff = Backoff()
        for kind, mirror in self._mirrors.items():
            while True:
                try:
                    # Parsing makes no cycles; looking for them in a growing heap takes longer.
                    gc.disable()
                    await self._compare(kind, mirror)
                except (ApiUnavailable, ApiError) as error:
                    log.warning("cannot list %ss: %s", kind, _advice(error))
                    await asyncio.sleep(backoff.next_pause())
                else:
                    break
                finally:
                    gc.enable()
            mirror.finish_sweep()

    async def _keep_sweeping(self) -> NoReturn:
        while True:
            is_regular = await self._wait_for_sweep()
            missed: dict[Kind, int] = {}
            try:
                for kind, mirror in self._mirrors.items():
                    if count := await self._sweep(kind, mirror, is_regular=is_regular):
                        missed[kind] = count
            except (ApiUnavailable, ApiError) as error:
                # The watch, too, notices when the API server is away.
                log.warning("cannot compare with a full list: %s", error)
                await asyncio.sleep(SOON_SECONDS)
                continue
            if is_regular:
                self._deaf = missed
                self._swept()

    async def _wait_for_sweep(self) -> bool:
        """Wait until it is time; return whether that is a regular one, of which watches tell."""
        try:
            async with asyncio.timeout(DEAF_SWEEP_SECONDS if self._deaf else self._sweep_seconds):
                await self._sweep_soon.wait()
        except TimeoutError:
            return True
        await asyncio.sleep(SOON_SECONDS)
        self._sweep_soon.clear()
        return False

    async def _sweep(self, kind: Kind, mirror: AnyMirror, *, is_regular: bool) -> int:
        """Make the view equal to a list; return how many changes the watch never told of."""
        try:
            sweep = await self._compare(kind, mirror)
            if not is_regular:
                return 0
            ends = asyncio.get_running_loop().time() + GRACE_SECONDS
            while (
                sweep.untold or sweep.untold_deletions
            ) and asyncio.get_running_loop().time() < ends:
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            mirror.finish_sweep()
        changes, deletions = len(sweep.untold), len(sweep.untold_deletions)
        MISSED_EVENTS.labels(kind, "change").inc(changes)
        MISSED_EVENTS.labels(kind, "deletion").inc(deletions)
        if changes or deletions:
            log.error(
                "the watch of %ss missed %d changes and %d deletions; a list had them",
                kind,
                changes,
                deletions,
            )
        return changes

    async def _compare(self, kind: Kind, mirror: AnyMirror) -> Sweep:
        sweep = mirror.begin_sweep()
        for path in self._paths[kind]:
            async for page in self._pages(path):
                mirror.take_page(sweep, page)
        mirror.finish_list(sweep)
        RELISTS.labels(kind).inc()
        return sweep

    async def _pages(self, path: str) -> AsyncIterator[list[JsonObject]]:
        """Yield the pages of a list; the same object may come twice when it has to begin again."""
        attempt = 1
        following = ""
        while True:
            params = {"limit": str(PAGE)} | ({"continue": following} if following else {})
            try:
                page = await self._client.get(path, params=params)
            except ApiError as error:
                if error.code != _GONE or attempt == _ATTEMPTS:
                    raise
                attempt, following = attempt + 1, ""
                continue
            yield items_of(page)
            following = str(metadata_of(page).get("continue") or "")
            if not following:
                return


def _advice(error: ApiUnavailable | ApiError) -> str:
    if isinstance(error, ApiError) and error.code == 404:
        return "the custom resources are not installed: kubectl apply --server-side -f crds"
    return str(error)
