"""Events: what happened to a reactor or a shard, as JSON on the events topic."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import ClassVar, Final
from uuid import UUID

from pydantic import ConfigDict, Field, ValidationError

from reactorsync.resources.meta import Model
from reactorsync.wire.envelope import JSON, Envelope, Micros
from reactorsync.wire.errors import (
    MALFORMED,
    SCHEMA_MISMATCH,
    UNSUPPORTED_VERSION,
    UndecodableRecord,
)
from reactorsync.wire.keys import reactor_key


class Event(Model, ABC):
    """Base of all events. ``subject`` doubles as the record key."""

    model_config = ConfigDict(extra="ignore")
    type: ClassVar[str]

    @property
    @abstractmethod
    def subject(self) -> str:
        """What the event is about: a reactor key, or ``shard/<n>``."""

    @property
    def identity(self) -> str:
        """What makes the event the same when it is sent again; empty when every one is new."""
        return ""

    def encode(self) -> bytes:
        """Return the record's value: canonical JSON."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":")).encode()

    def envelope(self, *, source: str, time_us: int) -> Envelope:
        """Return the envelope to publish the event with."""
        return Envelope(
            id=f"{self.subject}/{self.identity or time_us}",
            source=source,
            type=self.type,
            subject=self.subject,
            time_us=time_us,
            content_type=JSON,
        )


class ReactorEvent(Event):
    """An event of one reactor at a simulated time."""

    namespace: str = Field(description="Namespace of the reactor.")
    name: str = Field(description="Name of the reactor.")
    uid: UUID = Field(description="UID of the reactor's resource.")
    tick_us: Micros = Field(description="Simulated time of the event.")

    @property
    def subject(self) -> str:  # noqa: D102
        return reactor_key(self.namespace, self.name)


class ReactorApplied(ReactorEvent):
    """A generator took over a desired state: spec generation and content revision."""

    type: ClassVar[str] = "dev.reactorsync.reactor.applied.v1"
    generation: int = Field(description="Generation of the spec in that desired state.")
    revision: str = Field(description="Revision of the desired state: the end of its `ce_id`.")
    generator: str = Field(description="Generator that took it over.")
    shard: int = Field(description="Shard of the reactor.")

    @property
    def identity(self) -> str:  # noqa: D102
        return f"applied/{self.generator}/{self.revision}/{self.tick_us}"


class ReactorObserved(ReactorEvent):
    """The plant's state, sent when it changed enough to matter, at most once in five seconds."""

    type: ClassVar[str] = "dev.reactorsync.reactor.observed.v1"
    generator: str = Field(description="Generator that simulates the plant.")
    shard: int = Field(description="Shard of the reactor.")
    power_permille: int = Field(
        ge=0, description="Neutron power, in thousandths of rated thermal power."
    )
    trip_cause: str | None = Field(
        default=None, description="First-out cause of the trip; absent unless tripped."
    )


class FaultEvent(ReactorEvent):
    """An event of one fault on one reactor."""

    fault_id: str = Field(description="`id` of the fault in the desired state.")
    scenario: str = Field(description="Name of the scenario.")
    run: int = Field(description="Number of the run.")
    stage: str = Field(description="Name of the stage.")
    kind: str = Field(description="Fault kind.")


class FaultInjected(FaultEvent):
    """A fault began to act."""

    type: ClassVar[str] = "dev.reactorsync.fault.injected.v1"

    @property
    def identity(self) -> str:  # noqa: D102
        return f"injected/{self.fault_id}/{self.tick_us}"


class FaultRecovered(FaultEvent):
    """A fault acts no longer: it ended by itself or was lifted."""

    type: ClassVar[str] = "dev.reactorsync.fault.recovered.v1"

    @property
    def identity(self) -> str:  # noqa: D102
        return f"recovered/{self.fault_id}/{self.tick_us}"


class FaultVerified(FaultEvent):
    """The historian compared the telemetry from before a fault with that while it acted."""

    type: ClassVar[str] = "dev.reactorsync.fault.verified.v1"
    confirmed: bool | None = Field(
        default=None,
        description="Whether the telemetry shows the fault; absent if it could not be judged.",
    )
    signal: str | None = Field(
        default=None, description="Signal that shows it most clearly; absent unless confirmed."
    )
    message: str = Field(
        default="", max_length=256, description="What was seen, or why it was not judged."
    )

    @property
    def identity(self) -> str:  # noqa: D102
        return f"verified/{self.fault_id}/{self.tick_us}"


