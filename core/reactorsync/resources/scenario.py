"""The ``AnomalyScenario`` resource: which faults, when, where and what must be noticed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field, model_validator

from reactorsync.faults import FAULTS, FaultKind
from reactorsync.resources.meta import (
    API_VERSION,
    NAME_PATTERN,
    RFC3339_PATTERN,
    ApiVersion,
    Model,
    ObjectMeta,
    Time,
)
from reactorsync.resources.scenario_status import AnomalyScenarioStatus
from reactorsync.resources.selector import LabelSelector
from reactorsync.resources.time_zones import TIME_ZONES
from reactorsync.signals import SIGNAL_INDEX

HTTP_URL_PATTERN = r"^https?://[^/?#@\s]+([/?#]\S*)?$"
PERCENT_PATTERN = r"^(100|[1-9][0-9]?)%$"
MAX_TARGETS = 100_000

START_FROM = datetime(2000, 1, 1, tzinfo=UTC)
START_BEFORE = datetime(2200, 1, 1, tzinfo=UTC)
"""Bounds of start times: a run that begins within them ends at a moment that can be told."""

_MAX_SECONDS = 30 * 24 * 3600
_ANY_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_CRON_FIELDS = 5


def _known_signal(name: str) -> str:
    if name not in SIGNAL_INDEX:
        raise ValueError(f"must be a signal of the registry: {', '.join(SIGNAL_INDEX)}")
    return name


SignalName = Annotated[
    str, AfterValidator(_known_signal), Field(json_schema_extra={"enum": [*SIGNAL_INDEX]})
]
"""A name of :data:`reactorsync.signals.SIGNALS`."""


class TargetPolicy(StrEnum):
    """Whether reactors that appear later join a running scenario."""

    DYNAMIC = "Dynamic"
    STATIC = "Static"


def _count_or_percent(value: int | str) -> int | str:
    if isinstance(value, str):
        if not re.fullmatch(PERCENT_PATTERN, value):
            raise ValueError("must be a whole number or a share from '1%' to '100%'")
    elif not 1 <= value <= MAX_TARGETS:
        raise ValueError(f"must be from 1 to {MAX_TARGETS}, or a share such as '25%'")
    return value


class Targets(Model):
    """Which reactors the faults act on. Exactly one of ``selector`` and ``names``."""

    selector: LabelSelector | None = Field(
        default=None,
        description="Labels of the reactors to choose from; an empty selector matches all.",
    )
    names: list[Annotated[str, Field(min_length=1, max_length=63, pattern=NAME_PATTERN)]] | None = (
        Field(
            default=None,
            min_length=1,
            max_length=256,
            description="Names of the reactors, in the scenario's namespace, each once.",
            json_schema_extra={"x-list-type": "set"},
        )
    )
    count: Annotated[int | str, AfterValidator(_count_or_percent)] = Field(
        default="100%",
        description=(
            "How many of the matching reactors: a number, or a share such as '25%' (rounded up)."
        ),
    )
    max_targets: int = Field(
        default=MAX_TARGETS,
        ge=1,
        le=MAX_TARGETS,
        description="Upper bound on the number of targets.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2_147_483_647,
        description="Seed of the choice: the same seed chooses the same reactors.",
    )
    policy: TargetPolicy = Field(
        default=TargetPolicy.DYNAMIC,
        description="Dynamic lets later reactors join; Static keeps those chosen at injection.",
    )

    @model_validator(mode="after")
    def _exactly_one_way(self) -> Self:
        if (self.selector is None) == (self.names is None):
            raise ValueError("must set exactly one of `selector` and `names`")
        if self.names is not None and len(set(self.names)) != len(self.names):
            raise ValueError("`names` must not hold a name twice")
        return self


class Shape(StrEnum):
    """How a fault's severity moves over time."""

    STEP = "Step"
    RAMP = "Ramp"
    PULSE = "Pulse"
    DRIFT = "Drift"


class SensorDirection(StrEnum):
    """Which way a biased or drifting sensor is wrong."""

    HIGH = "High"
    LOW = "Low"


class SensorTarget(Model):
    """The instrument a sensor fault acts on."""

    signal: SignalName = Field(max_length=63, description="Signal of the registry.")
    direction: SensorDirection = Field(
        default=SensorDirection.HIGH,
        description="High or Low: the sign of a bias or drift; without effect on other faults.",
    )


