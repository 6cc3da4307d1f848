"""Checkpoints in a folder, beside a broker that forgets: one file per shard."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Collection
from pathlib import Path

log = logging.getLogger(__name__)


class CheckpointShelf:
    """Keeps the newest checkpoint of each shard in ``folder``, where all generators find it.

    Blocking calls: they belong in a thread. A shelf that cannot be written or read is worth a
    warning and no more, since the broker has the checkpoints too.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, shard: int, value: bytes) -> None:
        """Replace a shard's checkpoint in one step: a reader finds the old one or the new one."""
        path = self._path(shard)
        new = path.with_suffix(f".{os.getpid()}.new")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.write_bytes(value)
            new.replace(path)
        except OSError as error:
            log.warning("checkpoint of shard %d is not kept on disk: %s", shard, error)
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)

    def get(self, shards: Collection[int]) -> list[bytes]:
        """Return the checkpoints of ``shards``, as far as there are any."""
        found = []
        for shard in shards:
            try:
                found.append(self._path(shard).read_bytes())
            except FileNotFoundError:
                continue
            except OSError as error:
                log.warning("checkpoint of shard %d cannot be read from disk: %s", shard, error)
        return found

    def _path(self, shard: int) -> Path:
        return self._folder / f"shard-{shard}.arrow"
