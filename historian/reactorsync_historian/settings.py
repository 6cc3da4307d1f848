"""Settings of the historian."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from reactorsync.settings import DatabaseSettings, KafkaSettings


class HistorianSettings(KafkaSettings, DatabaseSettings):
    """What the historian needs to know."""

    retention_hours: int = Field(
        default=24,
        ge=1,
        le=24 * 366,
        description="How long single readings are kept; 10,000 reactors at 1 Hz take 6 GB an hour.",
    )
    batch_rows: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Rows after which a transaction is closed; it holds whole frames.",
    )
    batch_milliseconds: int = Field(
        default=50,
        ge=0,
        le=10_000,
        description="How long frames are gathered into one transaction after the first has come.",
    )
    batch_megabytes: int = Field(
        default=32,
        ge=1,
        le=1024,
        description="Bytes of frames, read and not yet stored, after which no more are read.",
    )
    future_seconds: int = Field(
        default=300,
        ge=1,
        le=86_400,
        description="How far a tick may lie ahead of this machine's clock.",
    )
    late_seconds: int = Field(
        default=10,
        ge=0,
        le=3600,
        description="How long a frame that is missing may still come before it counts as lost.",
    )

    @property
    def consumer_group(self) -> str:
        """Name of the consumer group, in Kafka and in ``consumer_offset``."""
        return self.topics.historian_group

    @property
    def retention(self) -> timedelta:
        """How long single readings are kept."""
        return timedelta(hours=self.retention_hours)
