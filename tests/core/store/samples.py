"""Resources to store, and the ways tests change them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from reactorsync.designs import Design
from reactorsync.faults import FaultKind
from reactorsync.resources import (
    AnomalyScenario,
    AnomalyScenarioSpec,
    AnomalyScenarioStatus,
    LabelSelector,
    ObjectMeta,
    Reactor,
    ReactorSpec,
    ReactorStatus,
    Stage,
    Targets,
)
from reactorsync.resources.scenario_status import Run, RunPhase

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


def reactor(
    namespace: str,
    name: str = "bruce-1",
    *,
    labels: dict[str, str] | None = None,
    design: Design = Design.CANDU6,
    setpoint: int = 1000,
) -> Reactor:
    return Reactor(
        metadata=ObjectMeta(namespace=namespace, name=name, labels=labels or {}),
        spec=ReactorSpec(design=design, power_setpoint_permille=setpoint),
    )


def scenario(namespace: str, name: str = "pump-trip", *, severity: int = 100) -> AnomalyScenario:
    return AnomalyScenario(
        metadata=ObjectMeta(namespace=namespace, name=name),
        spec=AnomalyScenarioSpec(
            targets=Targets(selector=LabelSelector()),
            stages=[Stage(name="trip", fault=FaultKind.PUMP_TRIP, severity_percent=severity)],
        ),
    )


def with_setpoint(resource: Reactor, permille: int) -> Reactor:
    spec = resource.spec.model_copy(update={"power_setpoint_permille": permille})
    return resource.model_copy(update={"spec": spec})


def with_metadata(resource: Reactor, **fields: object) -> Reactor:
    metadata = resource.metadata.model_copy(update=fields)
    return resource.model_copy(update={"metadata": metadata})


def unconditional(resource: Reactor) -> Reactor:
    """The same, with no claim about which version it was made from."""
    return with_metadata(resource, resource_version="")


def with_power(resource: Reactor, permille: int) -> Reactor:
    """The same with a status that says so."""
    status = ReactorStatus(
        observed_generation=resource.metadata.generation, power_permille=permille
    )
    return resource.model_copy(update={"status": status})


def injected(resource: AnomalyScenario) -> AnomalyScenario:
    """The same, once its run has injected."""
    run = Run(
        number=1,
        token=resource.spec.run_token,
        phase=RunPhase.RUNNING,
        start_time=NOON,
        end_time=NOON + timedelta(hours=1),
        injected_time=NOON,
    )
    return resource.model_copy(update={"status": AnomalyScenarioStatus(run=run)})
