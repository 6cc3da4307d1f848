"""Names of the topics and how each is kept.

Apache Kafka enforces retention and compaction itself. The embedded broker does neither and slows
down as a partition grows, so its profile cuts the two busy topics into time slots: a slot is a
topic of its own, named by its number, created ahead and deleted when it has been consumed.
"""

from __future__ import annotations

import re
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
    def events(self) -> str:
        """What happened, one record per event."""
        return f"{self.prefix}.events"

    @property
    def dead_letter(self) -> str:
        """What could not be processed."""
        return f"{self.prefix}.dead-letter"

    def telemetry(self, time_us: int) -> str:
        """Return the topic that takes frames of ticks at ``time_us``."""
        return f"{self.prefix}.telemetry{self._slot_suffix(time_us)}"

    def checkpoints(self, time_us: int) -> str:
        """Return the topic that takes checkpoints made at ``time_us``."""
        return f"{self.prefix}.checkpoints{self._slot_suffix(time_us)}"

    @property
    def telemetry_pattern(self) -> re.Pattern[str]:
        """Matches every telemetry topic, in whichever slot."""
        return re.compile(rf"^{re.escape(self.prefix)}\.telemetry(\.\d+)?$")

    def live(self, now_us: int) -> tuple[TopicSpec, ...]:
        """Return the topics that must exist at ``now_us``, with the slots before and after."""
        hours = 24 * HOUR_MS
        fixed = (
            TopicSpec(self.reactors, self.shards, None),
            TopicSpec(self.events, self.shards, 7 * DAY_MS),
            TopicSpec(self.dead_letter, 1, 28 * DAY_MS),
        )
        moments = (
            [now_us]
            if self.slot_seconds is None
            else [now_us + step * self.slot_seconds * 1_000_000 for step in (-1, 0, 1)]
        )
        return (
            *fixed,
            *(TopicSpec(self.telemetry(at), self.shards, hours) for at in moments),
            *(TopicSpec(self.checkpoints(at), self.shards, None) for at in moments),
        )

    def checkpoint_topics(self, now_us: int) -> tuple[str, ...]:
        """Return the topics that may hold the newest checkpoint, oldest first."""
        if self.slot_seconds is None:
            return (self.checkpoints(now_us),)
        return (
            self.checkpoints(now_us - self.slot_seconds * 1_000_000),
            self.checkpoints(now_us),
        )

    def expired(self, names: set[str], now_us: int) -> set[str]:
        """Return those of ``names`` that are slots before the previous one."""
        if self.slot_seconds is None:
            return set()
        oldest_kept = now_us // (self.slot_seconds * 1_000_000) - 1
        slotted = re.compile(rf"^{re.escape(self.prefix)}\.(telemetry|checkpoints)\.(\d+)$")
        return {
            name for name in names if (match := slotted.match(name)) and int(match[2]) < oldest_kept
        }

    def _slot_suffix(self, time_us: int) -> str:
        if self.slot_seconds is None:
            return ""
        return f".{time_us // (self.slot_seconds * 1_000_000)}"
