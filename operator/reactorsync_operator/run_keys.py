"""Which run something is about."""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID

from reactorsync.resources import AnomalyScenario

RunKey = tuple[UUID, int]
"""UID of a scenario and number of its run."""


def present_run(scenario: AnomalyScenario) -> RunKey | None:
    """Return the run that a scenario's status tells of, ``None`` if there is none."""
    uid, run = scenario.metadata.uid, scenario.status.run
    return None if uid is None or run is None else (uid, run.number)


@lru_cache(maxsize=4096)
def run_of_fault(fault_id: str) -> RunKey | None:
    """Return the run a fault id names, ``None`` for an id that this operator never made."""
    try:
        scenario, number, _stage = fault_id.split("/")
        return UUID(scenario), int(number)
    except ValueError:
        return None
