"""Names of the topics and how each is kept.

Apache Kafka enforces retention and compaction itself. The embedded broker does neither and slows
down as a partition grows, so its profile cuts the topics that keep growing into time slots: a slot
is a topic of its own, named by its number, created ahead and deleted when it has been consumed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

MAX_RECORD_BYTES: Final = 16 << 20
"""Largest key and value of a record, together: far above any frame that the generators make."""

_BATCH_OVERHEAD_BYTES: Final = 1 << 20

SNAPSHOT_KEY: Final = b"reactorsync.dev/snapshot"
"""Key of the record that says a desired-state partition holds the whole fleet's share."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic that must exist. ``retention_ms`` is ``None`` for a compacted topic."""

    name: str
    partitions: int
    retention_ms: int | None

    @property
    def config(self) -> dict[str, str]:
        """Kafka's topic configuration."""
        size = {"max.message.bytes": str(MAX_RECORD_BYTES + _BATCH_OVERHEAD_BYTES)}
        if self.retention_ms is None:
            return {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1", **size}
        return {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms), **size}


_KEPT_MS: Final = {"events": 7 * DAY_MS, "telemetry": DAY_MS, "checkpoints": None}
"""How long Kafka keeps the topics of a purpose; ``None`` compacts them."""

_SLOTS_LONG: Final = {"events": 24, "telemetry": 1, "checkpoints": 1}
"""Length of a purpose's slots, in ``slot_seconds``: events are few and read again at a restart."""

UNREAD_SLOTS_KEPT: Final = 12
"""Telemetry slots before the present one that are kept although they are not stored yet."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one installation.

    ``shards`` is the partition count of every sharded topic: a reactor's key always lands on the
    same partition number of desired state, telemetry and checkpoints. ``slot_seconds`` is set for
    the embedded broker only. ``prefix`` separates installations (and tests) on one broker.
    """

    prefix: str = "reactorsync"
    shards: int = 8
    slot_seconds: int | None = None

    @property
    def reactors(self) -> str:
        """Desired state, one record per reactor."""
        return f"{self.prefix}.reactors"

    @property
    def dead_letter(self) -> str:
        """What could not be processed."""
        return f"{self.prefix}.dead-letter"

    @property
    def historian_group(self) -> str:
        """Consumer group of the historian: what it has committed is stored."""
        return f"{self.prefix}-historian"

    def events(self, time_us: int) -> str:
        """Return the topic that takes events, one record each, sent at ``time_us``."""
        return self._in_slot("events", time_us)

    def telemetry(self, time_us: int) -> str:
        """Return the topic that takes frames of ticks at ``time_us``."""
        return self._in_slot("telemetry", time_us)

    def checkpoints(self, time_us: int) -> str:
        """Return the topic that takes checkpoints made at ``time_us``."""
        return self._in_slot("checkpoints", time_us)

    @property
    def telemetry_pattern(self) -> re.Pattern[str]:
        """Matches every telemetry topic, in whichever slot."""
        return re.compile(rf"^{re.escape(self.prefix)}\.telemetry(\.\d+)?$")

    def live(self, now_us: int) -> tuple[TopicSpec, ...]:
        """Return the topics that must exist at ``now_us``, with the slots before and after."""
        return (
            TopicSpec(self.reactors, self.shards, None),
            TopicSpec(self.dead_letter, 1, 28 * DAY_MS),
            *(
                TopicSpec(name, self.shards, retention_ms)
                for purpose, retention_ms in _KEPT_MS.items()
                for name in self._slots(purpose, now_us, (-1, 0, 1))
            ),
        )

    def checkpoint_topics(self, now_us: int) -> tuple[str, ...]:
        """Return the topics that may hold the newest checkpoint, oldest first."""
        return self._slots("checkpoints", now_us, (-1, 0))

    def event_topics(self, now_us: int) -> tuple[str, ...]:
        """Return the topics that hold the events there are, oldest first."""
        return self._slots("events", now_us, (-1, 0))

    def expired(self, names: set[str], now_us: int) -> set[str]:
        """Return those of ``names`` that are slots before the previous one.

        Those of telemetry may be deleted once they are stored, the others at once.
        """
        return self._before(names, now_us, slots=1, purposes=tuple(_SLOTS_LONG))

    def overdue(self, names: set[str], now_us: int) -> set[str]:
        """Return those of ``names`` that are telemetry slots too old to be kept, stored or not."""
        return self._before(names, now_us, slots=UNREAD_SLOTS_KEPT, purposes=("telemetry",))

    def _before(
        self, names: set[str], now_us: int, *, slots: int, purposes: Sequence[str]
    ) -> set[str]:
        if self.slot_seconds is None:
            return set()
        slotted = re.compile(rf"^{re.escape(self.prefix)}\.({'|'.join(purposes)})\.(\d+)$")
        return {
            name
            for name in names
            if (match := slotted.match(name))
            and int(match[2]) < now_us // self._slot_us(match[1]) - slots
        }

    def _slots(self, purpose: str, now_us: int, steps: Sequence[int]) -> tuple[str, ...]:
        """Return a purpose's topics, so many slots from now; without slots the one there is."""
        if self.slot_seconds is None:
            return (self._in_slot(purpose, now_us),)
        length_us = self._slot_us(purpose)
        return tuple(self._in_slot(purpose, now_us + step * length_us) for step in steps)

    def _in_slot(self, purpose: str, time_us: int) -> str:
        name = f"{self.prefix}.{purpose}"
        return name if self.slot_seconds is None else f"{name}.{time_us // self._slot_us(purpose)}"

    def _slot_us(self, purpose: str) -> int:
        return (self.slot_seconds or 0) * _SLOTS_LONG[purpose] * 1_000_000
