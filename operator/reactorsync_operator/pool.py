"""How many generators the fleet needs, and telling whoever starts them."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from reactorsync.planning.wording import counted
from reactorsync_operator.metrics import GENERATORS

log = logging.getLogger(__name__)

SHRINK_AFTER_SECONDS: Final = 60.0
"""How long fewer generators must be enough before some are stopped: moving shards has a price."""

LOOK_SECONDS: Final = 1.0


class GeneratorPool(Protocol):
    """Whoever starts and stops generators."""

    async def resize(self, replicas: int) -> None:
        """Ask for ``replicas`` generators. Raises ``OSError`` when that cannot be told now."""


class FilePool:
    """Tells the size by a file, ``{"replicas": n}``, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def resize(self, replicas: int) -> None:
        """Write the file, so that a reader never sees half of it."""
        await asyncio.to_thread(self._write, replicas)

    def _write(self, replicas: int) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f".{self._path.name}.new")
        beside.write_text(json.dumps({"replicas": replicas}) + "\n", encoding="utf-8")
        beside.replace(self._path)


def generators_for(readings_per_second: float, *, capacity: int, shards: int) -> int:
    """Return how many generators make so many readings: at least one, at most one a shard."""
    return min(max(math.ceil(readings_per_second / capacity), 1), shards)


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
    """Resize the pool as the need changes, until cancelled. ``clock`` returns monotonic seconds."""
    size = PoolSize()
    told: int | None = None
    while True:
        wanted = size.follow(needed(), now=clock())
        GENERATORS.set(wanted)
        if wanted != told:
            try:
                await pool.resize(wanted)
            except OSError as error:
                log.warning("cannot ask for %s: %s", counted(wanted, "generator"), error)
            else:
                log.info("the fleet needs %s", counted(wanted, "generator"))
                told = wanted
        await asyncio.sleep(LOOK_SECONDS)