class Stage(Model):
    """One fault on the timeline of a scenario."""

    name: str = Field(
        min_length=1,
        max_length=63,
        pattern=NAME_PATTERN,
        description="Name, unique in the scenario.",
    )
    fault: FaultKind = Field(description="What fails; see the fault catalogue.")
    sensor: SensorTarget | None = Field(
        default=None,
        description="Instrument of a Sensor* fault; must be set for those and for no other.",
    )
    severity_percent: int = Field(
        default=100, ge=1, le=100, description="Severity; what 100 means stands in the catalogue."
    )
    offset_seconds: int = Field(
        default=0, ge=0, le=_MAX_SECONDS, description="Seconds from the start of the run."
    )
    shape: Shape = Field(
        default=Shape.STEP,
        description=(
            "Step acts at once; Ramp grows linearly over rampSeconds, then holds; Pulse acts "
            "during the first half of every rampSeconds; Drift grows linearly over the whole "
            "duration."
        ),
    )
    ramp_seconds: int | None = Field(
        default=None,
        ge=1,
        le=_MAX_SECONDS,
        description="Length of the ramp, or period of the pulse; for Ramp and Pulse only.",
    )
    duration_seconds: int = Field(
        default=3600,
        ge=1,
        le=_MAX_SECONDS,
        description="How long the fault acts; it ends by itself, even with the operator down.",
    )

    @model_validator(mode="after")
    def _fits_its_fault(self) -> Self:
        needs_sensor = FAULTS[self.fault].acts_on_sensor
        if needs_sensor and self.sensor is None:
            raise ValueError(f"`sensor` must be set for fault '{self.fault}'")
        if not needs_sensor and self.sensor is not None:
            raise ValueError(f"`sensor` must not be set for fault '{self.fault}'")
        needs_ramp = self.shape in (Shape.RAMP, Shape.PULSE)
        if needs_ramp and self.ramp_seconds is None:
            raise ValueError(f"`rampSeconds` must be set for shape '{self.shape}'")
        if not needs_ramp and self.ramp_seconds is not None:
            raise ValueError(f"`rampSeconds` must not be set for shape '{self.shape}'")
        if self.shape is Shape.RAMP and (self.ramp_seconds or 0) > self.duration_seconds:
            raise ValueError("`rampSeconds` must not be longer than `durationSeconds`")
        return self


def _known_cron(expression: str) -> str:
    if len(expression.split()) != _CRON_FIELDS:
        # The library would take a sixth one, for seconds.
        raise ValueError("must be a five-field cron expression (Wrong number of fields)")
    try:
        CronSim(expression, _ANY_MOMENT)
    except CronSimError as error:
        raise ValueError(f"must be a five-field cron expression ({error})") from error
    return expression


def _known_zone(name: str) -> str:
    if name not in TIME_ZONES:
        raise ValueError("must be an IANA time zone, for example Europe/Bucharest or UTC")
    return name


def _tellable(moment: datetime) -> datetime:
    if not START_FROM <= moment < START_BEFORE:
        raise ValueError("must lie in the years from 2000 to 2199")
    return moment


class ConcurrencyPolicy(StrEnum):
    """What to do when a run is due while one still goes on."""

    FORBID = "Forbid"
    REPLACE = "Replace"


class Schedule(Model):
    """Runs by the clock."""

    cron: Annotated[str, AfterValidator(_known_cron)] = Field(
        max_length=128,
        description=(
            "Five-field cron expression: minute, hour, day of month, month, day of week; "
            "for example '0 2 * * *' (at two every night) or '*/15 8-16 * * MON-FRI'."
        ),
    )
    time_zone: Annotated[str, AfterValidator(_known_zone)] = Field(
        default="UTC",
        min_length=1,
        max_length=64,
        description="IANA time zone the expression is read in, for example Europe/Bucharest.",
    )
    concurrency_policy: ConcurrencyPolicy = Field(
        default=ConcurrencyPolicy.FORBID,
        description="Forbid skips a run due while one goes on; Replace ends that one first.",
    )
    starting_deadline_seconds: int = Field(
        default=300,
        ge=10,
        le=_MAX_SECONDS,
        description="A run missed by more than this is skipped; at most one missed run catches up.",
    )
    history_limit: int = Field(
        default=5, ge=0, le=20, description="How many past runs `status.history` keeps."
    )


class ScenarioState(StrEnum):
    """What the user wants of the scenario now."""

    ACTIVE = "Active"
    SUSPENDED = "Suspended"
    ABORTED = "Aborted"


