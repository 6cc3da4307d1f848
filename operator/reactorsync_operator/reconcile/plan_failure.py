"""What a status says while an object cannot be planned, which is a fault of the operator's."""

from __future__ import annotations

from datetime import datetime

from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync_operator.reconcile.conditions import (
    READY,
    RECONCILING,
    STALLED,
    ConditionList,
    false,
    true,
)
from reactorsync_operator.reconcile.reasons import ReactorReason, ScenarioReason


def with_plan_failure(
    resource: Reactor | AnomalyScenario, problem: str, now: datetime
) -> Reactor | AnomalyScenario:
    """Return ``resource`` with a status that says why there is no plan for it.

    All else stays as it was, ``observedGeneration`` too: this spec has yet to be looked at, and
    until then nothing that was edited is published.
    """
    is_reactor = isinstance(resource, Reactor)
    reason = ReactorReason.PLAN_FAILED if is_reactor else ScenarioReason.PLAN_FAILED
    before = resource.status.conditions
    conditions = ConditionList(before, resource.metadata.generation, now)
    conditions.set(READY, false(reason, problem))
    conditions.set(STALLED, true(reason, problem))
    ready, stalled = conditions.build()
    others = [one for one in before if one.type not in (READY, STALLED, RECONCILING)]
    status = resource.status.model_copy(update={"conditions": [ready, *others, stalled]})
    return resource.model_copy(update={"status": status})
