"""What can be declared: designs, signals with their limits, faults."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from reactorsync.designs import DESIGNS, Design
from reactorsync.faults import FAULTS
from reactorsync.signals import LIMITS, SIGNALS
from reactorsync_api.openapi import Responses, answers, problems_of

router = APIRouter(prefix="/catalogue", tags=["catalogue"], responses=problems_of(401, 500))


class _Out(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class DesignOut(_Out):
    """A design."""

    design: Design
    title: str
    description: str
    rated_thermal_mw: float
    rated_electrical_mw: float


class LimitsOut(_Out):
    """What is normal for a signal in one design; a limit that does not apply is null."""

    normal_low: float
    normal_high: float
    low_low: float | None
    low: float | None
    high: float | None
    high_high: float | None


class SignalOut(_Out):
    """A signal, with what is normal by design."""

    name: str
    unit: str
    title: str
    description: str
    low: float
    high: float
    decimals: int
    limits: dict[Design, LimitsOut]


class FaultOut(_Out):
    """A fault and what it does."""

    kind: str
    title: str
    description: str
    full_severity: str
    primary_signal: str | None
    acts_on_sensor: bool
    designs: list[Design]


_DESIGNS = [DesignOut.model_validate(info) for info in DESIGNS.values()]
_SIGNALS = [
    SignalOut(
        name=signal.name,
        unit=signal.unit,
        title=signal.title,
        description=signal.description,
        low=signal.low,
        high=signal.high,
        decimals=signal.decimals,
        limits={
            design: LimitsOut.model_validate(limits[signal.name])
            for design, limits in LIMITS.items()
            if signal.name in limits
        },
    )
    for signal in SIGNALS
]
_FAULTS = [
    FaultOut(
        kind=info.kind,
        title=info.title,
        description=info.description,
        full_severity=info.full_severity,
        primary_signal=info.primary_signal,
        acts_on_sensor=info.acts_on_sensor,
        designs=sorted(info.designs),
    )
    for info in FAULTS.values()
]


def _first(items: Sequence[_Out]) -> Responses:
    """Return an example: FastAPI leaves nulls out, so one that has none, for it to be true."""
    full = next(item for item in items if "null" not in item.model_dump_json())
    return answers([full.model_dump(mode="json", by_alias=True)])


@router.get("/designs", operation_id="listDesigns", responses=_first(_DESIGNS))
async def designs() -> list[DesignOut]:
    """List the designs."""
    return _DESIGNS


@router.get("/signals", operation_id="listSignals", responses=_first(_SIGNALS))
async def signals() -> list[SignalOut]:
    """List the signals with range, and normal band and alarm limits by design."""
    return _SIGNALS


@router.get("/faults", operation_id="listFaults", responses=_first(_FAULTS))
async def faults() -> list[FaultOut]:
    """List the faults."""
    return _FAULTS
