"""What guards make depend on the rest of the fleet: whom they hold back, and until when."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from reactorsync.planning.schedule import is_open
from reactorsync.resources import AnomalyScenario
from reactorsync.resources.scenario import Guard
from reactorsync.resources.scenario_status import Run
from reactorsync_operator.choice import standing_run
from reactorsync_operator.reconcile.guards import largest_choice, may_break

_ALL_PERCENT: Final = 100


class Restraint:
    """The scenarios that guards refuse, by name, and the severe runs that others must mind.

    ``max_targets_percent`` is the share of its namespace's reactors beyond which no run whose
    choice is open may grow.
    """

    def __init__(self) -> None:
        self.max_targets_percent = _ALL_PERCENT
        self._severe: dict[str, Run] = {}
        self._refused: set[str] = set()

    def severe_runs(self, *, but: str) -> tuple[Run, ...]:
        """Return the open runs of severe scenarios, ``but`` that one's own."""
        return tuple(run for name, run in self._severe.items() if name != but)

    def is_refused(self, name: str) -> bool:
        """Return whether the last plan of a scenario was to begin no run."""
        return name in self._refused

    def set_refused(self, name: str, *, is_refused: bool) -> None:
        """Note what the last plan of a scenario was."""
        if is_refused:
            self._refused.add(name)
        else:
            self._refused.discard(name)

    def set_severe(self, name: str, run: Run | None) -> Collection[str]:
        """Note a severe scenario's run; return the scenarios to be looked at again for it."""
        before = self._severe.get(name)
        if run is not None and is_open(run):
            self._severe[name] = run
        else:
            self._severe.pop(name, None)
        return self._refused - {name} if before != self._severe.get(name) else ()

    def is_limited(self, scenario: AnomalyScenario) -> bool:
        """Return whether it depends on the number of reactors how many a scenario may choose."""
        run = standing_run(scenario)
        return (
            self.max_targets_percent < _ALL_PERCENT
            and run is not None
            # A Static choice that is closed was allowed, and does not grow.
            and run.selection_cutoff is None
            and not may_break(scenario.spec, Guard.BLAST_RADIUS)
        )

    def most_targets(self, scenario: AnomalyScenario, *, reactors: int) -> int | None:
        """Return how many of its namespace's reactors it may choose, ``None`` for any number.

        A run that has begun keeps as many as it had, whatever becomes of the fleet.
        """
        if not self.is_limited(scenario):
            return None
        allowed = largest_choice(self.max_targets_percent, reactors)
        targets = scenario.status.targets
        return max(allowed, targets.selected - targets.left)
