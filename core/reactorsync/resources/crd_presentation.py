"""How ``kubectl`` names and shows the kinds: short names, columns and selectable fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reactorsync.resources.meta import Kind


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
            Column("Power ‰", ".status.powerPermille", "Neutron power, permille.", type="integer"),
            _condition("Ready", "Whether the operator did what the spec asks."),
            _condition("Nominal", "Whether the plant is inside its limits."),
            Column(
                "Fault", ".status.faultSummary", "First of the faults acting, and how many more."
            ),
            _AGE,
            Column("Health", ".status.health.state", "Health in one word.", wide=True),
            Column("Alarms", ".status.openAlarms", "Open alarms.", type="integer", wide=True),
            Column("Trip", ".status.tripCause", "Cause of the trip.", wide=True),
            Column("Site", ".spec.site.name", "Station.", wide=True),
            Column("Generator", ".status.generator.name", "Who simulates it.", wide=True),
        ),
        selectable_fields=(
            ".spec.design",
            ".spec.state",
            ".spec.site.country",
            ".status.health.state",
        ),
    ),
    Kind.ANOMALY_SCENARIO: Presentation(
        plural="anomalyscenarios",
        short_name="anom",
        columns=(
            Column("Fault", ".spec.stages[0].fault", "Fault of the first stage."),
            Column(
                "Severity",
                ".spec.stages[0].severityPercent",
                "Severity of the first stage, percent.",
                type="integer",
            ),
            Column("State", ".spec.state", "What is asked for."),
            Column("Targets", ".status.targets.selected", "Reactors chosen.", type="integer"),
            _condition("Ready", "Whether the operator did what the spec asks."),
            Column("Status", ".status.summary", "What happens, in a few words."),
            _AGE,
            Column("Mode", ".spec.mode", "Whether faults are really injected.", wide=True),
            Column("Run", ".status.run.number", "Number of the run.", type="integer", wide=True),
            _condition("Injected", "Whether faults have begun to act.", wide=True),
            _condition("Verified", "Whether telemetry shows the faults.", wide=True),
            _condition("Succeeded", "Whether the run did what it was to do.", wide=True),
            Column("Score", ".status.score", "Verdict on whoever watches.", "integer", wide=True),
            Column("Ends", ".status.run.endTime", "When the run ends.", wide=True),
            Column("Next", ".status.nextRunTime", "When the schedule fires.", wide=True),
        ),
        selectable_fields=(".spec.state", ".spec.mode", ".spec.environment", ".status.run.phase"),
    ),
}
