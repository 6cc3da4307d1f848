"""The table of everything that is worth an event; ``docs/events.md`` is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from reactorsync.resources import ConditionStatus
from reactorsync_operator.reconcile.conditions import (
    INJECTED,
    READY,
    RECOVERED,
    STALLED,
    SUCCEEDED,
    SUSPENDED,
    TARGETS_RESOLVED,
    VERIFIED,
)
from reactorsync_operator.reconcile.reasons import ReactorReason, ScenarioReason

_TRUE, _FALSE = ConditionStatus.TRUE, ConditionStatus.FALSE


class EventType(StrEnum):
    """Whether somebody should look."""

    NORMAL = "Normal"
    WARNING = "Warning"


class Action(StrEnum):
    """What the operator was doing for the object."""

    VALIDATE = "Validate"
    SIMULATE = "Simulate"
    DELIVER = "Deliver"
    PLAN = "Plan"
    RESOLVE = "ResolveTargets"
    GUARD = "Guard"
    PROBE = "Probe"
    INJECT = "Inject"
    VERIFY = "Verify"
    RECOVER = "Recover"
    SUSPEND = "Suspend"
    FINISH = "Finish"
    DELETE = "Delete"


class EventReason(StrEnum):
    """Reasons of events that no condition has."""

    FAULT_ENDED = "FaultEnded"
    TRIP_RESET = "TripReset"
    PROBES_NOT_PASSED = "ProbesNotPassed"
    RUN_BEGAN = "RunBegan"
    RESUMED = "Resumed"
    EXPIRED = "Expired"
    KEPT = "DeletionRefused"
    STATUS_REFUSED = "StatusRefused"
    SPEC_REPAIRED = "SpecRepaired"


@dataclass(frozen=True, slots=True)
class Becomes:
    """A condition takes a status, or another reason for it: that of the table's row."""

    condition: str
    status: ConditionStatus


@dataclass(frozen=True, slots=True)
class EventKind:
    """A row of the table.

    Attributes:
        template: of the note; ``{message}`` is that of the condition.
        trigger: the condition that says it, or in words what the statuses differ by.
    """

    reason: StrEnum
    type: EventType
    action: Action
    template: str
    trigger: Becomes | str


def _normal(
    reason: StrEnum, action: Action, template: str, trigger: tuple[str, ConditionStatus] | str
) -> EventKind:
    return EventKind(reason, EventType.NORMAL, action, template, _trigger(trigger))


def _warning(
    reason: StrEnum, action: Action, template: str, trigger: tuple[str, ConditionStatus] | str
) -> EventKind:
    return EventKind(reason, EventType.WARNING, action, template, _trigger(trigger))


def _trigger(trigger: tuple[str, ConditionStatus] | str) -> Becomes | str:
    return trigger if isinstance(trigger, str) else Becomes(*trigger)


INVALID_SPEC: Final = _warning(
    ScenarioReason.INVALID_SPEC, Action.VALIDATE, "{message}", (STALLED, _TRUE)
)
"""Of both kinds."""

SPEC_REPAIRED: Final = _normal(
    EventReason.SPEC_REPAIRED,
    Action.VALIDATE,
    "the spec is valid again{outcome}",
    "`Stalled` was True with reason InvalidSpec",
)
"""Of both kinds."""

STATUS_REFUSED: Final = _warning(
    EventReason.STATUS_REFUSED,
    Action.VALIDATE,
    "the API server refuses the status that is to be written; the operator's log says why",
    "a status is not valid by the definition in the cluster",
)
"""Of both kinds."""

PLAN_FAILED: Final = _warning(
    ScenarioReason.PLAN_FAILED, Action.PLAN, "{message}", (STALLED, _TRUE)
)
"""Of both kinds."""

FAULT_ACTIVE: Final = _normal(
    ReactorReason.FAULT_ACTIVE, Action.INJECT, "acts on the plant: {faults}", "a fault began to act"
)
FAULT_ENDED: Final = _normal(
    EventReason.FAULT_ENDED,
    Action.RECOVER,
    "no longer acts on the plant: {faults}",
    "a fault ceased to act",
)
TRIPPED: Final = _warning(
    ReactorReason.TRIPPED,
    Action.SIMULATE,
    "the protection system shut the plant down: {cause}",
    "`status.tripCause` is set",
)
TRIP_RESET: Final = _normal(
    EventReason.TRIP_RESET,
    Action.SIMULATE,
    "the protection system was reset; it had tripped by {cause}",
    "`status.tripCause` is gone",
)

REACTOR_EVENTS: Final = (
    INVALID_SPEC,
    SPEC_REPAIRED,
    PLAN_FAILED,
    _normal(ReactorReason.STREAMING, Action.SIMULATE, "{message}", (READY, _TRUE)),
    _normal(ReactorReason.SUSPENDED, Action.SUSPEND, "{message}", (READY, _TRUE)),
    _warning(ReactorReason.GENERATOR_SILENT, Action.SIMULATE, "{message}", (READY, _FALSE)),
    _warning(ReactorReason.DELIVERY_UNAVAILABLE, Action.DELIVER, "{message}", (READY, _FALSE)),
    _warning(ReactorReason.AWAITING_GENERATOR, Action.SIMULATE, "{message}", (STALLED, _TRUE)),
    FAULT_ACTIVE,
    FAULT_ENDED,
    TRIPPED,
    TRIP_RESET,
    STATUS_REFUSED,
)
"""Every event of a reactor."""

