"""The status of an ``AnomalyScenario``: what became of its runs."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from reactorsync.resources.meta import Condition, Model, Time


class RunPhase(StrEnum):
    """Where a run stands."""

    PENDING = "Pending"
    PROBING = "Probing"
    """Due, and held back until every Before probe has passed."""
    RUNNING = "Running"
    COMPLETED = "Completed"
    ABORTED = "Aborted"


class Run(Model):
    """One passage through the timeline."""

    number: int = Field(ge=1, description="Number of the run, counted from 1.")
    token: str = Field(default="", max_length=63, description="The spec.runToken that started it.")
    phase: RunPhase = Field(
        description=(
            "Pending, Probing (waits for the Before probes), Running, Completed or Aborted."
        )
    )
    start_time: Time = Field(description="When the timeline starts (offset 0).")
    end_time: Time = Field(description="When the last stage ends, or the run was aborted.")
    injected_time: Time | None = Field(
        default=None, description="When the first target reported the first fault."
    )
    recovered_time: Time | None = Field(
        default=None, description="When the last target reported its last fault gone."
    )
    held_since: Time | None = Field(
        default=None, description="Since when the clock of the run stands still, while it does."
    )
    selection_cutoff: str | None = Field(
        default=None,
        max_length=32,
        description="Rank of the last reactor chosen, kept for policy Static.",
    )
    selection_time: Time | None = Field(
        default=None,
        description="When the choice was closed, for policy Static: who came later stays out.",
    )


class RunSummary(Model):
    """A past run, as `status.history` keeps it."""

    number: int = Field(ge=1, description="Number of the run.")
    phase: RunPhase = Field(description="How it ended.")
    start_time: Time = Field(description="When it started.")
    end_time: Time = Field(description="When it ended.")
    targets: int = Field(default=0, ge=0, description="How many reactors it acted on.")
    score: int | None = Field(default=None, ge=0, le=100, description="Its score, when it has one.")


class TargetCounts(Model):
    """How many reactors are in which state of the run."""

    matched: int = Field(default=0, ge=0, description="Reactors that match selector or names.")
    selected: int = Field(
        default=0,
        ge=0,
        description="Reactors chosen among them; those that left since the run acted on them, too.",
    )
    left: int = Field(default=0, ge=0, description="Reactors among them that are chosen no longer.")
    injected: int = Field(default=0, ge=0, description="Reactors that reported a fault acting.")
    recovered: int = Field(default=0, ge=0, description="Reactors that reported all faults gone.")
    failed: int = Field(default=0, ge=0, description="Reactors the faults could not act on.")


class TargetFailure(Model):
    """Why the scenario does not act on one reactor."""

    reactor: str = Field(max_length=63, description="Name of the reactor.")
    reason: str = Field(max_length=63, description="Cause in CamelCase.")
    message: str = Field(default="", max_length=256, description="What a person should know.")


class Detection(Model):
    """How well whoever watches noticed the run."""

    detected: int = Field(default=0, ge=0, description="Targets on which an alarm was raised.")
    missed: int = Field(default=0, ge=0, description="Targets whose faults raised no alarm.")
    false_alarms: int = Field(
        default=0, ge=0, description="Alarms during the run on reactors that were no target."
    )
    time_to_detect_milliseconds: int | None = Field(
        default=None, ge=0, description="Median time from injection to the first alarm."
    )


class ProbeResult(Model):
    """How a probe went."""

    name: str = Field(max_length=63, description="Name of the probe.")
    passed: bool | None = Field(default=None, description="Absent while undecided.")
    message: str = Field(default="", max_length=256, description="What was seen.")


class AnomalyScenarioStatus(Model):
    """What really happened."""

    observed_generation: int = Field(
        default=0, ge=0, description="Generation of the spec that this status answers."
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=16,
        description=(
            "Ready, TargetsResolved, Injected, Verified, Recovered, Suspended, Succeeded; "
            "Reconciling and Stalled while true."
        ),
        json_schema_extra={"x-list-map-keys": ["type"]},
    )
    summary: str = Field(default="", max_length=256, description="The state in a few words.")
    run: Run | None = Field(default=None, description="The current or last run.")
    targets: TargetCounts = Field(default_factory=TargetCounts, description="Counts of reactors.")
    failures: list[TargetFailure] = Field(
        default_factory=list, max_length=20, description="The first failures; the rest by the API."
    )
    detection: Detection | None = Field(default=None, description="What was noticed of the run.")
    probes: list[ProbeResult] = Field(
        default_factory=list,
        max_length=24,
        description="Results of probes and abortWhen.",
        json_schema_extra={"x-list-map-keys": ["name"]},
    )
    score: int | None = Field(
        default=None, ge=0, le=100, description="Verdict on whoever watches, 100 is best."
    )
    next_run_time: Time | None = Field(default=None, description="When the schedule next fires.")
    history: list[RunSummary] = Field(
        default_factory=list, max_length=20, description="Past runs, newest first."
    )
