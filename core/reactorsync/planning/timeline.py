"""When the stages of a run act: exact windows in microseconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from reactorsync.resources import AnomalyScenarioSpec, Stage
from reactorsync.resources.scenario import Shape
from reactorsync.wire.envelope import to_micros

SECOND_US: Final = 1_000_000


class StagePhase(StrEnum):
    """Where a stage stands at some moment."""

    AHEAD = "Ahead"
    ACTING = "Acting"
    ENDED = "Ended"


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time; the end does not belong to it."""

    start_us: int
    end_us: int

    def overlaps(self, other: Window) -> bool:
        """Return whether both share a moment."""
        return self.start_us < other.end_us and other.start_us < self.end_us

    def phase(self, now_us: int) -> StagePhase:
        """Return where the window lies, seen from ``now_us``."""
        if now_us < self.start_us:
            return StagePhase.AHEAD
        return StagePhase.ACTING if now_us < self.end_us else StagePhase.ENDED


@dataclass(frozen=True, slots=True)
class StageWindow:
    """A stage in absolute time."""

    stage: Stage
    window: Window

    @property
    def ramp_us(self) -> int:
        """Length of the ramp of a Ramp, period of a Pulse, 0 for the other shapes."""
        return (self.stage.ramp_seconds or 0) * SECOND_US

    def severity_permille(self, end_us: int) -> int:
        """Return the severity that the shape grows to, if it is cut off at ``end_us``.

        A Drift grows until its end, so it gets less far by then; the slope stays as declared.
        """
        full = self.stage.severity_percent * 10
        if self.stage.shape is not Shape.DRIFT:
            return full
        share = (end_us - self.window.start_us) / (self.stage.duration_seconds * SECOND_US)
        return max(round(full * share), 1)


def run_window(
    spec: AnomalyScenarioSpec, start: datetime, *, cut: datetime | None = None
) -> Window:
    """Return the window of a run from ``start`` until its last stage ends, or until ``cut``."""
    start_us = to_micros(start)
    end_us = start_us + spec.run_seconds * SECOND_US
    return Window(start_us, end_us if cut is None else min(end_us, to_micros(cut)))


def stage_windows(spec: AnomalyScenarioSpec, run: Window) -> tuple[StageWindow, ...]:
    """Return the stages of a run in the order of the spec; what lies beyond its end is cut off."""
    placed = []
    for stage in spec.stages:
        start_us = run.start_us + stage.offset_seconds * SECOND_US
        end_us = min(start_us + stage.duration_seconds * SECOND_US, run.end_us)
        if start_us < end_us:
            placed.append(StageWindow(stage, Window(start_us, end_us)))
    return tuple(placed)
