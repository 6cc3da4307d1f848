"""The custom resources and what is computed from them alone."""

from reactorsync.resources.meta import (
    API_VERSION,
    Condition,
    ConditionStatus,
    Kind,
    Model,
    ObjectMeta,
    condition_of,
)
from reactorsync.resources.reactor import Reactor, ReactorSpec, ReactorState, ReactorStatus
from reactorsync.resources.scenario import AnomalyScenario, AnomalyScenarioSpec, Stage, Targets
from reactorsync.resources.scenario_status import AnomalyScenarioStatus
from reactorsync.resources.selector import FieldSelector, LabelSelector

Resource = Reactor | AnomalyScenario
"""Any resource ReactorSync knows."""

__all__ = [
    "API_VERSION",
    "AnomalyScenario",
    "AnomalyScenarioSpec",
    "AnomalyScenarioStatus",
    "Condition",
    "ConditionStatus",
    "FieldSelector",
    "Kind",
    "LabelSelector",
    "Model",
    "ObjectMeta",
    "Reactor",
    "ReactorSpec",
    "ReactorState",
    "ReactorStatus",
    "Resource",
    "Stage",
    "Targets",
    "condition_of",
]
