"""Whose probes are looked at: what plans asked for, remembered until it is taken back."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from reactorsync.planning.targets import Candidate
from reactorsync.resources import AnomalyScenario
from reactorsync.resources.scenario_status import Run
from reactorsync_operator.probes.port import Probes
from reactorsync_operator.reconcile.observed import ProbeOutcome
from reactorsync_operator.run_keys import present_run


class ProbeOrders:
    """The scenarios, by name, whose run has probes that are looked at; none without ``probes``."""

    def __init__(self, probes: Probes | None) -> None:
        self._probes = probes
        self._watched: dict[str, AnomalyScenario] = {}

    def outcomes(self, scenario: AnomalyScenario) -> Mapping[str, ProbeOutcome]:
        """Return what is known of the probes of a scenario's run, by name."""
        run = present_run(scenario)
        if self._probes is None or run is None:
            return {}
        return self._probes.outcomes(*run)

    def order(
        self,
        name: str,
        scenario: AnomalyScenario,
        run: Run | None,
        targets: Collection[Candidate],
    ) -> None:
        """Let the probes of ``run`` be looked at; with no run, none of them any more."""
        if self._probes is None:
            return
        before = self._watched.get(name)
        if before is not None and before.metadata.uid != scenario.metadata.uid:
            # Another one that had the name.
            self._probes.want(before, None, ())
        if run is not None:
            self._watched[name] = scenario
        else:
            self._watched.pop(name, None)
        if run is not None or before is not None:
            self._probes.want(scenario, run, targets)

    def cancel(self, name: str) -> None:
        """Let no probes of a scenario that is gone be looked at."""
        watched = self._watched.pop(name, None)
        if watched is not None and self._probes is not None:
            self._probes.want(watched, None, ())
