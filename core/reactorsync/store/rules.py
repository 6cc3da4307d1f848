"""What a change must keep to: the version it was made from, and what may not change once set.

The CRDs say the latter in CEL.
"""

from __future__ import annotations

from reactorsync.resources import (
    AnomalyScenario,
    AnomalyScenarioStatus,
    ConditionStatus,
    Reactor,
    Resource,
    condition_of,
)
from reactorsync.resources.scenario_status import RunPhase
from reactorsync.store.port import Conflict, Invalid

DESIGN_IMMUTABLE = "is immutable: delete the reactor and create it anew"
FROZEN_AFTER_INJECTION = (
    "is frozen since faults were injected: set another `runToken` to start a new run"
)
FROZEN_WHILE_JUDGED = (
    "is frozen from the begin of a run until its outcome is final: set another `runToken` to start "
    "a new run"
)
FROZEN_WHILE_ACTING = (
    "is frozen from the injection of a run to its end: set `state` to 'Aborted' to end it"
)
NO_WAY_BACK = "must not go back to that of a run that has yet to be ended: set another `runToken`"

_GOES_ON = frozenset({RunPhase.PROBING, RunPhase.RUNNING})


def check_update(old: Resource, new: Resource) -> None:
    """Compare a stored resource with what is to replace it, a resource of the same kind.

    - A reactor's design is immutable: its history would be another plant's.
    - Once a run of a scenario has injected, stages and targets stay as they are, so that what was
      injected can be read in the spec. Another ``runToken`` asks for a new run and frees them.
    - From its first injection to its end a run keeps its ``mode`` and ``environment``: another mode
      would end it unasked, another environment would not.
    - From the begin of a run until its outcome is final, probes and ``abortWhen`` stay as they are,
      for what its status says of them is told by their names.
    - A token that was left while its run is open does not come back: what it freed has changed.

    Raises:
        Invalid: a rule is broken; names the first field that breaks one.
    """
    if isinstance(old, Reactor) and isinstance(new, Reactor):
        _check_reactor(old, new)
    elif isinstance(old, AnomalyScenario) and isinstance(new, AnomalyScenario):
        _check_scenario(old, new)


def check_precondition(old: Resource, new: Resource) -> None:
    """Raise :class:`Conflict` if ``new`` was made from another object or version than ``old``."""
    title = f"{new.kind} {new.metadata.namespace}/{new.metadata.name}"
    if new.metadata.uid not in (None, old.metadata.uid):
        raise Conflict(f"{title} is another one of the same name by now")
    if new.metadata.resource_version not in ("", old.metadata.resource_version):
        raise Conflict(
            f"{title} is at version {old.metadata.resource_version}, "
            f"not {new.metadata.resource_version}"
        )


def _check_reactor(old: Reactor, new: Reactor) -> None:
    if new.spec.design is not old.spec.design:
        raise Invalid("spec.design", DESIGN_IMMUTABLE)


def _check_scenario(old: AnomalyScenario, new: AnomalyScenario) -> None:
    run = old.status.run
    if run is None:
        return
    if new.spec.run_token != old.spec.run_token:
        if run.phase in _GOES_ON and new.spec.run_token == run.token:
            raise Invalid("spec.runToken", NO_WAY_BACK)
        return
    if run.injected_time is not None:
        if new.spec.stages != old.spec.stages:
            raise Invalid("spec.stages", FROZEN_AFTER_INJECTION)
        if new.spec.targets != old.spec.targets:
            raise Invalid("spec.targets", FROZEN_AFTER_INJECTION)
    if run.injected_time is not None and run.phase in _GOES_ON:
        if new.spec.mode is not old.spec.mode:
            raise Invalid("spec.mode", FROZEN_WHILE_ACTING)
        if new.spec.environment != old.spec.environment:
            raise Invalid("spec.environment", FROZEN_WHILE_ACTING)
    if run.phase is not RunPhase.PENDING and not _is_decided(old.status):
        if new.spec.probes != old.spec.probes:
            raise Invalid("spec.probes", FROZEN_WHILE_JUDGED)
        if new.spec.abort_when != old.spec.abort_when:
            raise Invalid("spec.abortWhen", FROZEN_WHILE_JUDGED)


def _is_decided(status: AnomalyScenarioStatus) -> bool:
    """Return whether the outcome of the run is final, be it that nobody can tell."""
    outcome = condition_of(status.conditions, "Succeeded")
    return outcome is not None and (
        outcome.status is not ConditionStatus.UNKNOWN or outcome.reason == "NotReported"
    )
