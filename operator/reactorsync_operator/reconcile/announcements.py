"""What is to be told of an object, from the difference of two of its statuses.

An announcement is made once for each change that was written, whoever made it: an operator that
starts again says nothing of what stood in the status already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reactorsync.planning.schedule import is_live
from reactorsync.planning.wording import counted
from reactorsync.resources import (
    AnomalyScenario,
    AnomalyScenarioStatus,
    Condition,
    ConditionStatus,
    Reactor,
    ReactorStatus,
    condition_of,
)
from reactorsync.resources.reactor import ActiveFault
from reactorsync.resources.scenario import ScenarioState
from reactorsync.resources.scenario_status import Run, RunPhase
from reactorsync_operator.reconcile.conditions import STALLED, SUSPENDED
from reactorsync_operator.reconcile.event_kinds import (
    EXPIRED,
    FAULT_ACTIVE,
    FAULT_ENDED,
    INVALID_SPEC,
    KEPT,
    PROBES_NOT_PASSED,
    PROBING,
    REACTOR_EVENTS,
    RESUMED,
    RUN_ABORTED,
    RUN_BEGAN,
    SCENARIO_EVENTS,
    SPEC_REPAIRED,
    STATUS_REFUSED,
    TRIP_RESET,
    TRIPPED,
    Becomes,
    EventKind,
)

_NAMED: Final = 3
"""How many faults or probes a note names; of the others it says how many they are."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something to tell of one object; ``note`` is for people and may be of any length."""

    kind: EventKind
    note: str


def announce(
    before: Reactor | AnomalyScenario, after: Reactor | AnomalyScenario
) -> tuple[Announcement, ...]:
    """Return what is to be told after the status of ``before`` became that of ``after``.

    At most one announcement per row of the table, however many reactors a scenario acts on.
    """
    if isinstance(before, Reactor) and isinstance(after, Reactor):
        return tuple(_of_reactor(before.status, after.status))
    if isinstance(before, AnomalyScenario) and isinstance(after, AnomalyScenario):
        return tuple(_of_scenario(before, after))
    raise TypeError(f"a {before.kind} does not become a {after.kind}")


def announce_expiry(scenario: AnomalyScenario) -> Announcement:
    """Return what is to be told when a finished scenario was deleted for its age."""
    return _announcement(EXPIRED, ttl=scenario.spec.ttl_seconds_after_finished or 0)


def announce_invalid(problem: str) -> Announcement:
    """Return what is to be told when the spec of an object is not valid."""
    return _announcement(INVALID_SPEC, message=problem)


def announce_kept(problem: str) -> Announcement:
    """Return what is to be told when an object that is over cannot be deleted."""
    return _announcement(KEPT, message=problem)


def announce_refusal() -> Announcement:
    """Return what is to be told when a status is refused."""
    return _announcement(STATUS_REFUSED)


def _of_reactor(before: ReactorStatus, after: ReactorStatus) -> Iterator[Announcement]:
    for kind, condition in _turned(REACTOR_EVENTS, before.conditions, after.conditions):
        yield _announcement(kind, message=condition.message)
    if _was_repaired(before.conditions, after.conditions):
        yield _announcement(SPEC_REPAIRED, outcome="")
    began = _missing_in(before.active_faults, after.active_faults)
    if began:
        yield _announcement(FAULT_ACTIVE, faults=_named(began))
    ended = _missing_in(after.active_faults, before.active_faults)
    if ended:
        yield _announcement(FAULT_ENDED, faults=_named(ended))
    if after.trip_cause is not None and before.trip_cause is None:
        yield _announcement(TRIPPED, cause=after.trip_cause)
    if after.trip_cause is None and before.trip_cause is not None:
        yield _announcement(TRIP_RESET, cause=before.trip_cause)


