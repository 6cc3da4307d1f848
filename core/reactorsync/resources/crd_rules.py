"""What the CRDs say beyond shapes and bounds: rules in CEL, columns and selectable fields.

Each rule repeats one that the Pydantic models or the stores have; tests hold them against each
other. Messages follow the API conventions: "must", fields in back-quotes, values in single quotes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reactorsync.faults import FAULTS
from reactorsync.resources.meta import Kind
from reactorsync.resources.scenario import MAX_TARGETS


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL expression over ``self`` (and ``oldSelf``) that must be true."""

    expression: str
    message: str
    field_path: str | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, str]:
        """Return the rule as ``x-kubernetes-validations`` holds it."""
        parts = {
            "rule": self.expression,
            "message": self.message,
            "fieldPath": self.field_path,
            "reason": self.reason,
        }
        return {name: value for name, value in parts.items() if value is not None}


def _exactly_one(*fields: str) -> str:
    return f"[{', '.join(f'has(self.{field})' for field in fields)}].filter(set, set).size() == 1"


_SENSOR_FAULTS: Final = ", ".join(
    f"'{kind}'" for kind, info in FAULTS.items() if info.acts_on_sensor
)

_NAME: Final = Rule(
    "self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",
    "`metadata.name` must be at most 63 characters, without dots",
)

FROZEN: Final = Rule(
    "!has(oldSelf.status) || !has(oldSelf.status.run) || !has(oldSelf.status.run.injectedTime)"
    " || self.spec.runToken != oldSelf.spec.runToken"
    " || (self.spec.stages == oldSelf.spec.stages && self.spec.targets == oldSelf.spec.targets)",
    "`stages` and `targets` must not change since faults were injected: set another `runToken` to "
    "start a new run",
    field_path=".spec",
    reason="FieldValueForbidden",
)

MODEL_RULES: Final[Mapping[str, Sequence[Rule]]] = {
    "Reactor": (_NAME,),
    "AnomalyScenario": (_NAME, FROZEN),
    "LabelRequirement": (
        Rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            "`values` must be set for operators 'In' and 'NotIn', and empty for the others",
        ),
    ),
    "Targets": (
        Rule(_exactly_one("selector", "names"), "must set exactly one of `selector` and `names`"),
    ),
    "Stage": (
        Rule(
            f"(self.fault in [{_SENSOR_FAULTS}]) == has(self.sensor)",
            "`sensor` must be set for sensor faults, and for no other",
        ),
        Rule(
            "(self.shape in ['Ramp', 'Pulse']) == has(self.rampSeconds)",
            "`rampSeconds` must be set for shapes 'Ramp' and 'Pulse', and for no other",
        ),
        Rule(
            "self.shape != 'Ramp' || !has(self.rampSeconds)"
            " || self.rampSeconds <= self.durationSeconds",
            "`rampSeconds` must not be longer than `durationSeconds`",
        ),
    ),
    "Probe": (
        Rule(
            _exactly_one("telemetry", "alarm", "diagnosis", "http"),
            "must set exactly one of `telemetry`, `alarm`, `diagnosis` and `http`",
        ),
    ),
    "AnomalyScenarioSpec": (
        Rule(
            "[has(self.startTime), has(self.startDelaySeconds), has(self.schedule)]"
            ".filter(set, set).size() <= 1",
            "must set at most one of `startTime`, `startDelaySeconds` and `schedule`",
        ),
    ),
}
"""Rules of an object, by the name of its model."""

FIELD_RULES: Final[Mapping[tuple[str, str], Sequence[Rule]]] = {
    ("ReactorSpec", "design"): (
        Rule(
            "self == oldSelf",
            "`design` must not change: delete the reactor and create it anew",
            reason="FieldValueForbidden",
        ),
    ),
    ("Targets", "count"): (
        Rule(
            f"type(self) == int ? self >= 1 && self <= {MAX_TARGETS} : true",
            f"must be from 1 to {MAX_TARGETS}, or a share such as '25%'",
        ),
    ),
}
"""Rules of one field, by the name of its model and its JSON name."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of ``kubectl get``; ``wide`` ones show with ``-o wide`` only."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False

    def to_json(self) -> dict[str, str | int]:
        """Return the column as ``additionalPrinterColumns`` holds it."""
        column: dict[str, str | int] = {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.path,
            "description": self.description,
        }
        return column | {"priority": 1} if self.wide else column


def _condition(name: str, description: str, *, wide: bool = False) -> Column:
    path = f'.status.conditions[?(@.type=="{name}")].status'
    return Column(name, path, description, wide=wide)


_AGE: Final = Column("Age", ".metadata.creationTimestamp", "When it was created.", type="date")


@dataclass(frozen=True, slots=True)
class Presentation:
    """How a kind is named and shown."""

    plural: str
    short_name: str
    columns: Sequence[Column]
    selectable_fields: Sequence[str]


PRESENTATIONS: Final[Mapping[Kind, Presentation]] = {
    Kind.REACTOR: Presentation(
        plural="reactors",
        short_name="rx",
        columns=(
            Column("Design", ".spec.design", "Reactor design."),
            Column("Power", ".status.powerPermille", "Neutron power, permille.", type="integer"),
            _condition("Ready", "Whether the operator did what the spec asks."),
            _condition("Nominal", "Whether the plant is inside its limits."),
            Column("Fault", ".status.activeFaults[0].fault", "First of the faults acting now."),
            _AGE,
            Column("Health", ".status.health.state", "Health in one word.", wide=True),
            Column("Alarms", ".status.openAlarms", "Open alarms.", type="integer", wide=True),
            Column("Trip", ".status.tripCause", "Cause of the trip.", wide=True),
            Column("Site", ".spec.site.name", "Station.", wide=True),
            Column("Generator", ".status.generator.name", "Who simulates it.", wide=True),
        ),
        selectable_fields=(".spec.design", ".spec.state", ".spec.site.country"),
    ),
    Kind.ANOMALY_SCENARIO: Presentation(
        plural="anomalyscenarios",
        short_name="anom",
        columns=(
            Column("State", ".spec.state", "What is asked for."),
            Column("Status", ".status.summary", "What happens, in a few words."),
            Column("Targets", ".status.targets.selected", "Reactors chosen.", type="integer"),
            _condition("Ready", "Whether the operator did what the spec asks."),
            _condition("Injected", "Whether faults have begun to act."),
            _AGE,
            _condition("Verified", "Whether telemetry shows the faults.", wide=True),
            Column("Score", ".status.score", "Verdict on whoever watches.", "integer", wide=True),
            Column("Run", ".status.run.number", "Number of the run.", type="integer", wide=True),
            Column("Ends", ".status.run.endTime", "When the run ends.", wide=True),
            Column("Next", ".status.nextRunTime", "When the schedule fires.", wide=True),
        ),
        selectable_fields=(".spec.state", ".spec.mode"),
    ),
}
