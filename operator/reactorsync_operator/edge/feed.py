"""Feeds the fleet from Kubernetes: an own list at once, kopf's watch, and sweeps for the rest."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, NoReturn

from reactorsync.kube import ApiError, ApiUnavailable, JsonObject, KubeClient
from reactorsync.resources import AnomalyScenario, Kind, Reactor
from reactorsync.resources.crd_presentation import PRESENTATIONS
from reactorsync.service import Backoff, OutageLog
from reactorsync.store.kubernetes_documents import (
    collection_path,
    items_of,
    metadata_of,
)
from reactorsync.store.port import R
from reactorsync_operator.edge.invalid_specs import InvalidSpecs
from reactorsync_operator.edge.kopf_watch import PAGE, KopfWatch
from reactorsync_operator.edge.mirror import Mirror, Sweep
from reactorsync_operator.edge.namespaces import is_gone, warn_of_missing
from reactorsync_operator.edge.streams import Followed, WatchStreams
from reactorsync_operator.metrics import CLOSED_NAMESPACES, MISSED_EVENTS, RELISTS, WATCH_AGE
from reactorsync_operator.watcher import View, Views

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""How often the age of the watches is looked at."""

SOON_SECONDS: Final = 1.0
"""How long after a watch began anew the list is compared: deletions meanwhile are never told."""

GRACE_SECONDS: Final = 30.0
"""How long a watch may take to tell what a list has told already; longer, and it is deaf."""

DEAF_SWEEP_SECONDS: Final = 30.0
"""Time between two sweeps while a watch is deaf."""

LONGEST_PAUSE_SECONDS: Final = 30.0
"""How long a list that keeps failing is left alone at most."""

_FORBIDDEN: Final = 403
_GONE: Final = 410
_ATTEMPTS: Final = 3

AnyMirror = Mirror[Reactor] | Mirror[AnomalyScenario]


