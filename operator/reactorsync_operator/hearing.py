"""Noticing that a shard's generator falls silent, or is heard of again."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reactorsync.wire.envelope import from_micros
from reactorsync_operator.reconcile.reactor import HEARTBEAT_LIMIT, NOTHING_HEARD

log = logging.getLogger(__name__)

_STAGGER_US: Final = 6_000_000
"""How far apart the last heartbeats of several shards may lie that end for one cause."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a look at a shard found.

    Attributes:
        has_changed: whether it was silent before and is not now, or the other way round.
        silent_at: when it falls silent if nothing more is heard; ``None`` if it is silent.
        outlived: silent shards that, as is known now, did not fall silent with all others.
    """

    has_changed: bool
    silent_at: datetime | None
    outlived: tuple[int, ...] = ()


class Hearing:
    """Which shards a generator is heard of on."""

    def __init__(self) -> None:
        self._heard_of: dict[int, bool] = {}
        self._last_us: dict[int, int] = {}
        self._newest_us = 0
        self._told_us = 0

    @property
    def count(self) -> int:
        """How many shards are heard of."""
        return sum(self._heard_of.values())

    def fell_with_all(self, shard: int) -> bool:
        """Return whether nothing was heard on any shard since ``shard`` was last heard of.

        All that fall silent for one cause do so within a few heartbeats, not at one moment.
        """
        last_us = self._last_us.get(shard)
        return last_us is not None and self._newest_us - last_us <= _STAGGER_US

    def look(self, shard: int, *, heartbeat_us: int, now: datetime) -> Heard:
        """Look at a shard whose newest heartbeat was sent at ``heartbeat_us``."""
        silent_at = from_micros(heartbeat_us) + HEARTBEAT_LIMIT
        is_heard_of, was_heard_of = now < silent_at, self._heard_of.get(shard)
        self._heard_of[shard] = is_heard_of
        self._last_us[shard] = heartbeat_us
        outlived = self._outlived(heartbeat_us)
        if was_heard_of and not is_heard_of:
            self._tell_silence(shard)
        return Heard(
            has_changed=is_heard_of != was_heard_of,
            silent_at=silent_at if is_heard_of else None,
            outlived=outlived,
        )

    def _outlived(self, heartbeat_us: int) -> tuple[int, ...]:
        """Take in the newest heartbeat; return the silent shards that it tells more of."""
        if heartbeat_us <= self._newest_us:
            return ()
        silent = [shard for shard, is_heard_of in self._heard_of.items() if not is_heard_of]
        before = [shard for shard in silent if self.fell_with_all(shard)]
        self._newest_us = heartbeat_us
        return tuple(shard for shard in before if not self.fell_with_all(shard))

    def _tell_silence(self, shard: int) -> None:
        if not self.fell_with_all(shard):
            log.warning("shard %d: its generator has fallen silent", shard)
        elif self._told_us != self._newest_us:
            self._told_us = self._newest_us
            log.warning("%s", NOTHING_HEARD)
