"""Whom one scenario chose, kept up to date in proportion to what comes, goes and changes."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from reactorsync.planning.schedule import is_open, is_reopened
from reactorsync.planning.targets import (
    Candidate,
    Failure,
    Selection,
    candidate,
    choose,
    failure_on,
    matches,
    missing_names,
)
from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.resources.scenario_status import Run
from reactorsync_operator.reactors import Reactors

_NOBODY: Final = Selection(matched=0, chosen=(), failures=())


@dataclass(frozen=True, slots=True)
class Turnover:
    """Who is chosen no longer, and who is chosen now and was not before."""

    left: list[Candidate]
    came: list[Candidate]


class Choice:
    """The reactors that match a scenario, in its order, and those of them that it chose.

    What follows from a change is worked out by :meth:`choose`; the other methods return whether it
    must be called again.
    """

    def __init__(self, scenario: AnomalyScenario, reactors: Reactors) -> None:
        self.scenario = scenario
        self.selection = _NOBODY
        """The outcome of the last choice."""
        self._reactors = reactors
        self._ranked: list[Candidate] = []
        self._members: dict[UUID, Candidate] = {}
        self._obstacles: dict[str, Failure | None] = {}
        self._match_all()

    def follow(self, scenario: AnomalyScenario) -> bool:
        """Take in what became of the scenario."""
        before, self.scenario = self.scenario, scenario
        if before.spec.stages != scenario.spec.stages:
            self._obstacles.clear()
        if before.spec.targets != scenario.spec.targets:
            self._match_all()
        return _grounds(before) != _grounds(scenario)

    def consider(self, reactor: Reactor) -> bool:
        """Let a reactor in if it matches, and out if it does not."""
        if not matches(self.scenario, reactor):
            return self.drop(reactor)
        one = candidate(self.scenario.spec.targets, reactor)
        if one.uid in self._members:
            return False
        self._members[one.uid] = one
        bisect.insort(self._ranked, one)
        return True

    def drop(self, reactor: Reactor) -> bool:
        """Let a reactor out."""
        uid = reactor.metadata.uid
        one = self._members.pop(uid, None) if uid is not None else None
        if one is None:
            return False
        self._obstacles.pop(one.reactor, None)
        del self._ranked[bisect.bisect_left(self._ranked, one)]
        return True

    def look_again_at(self, reactor: Reactor) -> None:
        """Forget whether the scenario can act on a reactor, whose spec has changed."""
        self._obstacles.pop(reactor.metadata.name, None)

    def choose(self, most: int | None) -> Turnover | None:
        """Choose again, ``most`` reactors at the most; return ``None`` if nothing changed."""
        before, after = self.selection, self._chosen(most)
        if before == after:
            return None
        self.selection = after
        # Both choices hold the same candidates; hashing so many UIDs takes ten times longer.
        kept, now = set(map(id, before.chosen)), set(map(id, after.chosen))
        return Turnover(
            left=[one for one in before.chosen if id(one) not in now],
            came=[one for one in after.chosen if id(one) not in kept],
        )

    def _chosen(self, most: int | None) -> Selection:
        scenario = self.scenario
        wanted = choose(scenario.spec.targets, self._ranked, run=standing_run(scenario))
        chosen = wanted[:most]
        failures = [self._obstacle(one) for one in chosen]
        present = {one.reactor for one in self._ranked} if scenario.spec.targets.names else ()
        return Selection(
            matched=len(self._ranked),
            chosen=chosen,
            failures=(
                *missing_names(scenario, present),
                *(failure for failure in failures if failure is not None),
            ),
            left_off=len(wanted) - len(chosen),
        )

    def _obstacle(self, one: Candidate) -> Failure | None:
        try:
            return self._obstacles[one.reactor]
        except KeyError:
            found = failure_on(self.scenario, self._reactors.with_uid(one.uid))
            self._obstacles[one.reactor] = found
            return found

    def _match_all(self) -> None:
        targets = self.scenario.spec.targets
        found = [candidate(targets, one) for one in self._reactors.matching(self.scenario)]
        self._ranked = sorted(found)
        self._members = {one.uid: one for one in found}
        self._obstacles = {}


def standing_run(scenario: AnomalyScenario) -> Run | None:
    """Return the run whose choice may be closed; an edit before it injected opens it again."""
    run = scenario.status.run
    if run is None or not is_open(run) or run.token != scenario.spec.run_token:
        return None
    if is_reopened(scenario):
        return run.model_copy(update={"selection_cutoff": None, "selection_time": None})
    return run


def _grounds(scenario: AnomalyScenario) -> tuple[object, ...]:
    """Return all of a scenario that its choice of reactors, and its failures on them, depend on."""
    run = standing_run(scenario)
    closed = None
    if run is not None:
        closed = (run.selection_cutoff, run.selection_time or run.start_time)
    override = scenario.spec.guard_override
    counts = scenario.status.targets
    chosen = counts.selected - counts.left if run is not None else None
    return (scenario.spec.targets, scenario.spec.stages, closed, override, chosen)
