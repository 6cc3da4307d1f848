"""What is known of the faults of one reactor: each by its id, folded from its events."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from operator import attrgetter
from typing import Final

from reactorsync.wire.events import FaultInjected, FaultRecovered, FaultVerified
from reactorsync_operator.reconcile.observed import FaultReport, FaultVerification
from reactorsync_operator.run_keys import RunKey, run_of_fault

FaultReports = Mapping[str, FaultReport]
"""What was reported of each fault of a reactor, by its id."""

_LINGERING_KEPT: Final = 32
"""Faults of forgotten runs that still act, of one reactor: as many as a status shows."""


def folded(
    known: FaultReport | None, event: FaultInjected | FaultRecovered | FaultVerified
) -> FaultReport:
    """Return what is known of a fault after an event, in whatever order events come."""
    report = known or FaultReport(event.scenario, event.stage, event.kind)
    if isinstance(event, FaultVerified):
        found = FaultVerification(event.tick_us, event.confirmed, event.message)
        if report.verification is not None:
            found = max(report.verification, found, key=attrgetter("weight"))
        return replace(report, verification=found)
    if isinstance(event, FaultRecovered):
        return replace(report, recovered_us=later(report.recovered_us, event.tick_us))
    return replace(
        report,
        first_injected_us=earlier(report.first_injected_us, event.tick_us),
        last_injected_us=later(report.last_injected_us, event.tick_us),
    )


def of_run(faults: FaultReports, key: RunKey) -> list[FaultReport]:
    """Return what was reported of the faults of one run."""
    return [fault for fault_id, fault in faults.items() if run_of_fault(fault_id) == key]


def runs_of(faults: FaultReports) -> set[RunKey]:
    """Return the runs that the faults are of."""
    return {key for fault_id in faults if (key := run_of_fault(fault_id)) is not None}


def retained(faults: FaultReports, runs: Set[RunKey]) -> dict[str, FaultReport]:
    """Return the faults of ``runs``, and of all others the newest that still act."""
    lingering = [
        fault_id
        for fault_id, fault in faults.items()
        if fault.acts and run_of_fault(fault_id) not in runs
    ]
    lingering.sort(key=lambda fault_id: faults[fault_id].last_injected_us or 0)
    kept = set(lingering[-_LINGERING_KEPT:])
    return {
        fault_id: fault
        for fault_id, fault in faults.items()
        if fault_id in kept or run_of_fault(fault_id) in runs
    }


def earlier(one: int | None, other: int) -> int:
    """Return the earlier moment of two, of which one may not be known."""
    return other if one is None else min(one, other)


def later(one: int | None, other: int) -> int:
    """Return the later moment of two, of which one may not be known."""
    return other if one is None else max(one, other)