class SuspendPolicy(StrEnum):
    """What the timeline of a run does while the scenario is suspended."""

    RUN_CLOCK = "RunClock"
    HOLD_CLOCK = "HoldClock"


class Guard(StrEnum):
    """A limit that the operator holds scenarios to."""

    BLAST_RADIUS = "BlastRadius"
    CONCURRENT_SEVERE = "ConcurrentSevere"


class GuardOverride(Model):
    """Guards that this scenario may break, and why."""

    guards: list[Guard] = Field(
        min_length=1,
        max_length=2,
        description=(
            "BlastRadius (share of the namespace's reactors one scenario may act on) or "
            "ConcurrentSevere (severe runs at the same time), each once."
        ),
        json_schema_extra={"x-list-type": "set"},
    )
    reason: str = Field(
        min_length=10, max_length=256, description="Why, for whoever reads it afterwards."
    )

    @model_validator(mode="after")
    def _each_guard_once(self) -> Self:
        if len(set(self.guards)) != len(self.guards):
            raise ValueError("`guards` must not hold a guard twice")
        return self


class ScenarioMode(StrEnum):
    """Whether faults are really injected."""

    RUN = "Run"
    DRY_RUN = "DryRun"


class ConflictPolicy(StrEnum):
    """What happens where two scenarios act on one reactor."""

    COMPOSE = "Compose"
    PRIORITIZE = "Prioritize"
    REJECT = "Reject"


class ProbePhase(StrEnum):
    """When a probe is evaluated, relative to the injection."""

    BEFORE = "Before"
    DURING = "During"
    AFTER = "After"


class Comparison(StrEnum):
    """How an observed value is compared."""

    ABOVE = "Above"
    BELOW = "Below"


class TelemetryProbe(Model):
    """Expects a signal of every target beyond or within a threshold."""

    signal: SignalName = Field(max_length=63, description="Signal of the registry.")
    comparison: Comparison = Field(description="Above or Below.")
    threshold_milli: int = Field(
        ge=-(10**12), le=10**12, description="Threshold in thousandths of the signal's unit."
    )


class AlarmProbe(Model):
    """Expects an alarm on every target."""

    signal: SignalName = Field(max_length=63, description="Signal the alarm is about.")


class DiagnosisProbe(Model):
    """Expects the diagnosis to name a fault among its first hypotheses."""

    fault: FaultKind = Field(description="Fault that must be named.")
    top: int = Field(default=1, ge=1, le=10, description="Rank up to which it counts.")


class HttpProbe(Model):
    """Expects an HTTP GET to answer with a status."""

    url: str = Field(
        max_length=2048,
        pattern=HTTP_URL_PATTERN,
        description="Address, http or https, asked by GET; without a user or password in it.",
    )
    status: int = Field(default=200, ge=100, le=599, description="Status that counts as passed.")


class Probe(Model):
    """A check that whoever watches the plant does their job. Exactly one kind of check."""

    name: str = Field(
        min_length=1, max_length=63, pattern=NAME_PATTERN, description="Name, unique in the list."
    )
    phase: ProbePhase = Field(
        default=ProbePhase.DURING, description="Before, During or After the injection."
    )
    timeout_seconds: int = Field(
        default=60, ge=1, le=86_400, description="Time within which the check must pass."
    )
    telemetry: TelemetryProbe | None = Field(default=None, description="Check of a signal.")
    alarm: AlarmProbe | None = Field(default=None, description="Check of an alarm.")
    diagnosis: DiagnosisProbe | None = Field(default=None, description="Check of a diagnosis.")
    http: HttpProbe | None = Field(default=None, description="Check of an HTTP endpoint.")

    @model_validator(mode="after")
    def _exactly_one_check(self) -> Self:
        checks = (self.telemetry, self.alarm, self.diagnosis, self.http)
        if sum(check is not None for check in checks) != 1:
            raise ValueError("must set exactly one of `telemetry`, `alarm`, `diagnosis` and `http`")
        return self


