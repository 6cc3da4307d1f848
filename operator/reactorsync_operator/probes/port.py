"""What the reconciler asks of whoever looks at probes, and what that one asks of the events."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol
from uuid import UUID

from reactorsync.planning.targets import Candidate
from reactorsync.resources import AnomalyScenario
from reactorsync.resources.scenario_status import Run
from reactorsync_operator.reconcile.observed import (
    AlarmReport,
    DiagnosisReport,
    ProbeOutcome,
)


class Probes(Protocol):
    """Looks at the probes of runs."""

    def want(
        self, scenario: AnomalyScenario, run: Run | None, targets: Collection[Candidate]
    ) -> None:
        """Look at the probes of ``run`` from now on; with no run, at none of the scenario.

        To be called after every plan of a scenario. It costs next to nothing when run and targets
        are those of the call before, so hand over the same collection while it is the same.
        """

    def outcomes(self, uid: UUID, run: int) -> Mapping[str, ProbeOutcome]:
        """Return what is known of the probes of a run, by name."""
        ...


class Sightings(Protocol):
    """What events told of alarms and diagnoses."""

    def alarms(self, reactor: UUID) -> Collection[AlarmReport]:
        """Return the newest alarms of a reactor."""
        ...

    def diagnoses(self, reactor: UUID) -> Collection[DiagnosisReport]:
        """Return the newest diagnoses of a reactor, oldest first."""
        ...
