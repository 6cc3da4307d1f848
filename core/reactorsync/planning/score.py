"""The score of a run: 0 to 100 points for whoever watches the plant, not for the plant.

Everybody starts with full marks and loses some for what was not noticed, noticed late, or noticed
where there was nothing::

    score = round(100 * (1 - lost / at_stake) * (1 - F))

    lost      = 40 * (1 - P)          probes, if the run has any
              + 40 * S * (1 - D)      detection, if faults acted on any target
              + 20 * S * (1 - T)      promptness, likewise
    at_stake  = the sum of 40, 40 and 20 that apply

with

- ``P``: share of the probes that passed, a During probe counting twice, for noticing the fault is
  what it is about; probes that were never decided do not count;
- ``D``: share of the targets on which an alarm was raised after the fault began to act;
- ``T``: ``D * (1 - t / L)``, where ``t`` is the median time to detect and ``L`` the length of the
  run, so that an alarm at once is worth all of it and one at the end of the run nothing;
- ``S``: ``0.5 + severity_percent / 200`` of the most severe stage: to miss a severe fault costs all
  that is at stake, to miss the mildest half of it;
- ``F``: ``0.5 * f / (f + n)`` for ``f`` false alarms in a run over ``n`` targets (at least 1): as
  many false alarms as targets cost a quarter of the score, any number at most half.

More passed probes, more detected targets and earlier alarms never lower the score; severer faults
(of which as much is missed) and more false alarms never raise it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PROBES_AT_STAKE: Final = 40.0
DETECTION_AT_STAKE: Final = 40.0
PROMPTNESS_AT_STAKE: Final = 20.0

DURING_WEIGHT: Final = 2
"""How much more a During probe counts than one Before or After."""

_MOST_LOST_BY_FALSE_ALARMS: Final = 0.5


@dataclass(frozen=True, slots=True)
class GradedProbe:
    """A probe that was decided; ``weight`` is how much it counts among the others."""

    passed: bool
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Watch:
    """How a run was watched: everything that the score depends on.

    Attributes:
        probes: those that passed or failed.
        targets: reactors on which the faults acted.
        detected: those of them on which an alarm was raised.
        time_to_detect_ms: median time from injection to alarm, ``None`` when none was raised.
        run_ms: length of the run.
        severity_percent: severity of the most severe stage, 1 to 100.
        false_alarms: alarms raised during the run where no fault acted.
    """

    probes: Sequence[GradedProbe]
    targets: int
    detected: int
    time_to_detect_ms: int | None
    run_ms: int
    severity_percent: int
    false_alarms: int


@dataclass(frozen=True, slots=True)
class Grade:
    """The terms of a score; those that do not apply are ``None``."""

    passed: float | None
    detected: float | None
    promptness: float | None
    severity: float
    lost: float
    at_stake: float
    false_alarm_share: float

    @property
    def points(self) -> int:
        """The score, 0 to 100."""
        kept = max(1 - self.lost / self.at_stake, 0.0)
        return round(100 * kept * (1 - self.false_alarm_share))


def score(watch: Watch) -> int | None:
    """Return the score, 0 to 100; ``None`` when there is nothing to grade.

    That is so when no probe was decided and no fault acted on anything.
    """
    graded = grade(watch)
    return graded.points if graded is not None else None


def grade(watch: Watch) -> Grade | None:
    """Return the terms of the score; ``None`` when there is nothing to grade."""
    severity = 0.5 + watch.severity_percent / 200
    lost = at_stake = 0.0
    passed = _share_passed(watch.probes)
    if passed is not None:
        lost += PROBES_AT_STAKE * (1 - passed)
        at_stake += PROBES_AT_STAKE
    detected = promptness = None
    if watch.targets > 0:
        detected = min(watch.detected / watch.targets, 1.0)
        promptness = detected * _earliness(watch)
        lost += DETECTION_AT_STAKE * severity * (1 - detected)
        lost += PROMPTNESS_AT_STAKE * severity * (1 - promptness)
        at_stake += DETECTION_AT_STAKE + PROMPTNESS_AT_STAKE
    if at_stake == 0:
        return None
    false_alarms = watch.false_alarms
    return Grade(
        passed=passed,
        detected=detected,
        promptness=promptness,
        severity=severity,
        lost=lost,
        at_stake=at_stake,
        false_alarm_share=(
            _MOST_LOST_BY_FALSE_ALARMS * false_alarms / (false_alarms + max(watch.targets, 1))
        ),
    )


def _share_passed(probes: Sequence[GradedProbe]) -> float | None:
    total = sum(probe.weight for probe in probes)
    if total == 0:
        return None
    return sum(probe.weight for probe in probes if probe.passed) / total


def _earliness(watch: Watch) -> float:
    """Return 1 for an alarm at once, 0 for one at the end of the run or none at all."""
    if watch.time_to_detect_ms is None or watch.run_ms <= 0:
        return 0.0
    return 1 - min(watch.time_to_detect_ms / watch.run_ms, 1.0)
