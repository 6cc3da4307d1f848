"""When probes are looked at, as a function of the spec and the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from reactorsync.planning.timeline import SECOND_US, Window
from reactorsync.resources import AnomalyScenarioSpec
from reactorsync.resources.scenario import Probe, ProbePhase
from reactorsync.resources.scenario_status import Run, RunPhase
from reactorsync.wire.envelope import from_micros, to_micros

LAG: Final = timedelta(seconds=2)
"""How long after a window what happened in it may still become known."""

_ENDED: Final = frozenset({RunPhase.COMPLETED, RunPhase.ABORTED})


class ProbeRole(StrEnum):
    """What a probe decides: whether faults may begin, what the watchers see, or an early end."""

    BEFORE = "Before"
    DURING = "During"
    AFTER = "After"
    ABORT = "Abort"


@dataclass(frozen=True, slots=True)
class PlacedProbe:
    """A probe of a run.

    ``window`` is when what it asks for counts: from its start until just before its end. It is
    ``None`` while that is not known, and for good when the run came to its end without it.
    """

    probe: Probe
    role: ProbeRole
    window: Window | None

    @property
    def needs_all(self) -> bool:
        """Whether every target must show it; for ``abortWhen`` one is enough."""
        return self.role is not ProbeRole.ABORT

    @property
    def decided_at(self) -> datetime | None:
        """When the probe has failed, if it has not passed by then."""
        return from_micros(self.window.end_us) + LAG if self.window is not None else None


def place_probes(spec: AnomalyScenarioSpec, run: Run) -> tuple[PlacedProbe, ...]:
    """Return the probes of a run in the order of the spec, ``probes`` before ``abortWhen``."""
    return tuple(_placed(spec, run))


def run_clock(run: Run, now: datetime) -> datetime:
    """Return the time by which the windows of a run count: it stands still while the run's does."""
    return now if run.held_since is None else min(now, run.held_since)


def is_over(run: Run) -> bool:
    """Return whether a run has ended."""
    return run.phase in _ENDED


def _placed(spec: AnomalyScenarioSpec, run: Run) -> Iterator[PlacedProbe]:
    for probe in spec.probes:
        match probe.phase:
            case ProbePhase.BEFORE:
                yield PlacedProbe(probe, ProbeRole.BEFORE, _before(run, probe))
            case ProbePhase.DURING:
                window = _acting(spec, run)
                yield PlacedProbe(probe, ProbeRole.DURING, _at_most(window, probe))
            case ProbePhase.AFTER:
                yield PlacedProbe(probe, ProbeRole.AFTER, _after(run, probe))
    for probe in spec.abort_when:
        yield PlacedProbe(probe, ProbeRole.ABORT, _acting(spec, run))


def _before(run: Run, probe: Probe) -> Window | None:
    """Return the span from when the run was due; once it runs, its start is another one."""
    if run.phase not in (RunPhase.PENDING, RunPhase.PROBING):
        return None
    start_us = to_micros(run.start_time)
    return Window(start_us, start_us + probe.timeout_seconds * SECOND_US)


def _acting(spec: AnomalyScenarioSpec, run: Run) -> Window | None:
    """Return the span from the first stage's begin to the end of the run, if it comes to that."""
    if run.phase is RunPhase.PROBING or not _came_to_faults(run):
        return None
    offset_us = min(stage.offset_seconds for stage in spec.stages) * SECOND_US
    start_us, end_us = to_micros(run.start_time) + offset_us, to_micros(run.end_time)
    return Window(start_us, end_us) if start_us < end_us else None


def _after(run: Run, probe: Probe) -> Window | None:
    if not is_over(run) or not _came_to_faults(run):
        return None
    end_us = to_micros(run.end_time)
    return Window(end_us, end_us + probe.timeout_seconds * SECOND_US)


def _came_to_faults(run: Run) -> bool:
    """Return whether faults began, as far as can be told; an early end may have come first."""
    return run.phase is not RunPhase.ABORTED or run.injected_time is not None


def _at_most(window: Window | None, probe: Probe) -> Window | None:
    if window is None:
        return None
    timeout_us = probe.timeout_seconds * SECOND_US
    return Window(window.start_us, min(window.start_us + timeout_us, window.end_us))