PROBING: Final = _normal(
    ScenarioReason.PROBING,
    Action.PROBE,
    "run {run} is due and waits until every Before probe has passed",
    "`status.run.phase` becomes Probing",
)
RUN_BEGAN: Final = _normal(
    EventReason.RUN_BEGAN,
    Action.INJECT,
    "run {run} began with {targets} chosen, until {end}",
    "`status.run.phase` becomes Running",
)
PROBES_NOT_PASSED: Final = _warning(
    EventReason.PROBES_NOT_PASSED,
    Action.PROBE,
    "did not pass in run {run}: {probes}",
    "`passed` of a probe becomes false",
)
RUN_ABORTED: Final = _normal(
    ScenarioReason.ABORTED,
    Action.RECOVER,
    "run {run} was ended before its time",
    "`status.run.phase` becomes Aborted",
)
COMPLETED: Final = _normal(
    ScenarioReason.COMPLETED,
    Action.FINISH,
    "run {run} completed: {injected} injected, {recovered} recovered{score}",
    (SUCCEEDED, _TRUE),
)
RESUMED: Final = _normal(
    EventReason.RESUMED, Action.INJECT, "the scenario is active again", "`Suspended` was True"
)
EXPIRED: Final = _normal(
    EventReason.EXPIRED,
    Action.DELETE,
    "deleted, as asked, {ttl} s after the outcome of its run was final",
    "`spec.ttlSecondsAfterFinished` has passed",
)
KEPT: Final = _warning(
    EventReason.KEPT,
    Action.DELETE,
    "is to be deleted, as its time is over, and cannot be: {message}",
    "the API server refuses the deletion",
)

SCENARIO_EVENTS: Final = (
    INVALID_SPEC,
    SPEC_REPAIRED,
    PLAN_FAILED,
    _normal(ScenarioReason.DRY_RUN, Action.RESOLVE, "{summary}", (READY, _TRUE)),
    _warning(ScenarioReason.NO_TARGETS, Action.RESOLVE, "{message}", (READY, _FALSE)),
    _warning(ScenarioReason.CONFLICT, Action.RESOLVE, "{message}", (READY, _FALSE)),
    _warning(ScenarioReason.TARGETS_FAILED, Action.RESOLVE, "{message}", (READY, _FALSE)),
    _warning(
        ScenarioReason.TARGETS_MISSING, Action.RESOLVE, "{message}", (TARGETS_RESOLVED, _FALSE)
    ),
    _warning(ScenarioReason.ENVIRONMENT_MISMATCH, Action.GUARD, "{message}", (STALLED, _TRUE)),
    _warning(ScenarioReason.GUARD_TRIPPED, Action.GUARD, "{message}", (READY, _FALSE)),
    _warning(ScenarioReason.DELIVERY_UNAVAILABLE, Action.DELIVER, "{message}", (STALLED, _TRUE)),
    PROBING,
    RUN_BEGAN,
    _normal(ScenarioReason.ALL_INJECTED, Action.INJECT, "{message}", (INJECTED, _TRUE)),
    _warning(ScenarioReason.INJECTION_OVERDUE, Action.INJECT, "{message}", (STALLED, _TRUE)),
    _normal(ScenarioReason.CONFIRMED, Action.VERIFY, "{message}", (VERIFIED, _TRUE)),
    _warning(ScenarioReason.MISMATCH, Action.VERIFY, "{message}", (VERIFIED, _FALSE)),
    PROBES_NOT_PASSED,
    _normal(ScenarioReason.SUSPENDED, Action.SUSPEND, "{summary}", (SUSPENDED, _TRUE)),
    RESUMED,
    RUN_ABORTED,
    _warning(ScenarioReason.LIFT_OVERDUE, Action.RECOVER, "{message}", (STALLED, _TRUE)),
    _normal(ScenarioReason.ALL_RECOVERED, Action.RECOVER, "{message}", (RECOVERED, _TRUE)),
    COMPLETED,
    _warning(ScenarioReason.ENVIRONMENT_MISMATCH, Action.FINISH, "{message}", (SUCCEEDED, _FALSE)),
    _warning(ScenarioReason.GUARD_TRIPPED, Action.FINISH, "{message}", (SUCCEEDED, _FALSE)),
    _warning(ScenarioReason.ABORT_CONDITION_MET, Action.FINISH, "{message}", (SUCCEEDED, _FALSE)),
    _warning(ScenarioReason.STEADY_STATE_NOT_MET, Action.FINISH, "{message}", (SUCCEEDED, _FALSE)),
    _warning(ScenarioReason.PROBES_FAILED, Action.FINISH, "{message}", (SUCCEEDED, _FALSE)),
    _warning(ScenarioReason.NO_TARGETS, Action.FINISH, "{message}", (SUCCEEDED, _FALSE)),
    _warning(ScenarioReason.CONFLICT, Action.FINISH, "{message}", (SUCCEEDED, _FALSE)),
    _warning(ScenarioReason.TARGETS_FAILED, Action.FINISH, "{message}", (SUCCEEDED, _FALSE)),
    _warning(ScenarioReason.NOT_INJECTED, Action.FINISH, "{message}", (SUCCEEDED, _FALSE)),
    _warning(ScenarioReason.PARTLY_INJECTED, Action.FINISH, "{message}", (SUCCEEDED, _FALSE)),
    _warning(ScenarioReason.NOT_RECOVERED, Action.FINISH, "{message}", (SUCCEEDED, _FALSE)),
    _warning(ScenarioReason.MISSED, Action.FINISH, "{message}", (SUCCEEDED, _FALSE)),
    EXPIRED,
    KEPT,
    STATUS_REFUSED,
)
"""Every event of a scenario."""
