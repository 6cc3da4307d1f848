"""Settings of a generator process."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from pydantic import Field

from reactorsync.settings import KafkaSettings


def _default_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class GeneratorSettings(KafkaSettings):
    """How one generator process works; all processes of a pool share everything but the name."""

    generator_name: str = Field(
        default_factory=_default_name,
        min_length=1,
        max_length=253,
        description="Name in events and logs, unique in the pool; by default host and process id.",
    )
    simulation_threads: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Threads that simulate; compiled plants run without the interpreter's lock.",
    )
    catch_up_seconds: float = Field(
        default=120.0,
        ge=0.0,
        le=3600.0,
        description=(
            "Longest gap that is simulated when a shard is taken over, or after a pause; after a "
            "longer one the plants go on from their state with the clock moved."
        ),
    )
    checkpoint_folder: Path | None = Field(
        default=None,
        description="Folder for checkpoints beside the broker's, shared by all generators of a "
        "machine; set for the embedded broker only, which forgets when it stops.",
    )
    checkpoint_seconds: float = Field(
        default=5.0,
        ge=0.5,
        le=600.0,
        description="Time between two checkpoints of a shard, while the bandwidth allows it.",
    )
    checkpoint_bytes_per_second: int = Field(
        default=128 * 1024,
        ge=1024,
        description=(
            "Bandwidth that the checkpoints of this process may take; a larger fleet is written "
            "less often, but at least every half of catch_up_seconds."
        ),
    )
    heartbeat_seconds: float = Field(
        default=5.0, ge=0.5, le=60.0, description="Time between two heartbeats of a shard."
    )
    handover_seconds: float | None = Field(
        default=None,
        ge=0.0,
        le=60.0,
        description=(
            "How long a shard that was given away is still simulated, so that its new owner leaves "
            "no gap; by default one session timeout after a rebalance, two after leaving."
        ),
    )
    max_frames_waiting: int = Field(
        default=128,
        ge=1,
        le=10_000,
        description="Frames of a shard kept for a broker that is away; beyond, the oldest go.",
    )
    max_events_waiting: int = Field(
        default=100_000,
        ge=1000,
        description=(
            "Events kept for a broker that is away; beyond, they are dropped, and everything "
            "current is told again when it is back."
        ),
    )

    @property
    def group(self) -> str:
        """The consumer group that spreads the shards over the pool."""
        return f"{self.topic_prefix}-generators"

    @property
    def session_timeout_us(self) -> int:
        """The group's session timeout in microseconds."""
        return self.kafka_session_timeout_ms * 1000

    @property
    def catch_up_us(self) -> int:
        """Longest simulated gap in microseconds."""
        return int(self.catch_up_seconds * 1e6)

    @property
    def handover_after_rebalance_seconds(self) -> float:
        """How long frames of a shard go on when the group has given it to another member."""
        if self.handover_seconds is not None:
            return self.handover_seconds
        return self.kafka_session_timeout_ms / 1000

    @property
    def handover_after_leaving_seconds(self) -> float:
        """How long frames go on when this process has left the group."""
        if self.handover_seconds is not None:
            return self.handover_seconds
        return 2 * self.kafka_session_timeout_ms / 1000
