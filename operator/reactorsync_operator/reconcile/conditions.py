"""Conditions as Kubernetes tools read them: the time changes only with the status."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from reactorsync.resources import Condition, ConditionStatus

READY: Final = "Ready"
NOMINAL: Final = "Nominal"
RECONCILING: Final = "Reconciling"
STALLED: Final = "Stalled"
TARGETS_RESOLVED: Final = "TargetsResolved"
INJECTED: Final = "Injected"
VERIFIED: Final = "Verified"
RECOVERED: Final = "Recovered"
SUSPENDED: Final = "Suspended"
SUCCEEDED: Final = "Succeeded"

_MESSAGE_LENGTH: Final = 1024
"""A status stays small, whatever there is to say."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a condition says: its status, why, and a sentence for people."""

    status: ConditionStatus
    reason: StrEnum
    message: str = ""


def true(reason: StrEnum, message: str = "") -> Finding:
    """Return a finding that the condition holds."""
    return Finding(ConditionStatus.TRUE, reason, message)


def false(reason: StrEnum, message: str = "") -> Finding:
    """Return a finding that the condition does not hold."""
    return Finding(ConditionStatus.FALSE, reason, message)


def unknown(reason: StrEnum, message: str = "") -> Finding:
    """Return a finding that nothing is known."""
    return Finding(ConditionStatus.UNKNOWN, reason, message)


@dataclass(slots=True)
class ConditionList:
    """Builds the conditions of a new status from those of the old one.

    A type that is not set does not appear, which is how ``Reconciling`` and ``Stalled`` go away.
    """

    previous: Iterable[Condition]
    generation: int
    now: datetime
    _set: dict[str, Condition] = field(default_factory=dict)

    def before(self, type_: str) -> Condition | None:
        """Return the condition as it was."""
        return next((condition for condition in self.previous if condition.type == type_), None)

    def since(self, type_: str, status: ConditionStatus) -> datetime:
        """Return since when the condition has had ``status``; now, if it had another one."""
        before = self.before(type_)
        if before is None or before.status is not status:
            return self.now
        return before.last_transition_time

    def set(self, type_: str, finding: Finding) -> datetime:
        """Set a condition and return since when it has had its status."""
        since = self.since(type_, finding.status)
        self._set[type_] = Condition(
            type=type_,
            status=finding.status,
            observed_generation=self.generation,
            last_transition_time=since,
            reason=finding.reason.value,
            message=finding.message[:_MESSAGE_LENGTH],
        )
        return since

    def keep(self, type_: str) -> bool:
        """Leave the condition as it was, for this generation; return whether there was one."""
        before = self.before(type_)
        if before is None:
            return False
        self._set[type_] = before.model_copy(update={"observed_generation": self.generation})
        return True

    def build(self) -> list[Condition]:
        """Return the conditions in the order in which they were set."""
        return list(self._set.values())