class AlarmEvent(ReactorEvent):
    """An event of one alarm of one reactor."""

    alarm_id: UUID = Field(description="Identity of this occurrence: raised once, cleared once.")
    signal: str = Field(description="Signal the alarm is about.")
    limit: str = Field(description="Limit that was crossed: LowLow, Low, High or HighHigh.")
    open_alarms: int | None = Field(
        default=None,
        ge=0,
        description=(
            "How many alarms of the reactor stand after this tick; absent from whoever does not "
            "know all of them."
        ),
    )


class AlarmRaised(AlarmEvent):
    """A reading stayed beyond an alarm limit."""

    type: ClassVar[str] = "dev.reactorsync.alarm.raised.v1"
    value: float = Field(allow_inf_nan=False, description="Reading that raised it.")

    @property
    def identity(self) -> str:  # noqa: D102
        return f"raised/{self.alarm_id}"


class AlarmCleared(AlarmEvent):
    """The readings of an alarm are back inside its limit."""

    type: ClassVar[str] = "dev.reactorsync.alarm.cleared.v1"

    @property
    def identity(self) -> str:  # noqa: D102
        return f"cleared/{self.alarm_id}"


class Hypothesis(Model):
    """One possible explanation of what a plant does."""

    model_config = ConfigDict(extra="ignore")

    fault: str = Field(description="Fault kind.")
    probability_permille: int = Field(ge=0, le=1000, description="How likely, in thousandths.")


class DiagnosisMade(ReactorEvent):
    """Somebody explained what a plant does; the likeliest hypothesis comes first."""

    type: ClassVar[str] = "dev.reactorsync.diagnosis.made.v1"
    hypotheses: list[Hypothesis] = Field(max_length=10, description="Ranked hypotheses.")

    @property
    def identity(self) -> str:  # noqa: D102
        return f"diagnosis/{self.tick_us}"


class ReactorTripped(ReactorEvent):
    """The protection system shut the plant down."""

    type: ClassVar[str] = "dev.reactorsync.reactor.tripped.v1"
    cause: str = Field(description="First-out cause of the trip.")


class ReactorRestarted(ReactorEvent):
    """The trip was reset and power is being raised again."""

    type: ClassVar[str] = "dev.reactorsync.reactor.restarted.v1"


class ShardHeartbeat(Event):
    """A generator simulates a shard, sent every five seconds."""

    type: ClassVar[str] = "dev.reactorsync.shard.heartbeat.v1"
    shard: int = Field(description="Number of the shard.")
    generator: str = Field(description="Generator that simulates it.")
    run: str = Field(description="One life of that generator process, as `rs-run` of its frames.")
    epoch: int = Field(description="When it took the shard over, as `rs-epoch` of its frames.")
    tick_us: Micros = Field(description="Newest tick of the shard.")
    reactors: int = Field(description="Reactors in the shard.")
    readings_per_second: float = Field(
        ge=0, allow_inf_nan=False, description="Readings (reactors x ticks) a second."
    )
    late_ticks: int = Field(
        description="Ticks that came out late, or not at all, since the shard was taken over."
    )
    busy_permille: int | None = Field(
        default=None,
        ge=0,
        description=(
            "Processor time of the whole generator since its last heartbeats, in thousandths of "
            "the time that passed."
        ),
    )

    @property
    def subject(self) -> str:  # noqa: D102
        return f"shard/{self.shard}"


EVENT_TYPES: Final[dict[str, type[Event]]] = {
    model.type: model
    for model in (
        ReactorApplied,
        ReactorObserved,
        FaultInjected,
        FaultRecovered,
        FaultVerified,
        AlarmRaised,
        AlarmCleared,
        DiagnosisMade,
        ReactorTripped,
        ReactorRestarted,
        ShardHeartbeat,
    )
}


def decode_event(envelope: Envelope, value: bytes) -> Event:
    """Read an event.

    Raises:
        UndecodableRecord: an unknown type, no JSON, or fields that do not fit.
    """
    model = EVENT_TYPES.get(envelope.type)
    if model is None:
        raise UndecodableRecord(UNSUPPORTED_VERSION, f"event type {envelope.type!r}")
    try:
        return model.model_validate_json(value)
    except ValidationError as error:
        first = error.errors()[0]
        reason = MALFORMED if first["type"] == "json_invalid" else SCHEMA_MISMATCH
        raise UndecodableRecord(reason, str(error)) from error
