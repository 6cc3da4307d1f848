"""Desired states and records for the generator's tests."""

from collections.abc import Sequence
from uuid import UUID, uuid5

from reactorsync.bus.port import Partition, Record
from reactorsync.designs import Design
from reactorsync.faults import FaultKind
from reactorsync.resources.reactor import ReactorState, SensorNoise
from reactorsync.resources.scenario import Shape
from reactorsync.wire.desired import DesiredFault, DesiredReactor

SECOND = 1_000_000
START = 1_760_000_000 * SECOND
"""A time on every grid, microseconds since 1970."""

_NAMESPACE = UUID("00000000-0000-4000-8000-000000000000")


def desired(
    name: str = "bruce-1",
    *,
    generation: int = 1,
    design: Design = Design.PWR_3_LOOP,
    setpoint: int = 1000,
    interval: int = 1000,
    noise: SensorNoise = SensorNoise.NOMINAL,
    seed: int = 7,
    state: ReactorState = ReactorState.RUNNING,
    faults: Sequence[DesiredFault] = (),
    uid: UUID | None = None,
) -> DesiredReactor:
    """The desired state of reactor ``default/<name>``."""
    return DesiredReactor(
        namespace="default",
        name=name,
        uid=uid or uuid5(_NAMESPACE, name),
        generation=generation,
        design=design,
        power_setpoint_permille=setpoint,
        interval_milliseconds=interval,
        noise=noise,
        seed=seed,
        state=state,
        faults=list(faults),
    )


def fault(
    kind: FaultKind = FaultKind.PRIMARY_LEAK,
    *,
    start_us: int,
    end_us: int,
    identity: str = "scenario/1/leak",
    severity: int = 500,
    signal: str | None = None,
) -> DesiredFault:
    """A step fault between two absolute times."""
    return DesiredFault(
        id=identity,
        namespace="default",
        scenario="leak",
        run=1,
        stage="leak",
        kind=kind,
        severity_permille=severity,
        shape=Shape.STEP,
        start_us=start_us,
        ramp_us=0,
        end_us=end_us,
        signal=signal,
    )


def record(offset: int, key: bytes | None, value: bytes | None, *, shard: int = 0) -> Record:
    """A record of the desired-state topic."""
    return Record(
        partition=Partition("reactorsync.reactors", shard),
        offset=offset,
        key=key,
        value=value,
        headers=(),
        timestamp_ms=0,
    )
