"""Desired state: all that a generator must know of one reactor, on the compacted topic."""

from __future__ import annotations

import hashlib
import json
from typing import Final, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from reactorsync.designs import Design
from reactorsync.faults import FaultKind
from reactorsync.resources.meta import Model
from reactorsync.resources.reactor import ReactorState, SensorNoise, Site
from reactorsync.resources.scenario import SensorDirection, Shape
from reactorsync.wire.envelope import JSON, Envelope, Micros
from reactorsync.wire.errors import (
    MALFORMED,
    SCHEMA_MISMATCH,
    UNSUPPORTED_VERSION,
    UndecodableRecord,
)
from reactorsync.wire.keys import reactor_key

DESIRED_VERSION: Final = 1
DESIRED_TYPE: Final = "dev.reactorsync.reactor.desired.v1"
TOMBSTONE_TYPE: Final = "dev.reactorsync.reactor.deleted.v1"
SNAPSHOT_TYPE: Final = "dev.reactorsync.shard.snapshot.v1"


class DesiredFault(Model):
    """One fault of the complete active set, with absolute times in microseconds since 1970.

    A fault that lies in the future is part of the set; one that has ended is not.
    """

    model_config = ConfigDict(extra="ignore")

    id: str = Field(description="`<scenario uid>/<run>/<stage>`.")
    namespace: str = Field(description="Namespace of the scenario.")
    scenario: str = Field(description="Name of the scenario.")
    run: int = Field(ge=1, description="Number of the run, counted from 1.")
    stage: str = Field(description="Name of the stage.")
    kind: FaultKind = Field(description="What fails; the fault catalogue says what it does.")
    severity_permille: int = Field(
        ge=1, le=1000, description="Severity that the shape grows to, in thousandths of full."
    )
    shape: Shape = Field(description="How the severity moves over time.")
    start_us: Micros = Field(description="When it begins to act.")
    ramp_us: Micros = Field(description="Length of the ramp, or period of the pulse; else 0.")
    end_us: Micros = Field(description="When it ends by itself.")
    signal: str | None = Field(
        default=None, description="Instrument that a sensor fault acts on; absent otherwise."
    )
    direction: SensorDirection = Field(
        default=SensorDirection.HIGH, description="Sign of a sensor's bias or drift."
    )


class DesiredReactor(Model):
    """What a generator simulates for one reactor."""

    model_config = ConfigDict(extra="ignore")

    version: Literal[1] = Field(default=DESIRED_VERSION, description="Version of this format.")
    namespace: str = Field(description="Namespace of the reactor.")
    name: str = Field(description="Name of the reactor.")
    uid: UUID = Field(description="UID of the resource; a recreated reactor has another.")
    generation: int = Field(ge=0, description="Generation of the spec that this answers.")
    design: Design = Field(description="Reactor design to simulate.")
    site: Site | None = Field(
        default=None, description="Where the plant stands, as in the resource; absent if not said."
    )
    power_setpoint_permille: int = Field(
        ge=0, le=1000, description="Power to hold, in thousandths of rated thermal power."
    )
    interval_milliseconds: int = Field(
        ge=100,
        le=60_000,
        multiple_of=100,
        description="Time between readings; they fall on its whole multiples since 1970.",
    )
    noise: SensorNoise = Field(description="How noisy the instruments are.")
    seed: int = Field(ge=0, le=2_147_483_647, description="Seed of all that is random.")
    state: ReactorState = Field(description="Whether the plant is simulated at all.")
    faults: list[DesiredFault] = Field(
        default_factory=list,
        description="All faults that act or will act: what is not in it does not act.",
    )

    @field_validator("site", mode="before")
    @classmethod
    def _ignore_what_is_new(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        known = {to_camel(name) for name in Site.model_fields}
        return {name: part for name, part in value.items() if name in known}

    @property
    def key(self) -> str:
        """Record key, ``namespace/name``."""
        return reactor_key(self.namespace, self.name)

    @property
    def revision(self) -> str:
        """Digest of the content: what a generator acknowledges, equal exactly for equal content."""
        return revision_of(self.encode())

    def encode(self) -> bytes:
        """Return the record's value: canonical JSON (sorted keys, no spaces)."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":")).encode()

    def envelope(self, *, source: str, time_us: int) -> Envelope:
        """Return the envelope to publish this state with."""
        return desired_envelope(self.key, self.revision, source=source, time_us=time_us)


def desired_envelope(key: str, revision: str, *, source: str, time_us: int) -> Envelope:
    """Return the envelope to publish a state of the reactor ``key`` with."""
    return Envelope(
        id=f"{key}/{revision}",
        source=source,
        type=DESIRED_TYPE,
        subject=key,
        time_us=time_us,
        content_type=JSON,
    )


def revision_of(value: bytes) -> str:
    """Return the revision of an encoded desired state."""
    return hashlib.blake2b(value, digest_size=8).hexdigest()


def tombstone_envelope(key: str, *, source: str, time_us: int) -> Envelope:
    """Return the envelope to publish a null value with: the reactor ``key`` is gone."""
    return Envelope(
        id=f"{key}/deleted/{time_us}",
        source=source,
        type=TOMBSTONE_TYPE,
        subject=key,
        time_us=time_us,
        content_type=JSON,
    )


def decode_desired(value: bytes) -> DesiredReactor:
    """Read a desired-state record; fields of later minor additions are ignored.

    Raises:
        UndecodableRecord: no JSON, another version, or fields that do not fit.
    """
    try:
        document = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise UndecodableRecord(MALFORMED, f"value is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise UndecodableRecord(MALFORMED, "value is no JSON object")
    if document.get("version") != DESIRED_VERSION:
        raise UndecodableRecord(
            UNSUPPORTED_VERSION, f"version {document.get('version')!r}, this reader knows 1"
        )
    try:
        return DesiredReactor.model_validate(document)
    except ValidationError as error:
        raise UndecodableRecord(SCHEMA_MISMATCH, str(error)) from error


def default_seed(namespace: str, name: str) -> int:
    """Return the seed of a reactor that declares none."""
    digest = hashlib.blake2b(reactor_key(namespace, name).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") & 0x7FFFFFFF
