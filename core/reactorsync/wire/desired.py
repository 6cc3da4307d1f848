"""Desired state: all that a generator must know of one reactor, on the compacted topic."""

from __future__ import annotations

import hashlib
import json
from typing import Final, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, ValidationError

from reactorsync.designs import Design
from reactorsync.faults import FaultKind
from reactorsync.resources.meta import Model
from reactorsync.resources.reactor import ReactorState, SensorNoise, Site
from reactorsync.resources.scenario import SensorDirection, Shape
from reactorsync.wire.envelope import JSON, Envelope
from reactorsync.wire.errors import MALFORMED, SCHEMA_MISMATCH, UNSUPPORTED_VERSION, UndecodableRecord
from reactorsync.wire.keys import reactor_key

DESIRED_VERSION: Final = 1
DESIRED_TYPE: Final = "dev.reactorsync.reactor.desired.v1"
SNAPSHOT_TYPE: Final = "dev.reactorsync.shard.snapshot.v1"


class DesiredFault(Model):
    """One fault of the complete active set, with absolute times in microseconds since 1970.

    ``id`` is ``<scenario uid>/<run>/<stage>``. ``severity_permille`` is the severity the shape
    grows to. A fault that lies in the future is part of the set; one that has ended is not.
    """

    id: str
    namespace: str
    scenario: str
    run: int = Field(ge=1)
    stage: str
    kind: FaultKind
    severity_permille: int = Field(ge=1, le=1000)
    shape: Shape
    start_us: int
    ramp_us: int = Field(ge=0)
    end_us: int
    signal: str | None = None
    direction: SensorDirection = SensorDirection.HIGH


class DesiredReactor(Model):
    """What a generator simulates for one reactor."""

    model_config = ConfigDict(extra="ignore")

    version: Literal[1] = DESIRED_VERSION
    namespace: str
    name: str
    uid: UUID
    generation: int = Field(ge=0)
    design: Design
    site: Site | None = None
    power_setpoint_permille: int
    interval_milliseconds: int
    noise: SensorNoise
    seed: int
    state: ReactorState
    faults: list[DesiredFault] = Field(default_factory=list)

    @property
    def key(self) -> str:
        """Record key, ``namespace/name``."""
        return reactor_key(self.namespace, self.name)

    @property
    def revision(self) -> str:
        """Digest of the content: what a generator acknowledges, equal exactly for equal content."""
        return hashlib.blake2b(self.encode(), digest_size=8).hexdigest()

    def encode(self) -> bytes:
        """Return the record's value: canonical JSON (sorted keys, no spaces)."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":")).encode()

    def envelope(self, *, source: str, time_us: int) -> Envelope:
        """Return the envelope to publish this state with."""
        return Envelope(
            id=f"{self.key}/{self.revision}",
            source=source,
            type=DESIRED_TYPE,
            subject=self.key,
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
    except ValueError as error:
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