class AnomalyScenarioSpec(Model):
    """What the user wants to happen."""

    targets: Targets = Field(description="Which reactors the faults act on.")
    stages: list[Stage] = Field(
        min_length=1,
        max_length=16,
        description="Faults on the timeline of a run.",
        json_schema_extra={"x-list-map-keys": ["name"]},
    )
    start_time: Annotated[Time, AfterValidator(_tellable)] | None = Field(
        default=None,
        description=(
            "When the run starts, from 2000 to 2199; excludes startDelaySeconds and schedule."
        ),
        json_schema_extra={"pattern": RFC3339_PATTERN},
    )
    start_delay_seconds: int | None = Field(
        default=None,
        ge=0,
        le=_MAX_SECONDS,
        description=(
            "Seconds from creation (or re-run) to the start; excludes startTime and schedule."
        ),
    )
    schedule: Schedule | None = Field(
        default=None, description="Runs by the clock; excludes startTime and startDelaySeconds."
    )
    state: ScenarioState = Field(
        default=ScenarioState.ACTIVE,
        description=(
            "Active runs; Suspended lifts the faults until Active (see suspendPolicy); Aborted "
            "lifts the faults and ends the run for good."
        ),
    )
    suspend_policy: SuspendPolicy = Field(
        default=SuspendPolicy.RUN_CLOCK,
        description=(
            "While Suspended: RunClock lets the timeline go on, HoldClock stops it, so that what "
            "is left of the run follows after Active."
        ),
    )
    mode: ScenarioMode = Field(
        default=ScenarioMode.RUN,
        description="Run injects; DryRun only resolves targets and says what would happen.",
    )
    run_token: str = Field(
        default="",
        max_length=63,
        pattern=r"^[A-Za-z0-9]?([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
        description="Any text; a new value starts a new run.",
    )
    conflict_policy: ConflictPolicy = Field(
        default=ConflictPolicy.COMPOSE,
        description=(
            "Where another scenario acts on the same reactor at the same time: Compose adds the "
            "faults, Prioritize lets the higher priority act, Reject leaves this one out."
        ),
    )
    priority: int = Field(
        default=0,
        ge=-1000,
        le=1000,
        description=(
            "Higher acts first where scenarios meet; of two with the same, the older one by its "
            "creationTimestamp, and of two of the same second the first by name."
        ),
    )
    probes: list[Probe] = Field(
        default_factory=list,
        max_length=16,
        description="Checks of whoever watches the plant.",
        json_schema_extra={"x-list-map-keys": ["name"]},
    )
    abort_when: list[Probe] = Field(
        default_factory=list,
        max_length=8,
        description="Checks that abort the run as soon as one passes.",
        json_schema_extra={"x-list-map-keys": ["name"]},
    )

    environment: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        pattern=NAME_PATTERN,
        description="Environment the scenario is meant for; an operator of another one refuses it.",
    )
    guard_override: GuardOverride | None = Field(
        default=None, description="Guards that this scenario may break."
    )
    ttl_seconds_after_finished: int | None = Field(
        default=None,
        ge=0,
        le=_MAX_SECONDS,
        description=(
            "Seconds after the outcome of the last run is final until the scenario is deleted; "
            "absent keeps it. Not for scenarios with a schedule, nor for those kept in git."
        ),
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        starts = (self.start_time, self.start_delay_seconds, self.schedule)
        if sum(start is not None for start in starts) > 1:
            raise ValueError(
                "must set at most one of `startTime`, `startDelaySeconds` and `schedule`"
            )
        if self.ttl_seconds_after_finished is not None and self.schedule is not None:
            raise ValueError(
                "`ttlSecondsAfterFinished` must not be set together with `schedule`, which never "
                "finishes"
            )
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        probes = [probe.name for probe in self.probes]
        aborting = [probe.name for probe in self.abort_when]
        for field, names in (
            ("stages", [stage.name for stage in self.stages]),
            ("probes", probes),
            ("abortWhen", aborting),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"names in `{field}` must be unique")
        if not set(probes).isdisjoint(aborting):
            raise ValueError("names must be unique across `probes` and `abortWhen`")
        return self

    @model_validator(mode="after")
    def _aborts_during_the_run(self) -> Self:
        if any(probe.phase is not ProbePhase.DURING for probe in self.abort_when):
            raise ValueError("`phase` must be 'During' in `abortWhen`, the only time to abort at")
        return self

    @property
    def run_seconds(self) -> int:
        """Length of one run: until its last stage has ended."""
        return max(stage.offset_seconds + stage.duration_seconds for stage in self.stages)


class AnomalyScenario(Model):
    """Faults to inject into simulated reactors, when and where, and what must be noticed."""

    api_version: ApiVersion = API_VERSION
    kind: Literal["AnomalyScenario"] = "AnomalyScenario"
    metadata: ObjectMeta
    spec: AnomalyScenarioSpec
    status: AnomalyScenarioStatus = Field(default_factory=AnomalyScenarioStatus)