class KopfFeed:
    """Keeps ``views`` equal to what the API server of ``client`` has in ``namespaces``.

    ``None`` stands for all namespaces. ``clock`` returns monotonic seconds. ``invalid`` is told of
    the objects that cannot be read.

    A namespace that refuses to be listed is closed: what is known of it stays as it was, the others
    go on, and each sweep tries again. Only when all of them refuse is there nothing to begin with.
    One that is known to exist no longer is not closed but empty.
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
        invalid: InvalidSpecs | None = None,
    ) -> None:
        self._client = client
        self._swept, self._cleared_up = views.swept, views.cleared_up
        self._clock = clock
        self._sweep_seconds = sweep_seconds
        self._limit_seconds = 2 * inactivity_seconds
        self._mirrors: dict[Kind, AnyMirror] = {
            Kind.REACTOR: self._mirror(Reactor, views.reactors, invalid),
            Kind.ANOMALY_SCENARIO: self._mirror(AnomalyScenario, views.scenarios, invalid),
        }
        self._namespaces = None if namespaces is None else frozenset(namespaces)
        within = (None,) if namespaces is None else tuple(namespaces)
        self._paths = {
            Kind.REACTOR: {each: collection_path(Reactor, each) for each in within},
            Kind.ANOMALY_SCENARIO: {
                each: collection_path(AnomalyScenario, each) for each in within
            },
        }
        self._refusals: dict[tuple[str, Kind], str] = {}
        self._gone: set[str] = set()
        self._next_sweep_at = float("inf")
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
            look_again=self._look_again,
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
        found: dict[str, str] = {}
        for kind in self._paths:
            age = self._age(kind)
            if kind in self._deaf:
                found[f"watch of {kind}"] = (
                    f"deaf: it never told of {self._deaf[kind]} changes that a list had"
                )
            elif age > self._limit_seconds:
                found[f"watch of {kind}"] = f"the API server has said nothing for {age:.0f} s"
        return found

    def closed(self) -> Mapping[str, str]:
        """Return the namespaces that refuse to be listed, and what each of them answers."""
        return {
            namespace: problem
            for (namespace, _), problem in self._refusals.items()
            if namespace not in self._gone
        }

    def unwatched(self) -> Mapping[str, str]:
        """Return the watches that the API server forbids, by name of what to report."""
        found: dict[str, str] = {}
        for kind, paths in self._paths.items():
            for namespace, path in paths.items():
                if self._streams.is_forbidden(path):
                    where = "in all namespaces" if namespace is None else f"in {namespace}"
                    plural = PRESENTATIONS[kind].plural
                    found[f"watch of {kind} {where}"] = f"no right to watch {plural} {where}"
        return found

    async def run(self) -> None:
        """Follow until cancelled. Raises :class:`WatchEnded` when kopf ends by itself."""
        await self._list_first()
        await warn_of_missing(self._client, self._namespaces or ())
        self._serve_what_is_open()
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
        return max(map(self._streams.age, self._open_paths(kind)), default=0.0)

    def _open_paths(self, kind: Kind) -> list[str]:
        refusing = self._refusing_namespaces()
        return [path for namespace, path in self._paths[kind].items() if namespace not in refusing]

    def _refusing_namespaces(self) -> set[str]:
        return {namespace for namespace, _ in self._refusals}

    def _serve_what_is_open(self) -> None:
        """Watch the namespaces that can be listed, and no others: kopf gives up over one."""
        CLOSED_NAMESPACES.set(len(self.closed()))
        for kind, paths in self._paths.items():
            is_open = self._open_paths(kind)
            self._streams.forget(set(paths.values()).difference(is_open))
            mirror = self._mirrors[kind]
            self._streams.expect(
                {
                    path: Followed(mirror.echoes, partial(mirror.count, namespace))
                    for namespace, path in paths.items()
                    if path in is_open
                }
            )
        if self._namespaces is not None:
            self._watch.serve(self._namespaces.difference(self._refusing_namespaces()))

    async def _look_again(self) -> None:
        """Find out which namespaces can be listed now."""
        try:
            for kind, paths in self._paths.items():
                for namespace, path in paths.items():
                    with self._refusing(kind, namespace, lists_all=False):
                        await self._client.get(path, params={"limit": "1"})
        except (ApiUnavailable, ApiError) as error:
            log.warning("cannot look which namespaces are closed: %s", error)
        self._serve_what_is_open()

    @contextmanager
    def _refusing(
        self, kind: Kind, namespace: str | None, *, lists_all: bool = True
    ) -> Iterator[None]:
        """Note whether a namespace refuses what is done in the context.

        It is closed until all that it holds has been listed: what is not known is not gone.
        """
        try:
            yield
        except ApiError as error:
            if namespace is None or error.code != _FORBIDDEN:
                raise
            if namespace not in self._refusing_namespaces():
                log.error("namespace %s is closed to this operator: %s", namespace, error.message)
            self._refusals[namespace, kind] = error.message
        else:
            if namespace is None or (namespace, kind) not in self._refusals:
                return
            if not lists_all:
                self._sweep_soon.set()
                return
            del self._refusals[namespace, kind]
            log.info("namespace %s lets %ss be listed again", namespace, kind)

    async def _look(self) -> NoReturn:
        while True:
            for kind in self._paths:
                WATCH_AGE.labels(kind).set(self._age(kind))
            await asyncio.sleep(LOOK_SECONDS)

    async def _list_first(self) -> None:
        backoff, outage = Backoff(), OutageLog(log, "first list")
        for kind, mirror in self._mirrors.items():
            while True:
                try:
                    # Parsing makes no cycles; looking for them in a growing heap takes longer.
                    gc.disable()
                    await self._compare(kind, mirror)
                except (ApiUnavailable, ApiError) as error:
                    outage.fails(f"cannot list {kind}s: {_advice(error)}")
                    await asyncio.sleep(backoff.next_pause())
                else:
                    outage.works()
                    if self._open_paths(kind) or not self.closed():
                        break
                    await asyncio.sleep(backoff.next_pause())
                finally:
                    gc.enable()
            mirror.finish_sweep()

    async def _keep_sweeping(self) -> NoReturn:
        self._next_sweep_at = self._clock() + self._sweep_seconds
        outage = OutageLog(log, "comparing with a full list")
        backoff = Backoff(SOON_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            is_regular = await self._wait_for_sweep()
            # Before the list: a watch that begins while it is under way asks for another one.
            self._sweep_soon.clear()
            missed: dict[Kind, int] = {}
            closed = self.closed().keys()
            try:
                for kind, mirror in self._mirrors.items():
                    if count := await self._sweep(kind, mirror, is_regular=is_regular):
                        missed[kind] = count
            except (ApiUnavailable, ApiError) as error:
                # The watch, too, notices when the API server is away.
                outage.fails(str(error))
                if not is_regular:
                    self._sweep_soon.set()
                await asyncio.sleep(backoff.next_pause())
                continue
            backoff.reset()
            outage.works()
            self._serve_what_is_open()
            if closed - self.closed().keys():
                self._cleared_up()
            if is_regular:
                self._deaf = missed
                pause = DEAF_SWEEP_SECONDS if missed else self._sweep_seconds
                self._next_sweep_at = self._clock() + pause
                self._swept()

    async def _wait_for_sweep(self) -> bool:
        """Wait until it is time; return whether that is a regular one, of which watches tell.

        Watches that keep beginning anew do not put it off.
        """
        try:
            async with asyncio.timeout(max(self._next_sweep_at - self._clock(), 0.0)):
                await self._sweep_soon.wait()
                await asyncio.sleep(SOON_SECONDS)
        except TimeoutError:
            return True
        return False

    async def _sweep(self, kind: Kind, mirror: AnyMirror, *, is_regular: bool) -> int:
        """Make the view equal to a list; return how many changes the watch never told of."""
        try:
            refusals = set(self._refusals)
            sweep = await self._compare(kind, mirror)
            if not is_regular or refusals != set(self._refusals):
                # What a namespace shows that was closed until now, no watch can have told.
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
        for namespace, path in self._paths[kind].items():
            with self._refusing(kind, namespace):
                async for page in self._pages(path):
                    mirror.take_page(sweep, page)
        await self._look_for_gone()
        closed = self.closed()
        for uid, name in list(sweep.known.items()):
            if name.partition("/")[0] in closed:
                # Not to be found is not to be gone.
                del sweep.known[uid]
        mirror.finish_list(sweep)
        RELISTS.labels(kind).inc()
        return sweep

    async def _look_for_gone(self) -> None:
        """Find out which of the namespaces that refuse to be listed do not exist."""
        gone = {one for one in self._refusing_namespaces() if await is_gone(self._client, one)}
        for namespace in sorted(gone - self._gone):
            log.warning("namespace %s does not exist: what was known of it is gone", namespace)
        self._gone = gone

    def _mirror(self, kind: type[R], view: View[R], invalid: InvalidSpecs | None) -> Mirror[R]:
        # Its faults end, for whoever leads next does not know them; a plant goes on as published.
        drops = kind is AnomalyScenario
        if invalid is None:
            return Mirror(kind, view, clock=self._clock, drops_unreadable=drops)

        def accepted(uid: str) -> None:
            invalid.accept(uid)
            self._cleared_up()

        return Mirror(
            kind,
            view,
            clock=self._clock,
            drops_unreadable=drops,
            refused=invalid.refuse,
            accepted=accepted,
        )

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