def _of_scenario(before: AnomalyScenario, after: AnomalyScenario) -> Iterator[Announcement]:
    status = after.status
    run = status.run.number if status.run is not None else 0
    phase = _new_phase(before.status.run, status.run)
    if phase is RunPhase.PROBING:
        yield _announcement(PROBING, run=run)
    if phase is RunPhase.RUNNING and status.run is not None:
        yield _announcement(
            RUN_BEGAN,
            run=run,
            targets=counted(status.targets.selected, "reactor"),
            end=_moment(status.run.end_time),
        )
    for kind, condition in _turned(
        SCENARIO_EVENTS, before.status.conditions, after.status.conditions
    ):
        yield _announcement(
            kind,
            message=condition.message,
            summary=status.summary,
            run=run,
            injected=status.targets.injected,
            recovered=status.targets.recovered,
            score=f", score {status.score}" if status.score is not None else "",
        )
    if _was_repaired(before.status.conditions, status.conditions):
        yield _announcement(SPEC_REPAIRED, outcome=_going_on(after))
    failed = _newly_failed(before.status, after)
    if failed:
        yield _announcement(PROBES_NOT_PASSED, run=run, probes=_listed(failed))
    was_suspended = _was(before.status.conditions, SUSPENDED)
    is_suspended = _was(status.conditions, SUSPENDED)
    if was_suspended and not is_suspended and after.spec.state is ScenarioState.ACTIVE:
        yield _announcement(RESUMED)
    if phase is RunPhase.ABORTED:
        yield _announcement(RUN_ABORTED, run=run)


def _turned(
    kinds: Sequence[EventKind], before: list[Condition], after: list[Condition]
) -> Iterator[tuple[EventKind, Condition]]:
    """Return the rows whose condition came to say what they announce."""
    said = {(one.type, one.status, one.reason) for one in before}
    says = {(one.type, one.status, one.reason): one for one in after}
    for kind in kinds:
        if isinstance(kind.trigger, Becomes):
            key = (kind.trigger.condition, kind.trigger.status, kind.reason.value)
            if key in says and key not in said:
                yield kind, says[key]


def _announcement(kind: EventKind, **values: object) -> Announcement:
    return Announcement(kind, kind.template.format(**values).rstrip(" :"))


def _new_phase(before: Run | None, after: Run | None) -> RunPhase | None:
    """Return the phase that the run has come to, ``None`` when it was there already."""
    if after is None:
        return None
    if before is not None and (before.number, before.phase) == (after.number, after.phase):
        return None
    return after.phase


def _newly_failed(before: AnomalyScenarioStatus, after: AnomalyScenario) -> list[str]:
    """Return the probes now known not to have passed; one in ``abortWhen`` is not meant to."""
    failed = {probe.name for probe in before.probes if probe.passed is False}
    wanted = {probe.name for probe in after.spec.probes}
    return [
        probe.name
        for probe in after.status.probes
        if probe.passed is False and probe.name in wanted - failed
    ]


def _was_repaired(before: list[Condition], after: list[Condition]) -> bool:
    """Return whether the spec is valid that was not."""
    was, is_ = (condition_of(conditions, STALLED) for conditions in (before, after))
    reason = INVALID_SPEC.reason
    return was is not None and was.reason == reason and (is_ is None or is_.reason != reason)


def _going_on(scenario: AnomalyScenario) -> str:
    """Return what is to be said of a run whose faults were lifted while the spec was not valid."""
    run = scenario.status.run
    if run is None or run.phase is not RunPhase.RUNNING or not is_live(scenario):
        return ""
    return f": run {run.number} goes on, and its faults act again, until {_moment(run.end_time)}"


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _was(conditions: list[Condition], type_: str) -> bool:
    condition = condition_of(conditions, type_)
    return condition is not None and condition.status is ConditionStatus.TRUE


def _missing_in(some: list[ActiveFault], others: list[ActiveFault]) -> list[ActiveFault]:
    known = {(fault.scenario, fault.stage) for fault in some}
    return [fault for fault in others if (fault.scenario, fault.stage) not in known]


def _named(faults: list[ActiveFault]) -> str:
    return _listed([f"{fault.fault} of {fault.scenario}" for fault in faults])


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    more = len(names) - _NAMED
    return f"{shown} and {more} more" if more > 0 else shown
