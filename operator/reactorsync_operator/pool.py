"""How many generators the fleet needs, and telling whoever starts them."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final, Protocol

from reactorsync.kube.client import JsonObject, KubeClient
from reactorsync.kube.errors import ApiError, ApiUnavailable
from reactorsync.planning.wording import counted
from reactorsync.service import Backoff
from reactorsync_operator.leadership import MayWrite, always, check
from reactorsync_operator.metrics import GENERATORS, POOL_ERRORS

log = logging.getLogger(__name__)

SHRINK_AFTER_SECONDS: Final = 60.0
"""How long fewer generators must be enough before some are stopped: moving shards has a price."""

LOOK_SECONDS: Final = 1.0

LOOK_AGAIN_SECONDS: Final = 60.0
"""How often a pool is told its size although nothing changed."""

LONGEST_PAUSE_SECONDS: Final = 60.0
"""Between two attempts, while the pool cannot be resized."""


class GeneratorPool(Protocol):
    """Whoever starts and stops generators."""

    async def resize(self, replicas: int) -> None:
        """Ask for ``replicas`` generators. Raises :class:`PoolUnavailable` if not possible now."""


class PoolUnavailable(Exception):
    """The pool cannot be resized now; the text says what to do, ``reason`` is one word for it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class FilePool:
    """Tells the size by a file, ``{"replicas": n}``, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def resize(self, replicas: int) -> None:
        """Write the file, so that a reader never sees half of it."""
        try:
            await asyncio.to_thread(self._write, replicas)
        except OSError as error:
            raise PoolUnavailable("File", str(error)) from error

    def _write(self, replicas: int) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f".{self._path.name}.new")
        beside.write_text(json.dumps({"replicas": replicas}) + "\n", encoding="utf-8")
        beside.replace(self._path)


class ScalePool:
    """Sets the size of a StatefulSet or Deployment through its ``scale`` subresource.

    ``workload`` is ``statefulset/NAME`` or ``deployment/NAME``. Other fields of it are nobody's
    business here; whoever templates it leaves ``replicas`` out. A size that somebody else has set
    meanwhile stays until the next attempt.
    """

    def __init__(
        self, client: KubeClient, *, namespace: str, workload: str, may_write: MayWrite = always
    ) -> None:
        kind, _, name = workload.partition("/")
        self._client = client
        self._path = f"/apis/apps/v1/namespaces/{namespace}/{kind}s/{name}/scale"
        self._named = f"{workload} in namespace {namespace}"
        self._may_write = may_write

    async def resize(self, replicas: int) -> None:
        """Set the size, unless it is that already."""
        try:
            scale = await self._client.get(self._path)
            spec = scale.get("spec")
            # An absent number is zero: JSON of Kubernetes leaves zeros out.
            current = spec.get("replicas", 0) if isinstance(spec, dict) else 0
            if current == replicas:
                return
            check(self._may_write)
            await self._client.merge_patch(self._path, _patch(scale, replicas))
        except ApiUnavailable as error:
            raise PoolUnavailable("ApiUnavailable", str(error)) from error
        except ApiError as error:
            raise PoolUnavailable(error.reason or str(error.code), self._advice(error)) from error

    def _advice(self, error: ApiError) -> str:
        if error.code == HTTPStatus.NOT_FOUND:
            return f"there is no {self._named}: check generator_workload and generator_namespace"
        if error.code == HTTPStatus.FORBIDDEN:
            return f"no right to get and patch the scale of {self._named}: {error.message}"
        return f"{self._named}: {error}"


def _patch(scale: JsonObject, replicas: int) -> JsonObject:
    """Return what sets the size of the workload whose scale was read, unless it has changed."""
    patch: JsonObject = {"spec": {"replicas": replicas}}
    metadata = scale.get("metadata")
    if isinstance(metadata, dict) and (version := metadata.get("resourceVersion")):
        patch["metadata"] = {"resourceVersion": version}
    return patch


def generators_for(
    readings_per_second: float,
    *,
    capacity: float,
    shards: int,
    at_least: int = 1,
    at_most: int | None = None,
) -> int:
    """Return how many generators make so many readings, within the bounds.

    More than one a shard would have nothing to do; not even ``at_least`` asks for that.
    """
    most = min(shards, at_most) if at_most is not None else shards
    return min(max(math.ceil(readings_per_second / capacity), at_least), most)


class PoolSize:
    """The size over time: grows at once, shrinks when less has been enough for a while.

    After a while of needing less, it shrinks to the most that was needed within that while.
    """

    def __init__(self) -> None:
        self.size = 0
        self._enough = 0
        self._less_since: float | None = None

    def follow(self, needed: int, *, now: float) -> int:
        """Return the size for a need of ``needed`` generators at ``now``, monotonic seconds."""
        if needed >= self.size:
            self.size, self._less_since = needed, None
            return self.size
        if self._less_since is None:
            self._less_since, self._enough = now, needed
        self._enough = max(self._enough, needed)
        if now - self._less_since >= SHRINK_AFTER_SECONDS:
            self.size, self._less_since = self._enough, None
        return self.size


async def keep_pool(
    pool: GeneratorPool, needed: Callable[[], int], *, clock: Callable[[], float]
) -> None:
    """Resize the pool as the need changes, until cancelled. ``clock`` returns monotonic seconds.

    Somebody else may resize it, too: every :data:`LOOK_AGAIN_SECONDS` it is told again.
    """
    size = PoolSize()
    backoff = Backoff(first_seconds=LOOK_SECONDS, limit_seconds=LONGEST_PAUSE_SECONDS)
    told: int | None = None
    told_at = again_at = float("-inf")
    while True:
        now = clock()
        wanted = size.follow(needed(), now=now)
        GENERATORS.set(wanted)
        is_due = wanted != told or now - told_at >= LOOK_AGAIN_SECONDS
        if is_due and now >= again_at:
            try:
                await pool.resize(wanted)
            except PoolUnavailable as error:
                POOL_ERRORS.labels(error.reason).inc()
                again_at = now + backoff.next_pause()
                log.warning("cannot ask for %s: %s", counted(wanted, "generator"), error)
            else:
                backoff.reset()
                if wanted != told:
                    log.info("the fleet needs %s", counted(wanted, "generator"))
                told, told_at = wanted, now
        await asyncio.sleep(LOOK_SECONDS)
