"""What a predecessor had observed before its end, as the statuses it wrote tell."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from reactorsync.resources import AnomalyScenario, ConditionStatus, Reactor, condition_of
from reactorsync.resources.scenario_status import Run
from reactorsync.wire.envelope import to_micros
from reactorsync_operator.reconcile.conditions import READY, SUCCEEDED
from reactorsync_operator.reconcile.observed import Publication, ReactorReport
from reactorsync_operator.reconcile.scenario import is_final

_MARGIN: Final = timedelta(minutes=1)
"""Statuses are written a little later than events happen, and clocks differ a little."""


def recalled_report(reactor: Reactor, publication: Publication | None) -> ReactorReport:
    """Return what was reported of a reactor by its status.

    ``publication`` is the desired state that the broker holds: if the status says Ready, that was
    acknowledged.
    """
    status = reactor.status
    ready = condition_of(status.conditions, READY)
    was_ready = ready is not None and ready.status is ConditionStatus.TRUE
    observed = status.last_telemetry_time
    return ReactorReport(
        revision=publication.revision if was_ready and publication is not None else None,
        generation=status.observed_generation if was_ready else None,
        generator=status.generator.name if status.generator is not None else None,
        shard=status.generator.shard if status.generator is not None else None,
        power_permille=status.power_permille,
        observed_us=to_micros(observed) if observed is not None else None,
        trip_cause=status.trip_cause,
    )


def relevant_since(scenarios: Iterable[AnomalyScenario], now: datetime) -> datetime:
    """Return from when on events matter: since the first run began that has no verdict yet."""
    starts = [
        _begin(scenario.status.run)
        for scenario in scenarios
        if scenario.status.run is not None and not has_verdict(scenario)
    ]
    return min([now, *starts]) - _MARGIN


def _begin(run: Run) -> datetime:
    """Return since when events of a run may have come: its start moves when its clock is held."""
    return min(run.start_time, run.injected_time or run.start_time)


def has_verdict(scenario: AnomalyScenario) -> bool:
    """Return whether the status says what became of the last run, for good."""
    return is_final(condition_of(scenario.status.conditions, SUCCEEDED))
