"""The probes of one run, each with its window and what it has shown."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from reactorsync.planning.targets import Candidate
from reactorsync.planning.timeline import SECOND_US, Window
from reactorsync.resources import AnomalyScenarioSpec
from reactorsync.resources.scenario import HttpProbe
from reactorsync.resources.scenario_status import Run
from reactorsync_operator.probes.checks import TargetCheck
from reactorsync_operator.probes.http_asker import PER_SCENARIO
from reactorsync_operator.reconcile.observed import ProbeOutcome
from reactorsync_operator.reconcile.probing import LAG, PlacedProbe

LAG_US: Final = int(LAG.total_seconds()) * SECOND_US
"""How long after its end a window is still looked at."""


@dataclass(slots=True)
class Question:
    """An HTTP probe on its way."""

    probe: HttpProbe
    outcome: ProbeOutcome = field(default_factory=ProbeOutcome)
    refused: bool = False
    task: asyncio.Task[None] | None = None

    @property
    def passed(self) -> bool:
        """Whether the address has answered as expected."""
        return self.outcome.passed_us is not None

    def stop(self) -> None:
        """Ask no more."""
        if self.task is not None:
            self.task.cancel()
            self.task = None


@dataclass(slots=True)
class Entry:
    """A probe of a run; once decided, only its outcome is left."""

    placed: PlacedProbe
    check: TargetCheck | Question | None
    decided: ProbeOutcome = field(default_factory=ProbeOutcome)

    @property
    def outcome(self) -> ProbeOutcome:
        """What is known by now."""
        return self.decided if self.check is None else self.check.outcome

    def lies_at(self, now_us: int, *, lead_us: int = 0) -> Window | None:
        """Return the window if what happens in it may be coming to be known now."""
        window = self.placed.window
        if window is None or self.check is None or self.check.passed:
            return None
        is_near = window.start_us - lead_us <= now_us < window.end_us + LAG_US
        return window if is_near else None

    def decide(self) -> None:
        """Keep nothing but the outcome."""
        if self.check is not None:
            self.decided = self.check.outcome
            if isinstance(self.check, Question):
                self.check.stop()
            self.check = None


@dataclass(slots=True)
class Watch:
    """The probes of one run of one scenario."""

    scenario: UUID
    spec: AnomalyScenarioSpec
    run: Run
    targets: Collection[Candidate] = ()
    entries: dict[str, Entry] = field(default_factory=dict)
    asking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PER_SCENARIO))
    told_us: int = 0
    has_news: bool = False

    @property
    def stands_still(self) -> bool:
        """Whether the clock of the run is held."""
        return self.run.held_since is not None

    def stop(self) -> None:
        """Look at none of them any more."""
        for entry in self.entries.values():
            if isinstance(entry.check, Question):
                entry.check.stop()
