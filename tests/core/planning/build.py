"""Resources as a store would hold them, for tests of plans."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from reactorsync.designs import Design
from reactorsync.resources import (
    AnomalyScenario,
    AnomalyScenarioSpec,
    AnomalyScenarioStatus,
    ObjectMeta,
    Reactor,
    ReactorSpec,
)

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
"""The moment most tests begin at: a Monday."""

_NAMES = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")

LEAK = {"name": "leak", "fault": "PrimaryLeak", "severityPercent": 40, "durationSeconds": 600}


def uid_of(name: str) -> UUID:
    """UID of whatever has that name in these tests."""
    return uuid5(_NAMES, name)


def after(seconds: float) -> datetime:
    """A moment so many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def reactor(
    name: str = "bruce-1",
    *,
    labels: dict[str, str] | None = None,
    created: datetime = NOON - timedelta(days=1),
    generation: int = 1,
    version: int = 1,
    **spec: Any,
) -> Reactor:
    """A stored reactor; the rest are fields of its spec, in camelCase."""
    return Reactor(
        metadata=ObjectMeta(
            name=name,
            uid=uid_of(name),
            labels=labels or {},
            generation=generation,
            resource_version=str(version),
            creation_timestamp=created,
        ),
        spec=ReactorSpec.model_validate({"design": Design.CANDU6, **spec}),
    )


def fleet_of(count: int, **labels: str) -> list[Reactor]:
    """Reactors bruce-1, bruce-2 and so on."""
    return [reactor(f"bruce-{number}", labels=labels) for number in range(1, count + 1)]


def scenario(
    name: str = "leak-drill",
    *,
    created: datetime = NOON,
    generation: int = 1,
    version: int = 1,
    status: AnomalyScenarioStatus | None = None,
    **spec: Any,
) -> AnomalyScenario:
    """A stored scenario: a leak of ten minutes on every reactor unless said otherwise."""
    return AnomalyScenario(
        metadata=ObjectMeta(
            name=name,
            uid=uid_of(name),
            generation=generation,
            resource_version=str(version),
            creation_timestamp=created,
        ),
        spec=AnomalyScenarioSpec.model_validate(
            {"targets": {"selector": {}}, "stages": [LEAK], **spec}
        ),
        status=status or AnomalyScenarioStatus(),
    )


def edited(stored: AnomalyScenario, **spec: Any) -> AnomalyScenario:
    """The scenario after its user changed fields of the spec: one generation on."""
    metadata = stored.metadata.model_copy(update={"generation": stored.metadata.generation + 1})
    return stored.model_copy(
        update={
            "metadata": metadata,
            "spec": AnomalyScenarioSpec.model_validate({**stored.spec.to_json(), **spec}),
        }
    )
