"""The plan of one reactor: the desired state its generator needs, and the status it deserves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from reactorsync.faults import FaultKind
from reactorsync.planning.compose import Composition, LeftOut, compose
from reactorsync.resources import ConditionStatus, Reactor, ReactorState, ReactorStatus
from reactorsync.resources.reactor import ActiveFault, GeneratorRef, Health, HealthState
from reactorsync.wire.desired import DesiredFault, DesiredReactor, default_seed
from reactorsync.wire.envelope import from_micros
from reactorsync_operator.reconcile.conditions import (
    NOMINAL,
    READY,
    RECONCILING,
    STALLED,
    ConditionList,
    Finding,
    false,
    true,
    unknown,
)
from reactorsync_operator.reconcile.health import ActingFault, assess
from reactorsync_operator.reconcile.observed import FaultReport, ObservedReactor, ReactorReport
from reactorsync_operator.reconcile.reasons import ReactorReason

HEARTBEAT_LIMIT: Final = timedelta(seconds=15)
"""A shard whose generator was not heard of for this long counts as silent."""

ACKNOWLEDGE_GRACE: Final = timedelta(seconds=10)
"""How long a change of faults may stay unacknowledged before the reactor is no longer Ready."""

STALL_AFTER: Final = timedelta(seconds=60)
"""How long a reactor may be not Ready before that counts as stalled."""

NOTHING_HEARD: Final = (
    "no generator at all is heard of: the broker passes nothing on, or every one of them is down"
)
"""What is told when all fall silent: one cause for it is likelier than as many as there are."""

_ACTIVE_FAULTS_SHOWN: Final = 32


@dataclass(frozen=True, slots=True)
class ReactorPlan:
    """What is to be done about a reactor.

    ``next_wakeup`` is when the plan will be another one though nothing is observed. Silence of the
    shard is left out of it: that concerns all reactors of the shard, and is watched once for them.
    """

    desired: DesiredReactor
    status: ReactorStatus
    left_out: tuple[LeftOut, ...]
    next_wakeup: datetime | None


def plan_reactor(observed: ObservedReactor, now: datetime) -> ReactorPlan:
    """Return what to do about a stored reactor at ``now``.

    Raises:
        ValueError: the reactor was never stored, so that it has no UID.
    """
    reactor = observed.reactor
    composition = compose(reactor, observed.scenarios, now)
    desired = _desired(reactor, composition)
    report = observed.report or ReactorReport()
    plan = _Plan(observed, report, desired, now)
    status = plan.status()
    moments = [*plan.moments]
    if composition.changes_us is not None:
        moments.append(from_micros(composition.changes_us))
    return ReactorPlan(
        desired=desired,
        status=status,
        left_out=composition.left_out,
        next_wakeup=min((moment for moment in moments if moment > now), default=None),
    )


def _desired(reactor: Reactor, composition: Composition) -> DesiredReactor:
    metadata, spec = reactor.metadata, reactor.spec
    if metadata.uid is None:
        raise ValueError(f"reactor {metadata.name} is not stored: it has no uid")
    return DesiredReactor(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        generation=metadata.generation,
        design=spec.design,
        site=spec.site,
        power_setpoint_permille=spec.power_setpoint_permille,
        interval_milliseconds=spec.telemetry.interval_milliseconds,
        noise=spec.telemetry.noise,
        seed=(
            spec.seed if spec.seed is not None else default_seed(metadata.namespace, metadata.name)
        ),
        state=spec.state,
        faults=list(composition.faults),
    )


class _Plan:
    """Works the status out; ``moments`` collects when it will change by itself."""

    def __init__(
        self,
        observed: ObservedReactor,
        report: ReactorReport,
        desired: DesiredReactor,
        now: datetime,
    ) -> None:
        self.reactor = observed.reactor
        self.observed = observed
        self.report = report
        self.desired = desired
        self.revision = desired.revision
        self.now = now
        self.moments: list[datetime] = []

    def status(self) -> ReactorStatus:
        before, report = self.reactor.status, self.report
        active = self._active_faults()
        health = self._health(active)
        conditions = ConditionList(before.conditions, self.desired.generation, self.now)
        self._readiness(conditions)
        conditions.set(NOMINAL, self._nominal(health, active))
        return ReactorStatus(
            observed_generation=self.desired.generation,
            conditions=conditions.build(),
            health=health,
            power_permille=report.power_permille,
            last_telemetry_time=_time(report.observed_us),
            generator=_generator(report),
            trip_cause=report.trip_cause,
            active_faults=active[:_ACTIVE_FAULTS_SHOWN],
            fault_summary=_summary(active),
            open_alarms=(before.open_alarms if report.open_alarms is None else report.open_alarms),
        )

    def _readiness(self, conditions: ConditionList) -> None:
        finding = self._ready(conditions)
        since = conditions.set(READY, finding)
        if finding.status is ConditionStatus.TRUE:
            return
        stalls_at = since + STALL_AFTER
        if self.now < stalls_at:
            self.moments.append(stalls_at)
            conditions.set(RECONCILING, Finding(ConditionStatus.TRUE, finding.reason))
        else:
            conditions.set(STALLED, Finding(ConditionStatus.TRUE, finding.reason, finding.message))

    def _ready(self, conditions: ConditionList) -> Finding:
        is_heard_of = self._shard_is_heard_of()
        if is_heard_of and self.report.revision == self.revision:
            return self._streaming()
        if self.observed.delivery_problem is not None:
            # Without the broker no generator can be heard, so silence says nothing about them.
            return false(ReactorReason.DELIVERY_UNAVAILABLE, self.observed.delivery_problem)
        if not is_heard_of and self.observed.nothing_heard:
            return false(ReactorReason.DELIVERY_UNAVAILABLE, NOTHING_HEARD)
        if not is_heard_of:
            return self._silent()
        before = conditions.before(READY)
        was_ready = before is not None and before.status is ConditionStatus.TRUE
        if was_ready and self.report.generation == self.desired.generation and self._within_grace():
            return self._streaming()
        return false(
            ReactorReason.AWAITING_GENERATOR,
            f"generation {self.desired.generation} is not yet acknowledged by a generator",
        )

    def _streaming(self) -> Finding:
        if self.desired.state is ReactorState.SUSPENDED:
            return true(ReactorReason.SUSPENDED, "the plant's clock stands still, as asked")
        return true(
            ReactorReason.STREAMING,
            f"simulated by {self.report.generator} on shard {self.report.shard}",
        )

    def _silent(self) -> Finding:
        if self.observed.heartbeat_us is None:
            return false(ReactorReason.AWAITING_GENERATOR, "no generator has taken its shard over")
        limit = f"{HEARTBEAT_LIMIT.total_seconds():.0f} s"
        return false(
            ReactorReason.GENERATOR_SILENT,
            f"the generator of its shard was not heard of for {limit}",
        )

    def _within_grace(self) -> bool:
        """Return whether a generator still has time to acknowledge the present faults."""
        overdue_at = self._asked_for_since() + ACKNOWLEDGE_GRACE
        self.moments.append(overdue_at)
        return self.now < overdue_at

    def _asked_for_since(self) -> datetime:
        """Return when the present state was published; until it is, when it was first offered."""
        for known in (self.observed.publication, self.observed.offered):
            if known is not None and known.revision == self.revision:
                return from_micros(known.time_us)
        return self.now

    def _shard_is_heard_of(self) -> bool:
        heartbeat_us = self.observed.heartbeat_us
        return heartbeat_us is not None and self.now - from_micros(heartbeat_us) < HEARTBEAT_LIMIT

    def _active_faults(self) -> list[ActiveFault]:
        """Return the faults reported to act, without those that must be over by now."""
        wanted = {fault.id: fault for fault in self.desired.faults}
        active = []
        for fault_id, report in self.report.faults.items():
            if not report.acts or report.acts_since_us is None:
                continue
            if fault_id not in wanted and self.report.revision == self.revision:
                continue
            end = self._end_of(report, wanted.get(fault_id))
            # One that is neither wanted nor shown is over, or about to be: its end was seen before.
            if end is None or end <= self.now:
                continue
            self.moments.append(end)
            active.append(
                ActiveFault(
                    scenario=report.scenario,
                    stage=report.stage,
                    fault=report.kind,
                    start_time=from_micros(report.acts_since_us),
                    end_time=end,
                )
            )
        return sorted(active, key=lambda fault: (fault.start_time, fault.scenario, fault.stage))

    def _end_of(self, report: FaultReport, wanted: DesiredFault | None) -> datetime | None:
        if wanted is not None:
            return from_micros(wanted.end_us)
        shown = (
            fault.end_time
            for fault in self.reactor.status.active_faults
            if (fault.scenario, fault.stage) == (report.scenario, report.stage)
        )
        return next(shown, None)

    def _health(self, active: list[ActiveFault]) -> Health:
        severities = {
            (fault.scenario, fault.stage): fault.severity_permille // 10
            for fault in self.desired.faults
        }
        return assess(
            [
                ActingFault(_kind(fault.fault), severities.get((fault.scenario, fault.stage), 100))
                for fault in active
            ],
            trip_cause=self.report.trip_cause,
            power_error_permille=abs(
                (self.report.power_permille or 0) - self.desired.power_setpoint_permille
            ),
            heard_of=self.report.power_permille is not None and self._shard_is_heard_of(),
        )

    def _nominal(self, health: Health, active: list[ActiveFault]) -> Finding:
        match health.state:
            case HealthState.NOMINAL:
                return true(ReactorReason.WITHIN_LIMITS)
            case HealthState.TRIPPED:
                return false(ReactorReason.TRIPPED, self.report.trip_cause or "")
            case HealthState.DEGRADED if not active:
                return false(
                    ReactorReason.AWAY_FROM_SETPOINT,
                    f"power is at {self.report.power_permille} permille of rated, the setpoint at "
                    f"{self.desired.power_setpoint_permille}",
                )
            case HealthState.DEGRADED:
                named = ", ".join(f"{fault.fault} ({fault.scenario})" for fault in active[:3])
                return false(ReactorReason.FAULT_ACTIVE, named)
            case HealthState.UNKNOWN:
                return unknown(self._why_unknown())

    def _why_unknown(self) -> ReactorReason:
        if self.observed.heartbeat_us is None or self._shard_is_heard_of():
            return ReactorReason.NO_TELEMETRY
        if self.observed.nothing_heard:
            return ReactorReason.DELIVERY_UNAVAILABLE
        return ReactorReason.GENERATOR_SILENT


def _summary(active: list[ActiveFault]) -> str:
    if not active:
        return ""
    return f"{active[0].fault} +{len(active) - 1}" if len(active) > 1 else active[0].fault


def _time(time_us: int | None) -> datetime | None:
    return None if time_us is None else from_micros(time_us)


def _generator(report: ReactorReport) -> GeneratorRef | None:
    if report.generator is None or report.shard is None:
        return None
    return GeneratorRef(name=report.generator, shard=report.shard)


def _kind(name: str) -> FaultKind | None:
    try:
        return FaultKind(name)
    except ValueError:
        return None
