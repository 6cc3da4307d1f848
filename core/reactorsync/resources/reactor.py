"""The ``Reactor`` resource: one simulated plant, declared."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from reactorsync.designs import Design
from reactorsync.resources.meta import (
    API_VERSION,
    ApiVersion,
    Condition,
    Model,
    ObjectMeta,
    Time,
)


class Site(Model):
    """Where the plant stands; shown on the map and used to group the fleet."""

    name: str = Field(
        min_length=1, max_length=120, description="Name of the station, for example Cernavoda."
    )
    latitude_microdegrees: int | None = Field(
        default=None,
        ge=-90_000_000,
        le=90_000_000,
        description="Latitude north of the equator in millionths of a degree (WGS 84).",
    )
    longitude_microdegrees: int | None = Field(
        default=None,
        ge=-180_000_000,
        le=180_000_000,
        description="Longitude east of Greenwich in millionths of a degree (WGS 84).",
    )
    country: str | None = Field(
        default=None,
        max_length=2,
        pattern=r"^[A-Z]{2}$",
        description="ISO 3166-1 alpha-2 country code, for example RO.",
    )


class SensorNoise(StrEnum):
    """How noisy the plant's instruments are."""

    OFF = "Off"
    NOMINAL = "Nominal"
    HIGH = "High"


class TelemetrySpec(Model):
    """How often and how cleanly the plant reports."""

    interval_milliseconds: int = Field(
        default=1000,
        ge=100,
        le=60_000,
        multiple_of=100,
        description=(
            "Time between two readings in milliseconds, a multiple of 100; readings fall on whole "
            "multiples of it since 1970-01-01T00:00:00Z."
        ),
    )
    noise: SensorNoise = Field(
        default=SensorNoise.NOMINAL,
        description="Instrument noise: Off, Nominal (as installed) or High (three times nominal).",
    )


class ReactorState(StrEnum):
    """Whether the plant is simulated."""

    RUNNING = "Running"
    SUSPENDED = "Suspended"


class ReactorSpec(Model):
    """What the user wants the plant to be."""

    design: Design = Field(
        description="Reactor design to simulate; immutable. Its parameters represent the type."
    )
    site: Site | None = Field(default=None, description="Where the plant stands.")
    power_setpoint_permille: int = Field(
        default=1000,
        ge=200,
        le=1000,
        description="Power the regulation holds, in thousandths of rated thermal power.",
    )
    telemetry: TelemetrySpec = Field(
        default_factory=TelemetrySpec, description="How often and how cleanly the plant reports."
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        le=2_147_483_647,
        description=(
            "Seed of everything random in the plant; the same seed gives the same noise. Without "
            "it, one is derived from namespace and name."
        ),
    )
    state: ReactorState = Field(
        default=ReactorState.RUNNING,
        description="Running simulates the plant; Suspended stops its clock and its telemetry.",
    )


class HealthState(StrEnum):
    """The plant's health in one word."""

    NOMINAL = "Nominal"
    DEGRADED = "Degraded"
    TRIPPED = "Tripped"
    UNKNOWN = "Unknown"


class Health(Model):
    """How the plant is, by its own readings."""

    state: HealthState = Field(
        description=(
            "Nominal, Degraded (a fault acts, or power is away from its setpoint), Tripped or "
            "Unknown."
        )
    )
    score: int | None = Field(
        default=None, ge=0, le=100, description="Health score, 100 is best; absent while unknown."
    )


class GeneratorRef(Model):
    """Who simulates the plant."""

    name: str = Field(max_length=253, description="Generator process or pod it runs in.")
    shard: int = Field(ge=0, description="Shard (Kafka partition) the plant belongs to.")


class ActiveFault(Model):
    """A fault that acts on the plant now."""

    scenario: str = Field(max_length=63, description="Name of the AnomalyScenario it comes from.")
    stage: str = Field(max_length=63, description="Name of the stage in that scenario.")
    fault: str = Field(max_length=63, description="Fault kind.")
    start_time: Time = Field(description="When it began to act.")
    end_time: Time | None = Field(default=None, description="When it ends by itself.")


class ReactorStatus(Model):
    """What really happened to the plant."""

    observed_generation: int = Field(
        default=0, ge=0, description="Generation of the spec that this status answers."
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=16,
        description=(
            "Ready (the operator did what the spec asks), Nominal (the plant is inside its "
            "limits), Reconciling and Stalled while true."
        ),
        json_schema_extra={"x-list-map-keys": ["type"]},
    )
    health: Health | None = Field(default=None, description="The plant's health.")
    power_permille: int | None = Field(
        default=None,
        ge=0,
        le=100_000,
        description="Neutron power last reported, in thousandths of rated power.",
    )
    last_telemetry_time: Time | None = Field(
        default=None, description="Time of the reading that this status was made from."
    )
    generator: GeneratorRef | None = Field(default=None, description="Who simulates the plant.")
    trip_cause: str | None = Field(
        default=None, max_length=63, description="First-out cause of the trip, while tripped."
    )
    active_faults: list[ActiveFault] = Field(
        default_factory=list,
        max_length=32,
        description="Faults acting on the plant now, at most 32 of them, those that began first.",
    )
    fault_summary: str = Field(
        default="",
        max_length=80,
        description="Kind of the first fault that acts, and how many more do: PrimaryLeak +1.",
    )
    open_alarms: int = Field(default=0, ge=0, description="Alarms that are not yet closed.")


class Reactor(Model):
    """A simulated nuclear plant. Nothing here controls a real one."""

    api_version: ApiVersion = API_VERSION
    kind: Literal["Reactor"] = "Reactor"
    metadata: ObjectMeta
    spec: ReactorSpec
    status: ReactorStatus = Field(default_factory=ReactorStatus)
