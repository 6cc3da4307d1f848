"""Settings of the operator."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from reactorsync.settings import DatabaseSettings, KafkaSettings


class OperatorSettings(KafkaSettings, DatabaseSettings):
    """How the operator works."""

    status_interval_seconds: float = Field(
        default=1.0,
        ge=0.0,
        le=60.0,
        description="Least time between two writes of one object's status.",
    )
    resync_seconds: float = Field(
        default=30.0,
        ge=1.0,
        le=3600.0,
        description="How often a watch asks for changes even though nobody told it of any.",
    )
    sweep_seconds: float = Field(
        default=300.0,
        ge=10.0,
        le=86_400.0,
        description="Time between two full lists of all resources, which heal what a watch missed.",
    )
    generator_capacity: int = Field(
        default=5000,
        ge=1,
        description="Readings per second that one generator is to make at most.",
    )
    generator_pool_file: Path | None = Field(
        default=None,
        description=(
            'File that gets {"replicas": n}, the number of generators the fleet needs, for whoever '
            "starts them. Without it the pool is left alone."
        ),
    )
