"""Does a plant read differently since a fault began? Functions of readings, nothing else.

Readings before the fault give a mean and a standard deviation of each signal. A signal shows the
fault when one of these holds:

- three readings in a row are more than six standard deviations and 0.5 % of the instrument's range
  away from the mean: a step, or the end of a ramp;
- the mean of the last twelve is more than eight of its own standard deviations (those of the
  baseline's mean included) and 0.1 % of the range away: a small or slow change. A wild reading
  counts for four standard deviations or 0.5 % of the range, so that a few of them show nothing;
- for a stuck sensor: five readings in a row are the same, which before were not;
- for a noisy one: the last twelve scatter more than 3.5 times as much as before;
- for a dropout: two readings are missing, where none were before.

Few readings from before may lie close together by chance: of fewer than eight, the standard
deviation is taken to be so much greater that it is too small for 1 of 1,000 such samples only.

The signals' noise is 0.007 to 0.2 % of their ranges, three times that where it was declared high. A
plant that moves for another reason, such as a new setpoint, cannot be told from one with a fault:
this compares before and after and knows no model of the plant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from reactorsync.faults import FaultKind
from reactorsync.signals import SIGNAL_INDEX, SIGNALS, Signal

Floats = npt.NDArray[np.float64]

BASELINE_READINGS: Final = 32
"""Readings before the fault that are looked at."""
ENOUGH_READINGS: Final = 8
"""Fewer may show a fault, but not that there is none."""
FEWEST_READINGS: Final = 3
"""Fewer are no baseline."""

_WIDER: Final = {3: 31.6, 4: 11.1, 5: 6.6, 6: 4.9, 7: 4.0}
"""By count: ``sqrt((n - 1) / x)``, x the 0.1 % quantile of chi-squared with n - 1 degrees."""

FAST_READINGS: Final = 3
FAST_SIGMAS: Final = 6.0
FAST_SHARE: Final = 0.005
SLOW_READINGS: Final = 12
SLOW_SIGMAS: Final = 8.0
WILD_SIGMAS: Final = 4.0
SLOW_SHARE: Final = 0.001
STUCK_READINGS: Final = 5
STUCK_SHARE: Final = 1e-5
"""A signal that never scattered by more of its range has no noise to miss."""
NOISE_RATIO: Final = 3.5
MISSING_READINGS: Final = 2

_SPANS: Final = np.array([signal.span for signal in SIGNALS])


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is normal for one plant: mean, standard deviation and count of each signal's readings.

    Shapes are ``(n_signals,)``. A signal with too few readings has a count of 0 and shows nothing.
    """

    mean: Floats
    sigma: Floats
    count: Floats

    @classmethod
    def of(cls, readings: npt.NDArray[np.float32]) -> Baseline:
        """Take the baseline of readings of shape ``(n, n_signals)``."""
        values = readings.astype(np.float64)
        present = np.isfinite(values)
        count = present.sum(axis=0).astype(np.float64)
        count[count < FEWEST_READINGS] = 0
        known = np.maximum(count, 1)
        mean = np.where(present, values, 0.0).sum(axis=0) / known
        squares = np.where(present, (values - mean) ** 2, 0.0).sum(axis=0)
        sigma = np.sqrt(squares / np.maximum(known - 1, 1))
        for few, wider in _WIDER.items():
            sigma[count == few] *= wider
        return cls(mean, sigma, count)

    def readings(self, signal: str | None = None) -> int:
        """Return how many readings it is made of: of one signal, or of that which has most."""
        if signal is None:
            return int(self.count.max())
        return int(self.count[SIGNAL_INDEX[signal]])


@dataclass(frozen=True, slots=True)
class Finding:
    """The reading, by its place, that confirmed a fault, and the signal that shows it best."""

    place: int
    signal: Signal
    message: str


def find(
    baseline: Baseline,
    readings: npt.NDArray[np.float32],
    *,
    seconds: Floats,
    kind: str,
    signal: str | None = None,
    begin: int = 0,
) -> Finding | None:
    """Return the first reading after the fault began by which it is confirmed.

    Args:
        baseline: of the same plant, before.
        readings: since the fault began, shape ``(n, n_signals)``, oldest first.
        seconds: time of each since the fault began, shape ``(n,)``.
        kind: fault kind.
        signal: the only signal to be looked at, for a sensor fault whose sensor is known.
        begin: the first reading that is new; those before were found to show nothing.
    """
    values = readings.astype(np.float64)
    looked_at = baseline.count > 0
    if signal is not None:
        looked_at &= np.array([one.name == signal for one in SIGNALS])
    for place in range(begin, len(values)):
        # Sixteen numbers a signal at most: cheaper than one pass over the whole matrix each time.
        window = values[max(0, place + 1 - SLOW_READINGS) : place + 1]
        score = np.where(looked_at, _scores(baseline, window, kind), 0.0)
        best = int(score.argmax())
        if score[best] >= 1.0:
            since = float(seconds[place])
            message = _message(baseline, window[:, best], SIGNALS[best], since)
            return Finding(place, SIGNALS[best], message)
    return None


def _scores(baseline: Baseline, window: Floats, kind: str) -> Floats:
    """Return how far each signal is beyond what chance does: from 1 on it shows the fault."""
    scores = _level(baseline, window)
    if kind == FaultKind.SENSOR_STUCK and len(window) >= STUCK_READINGS:
        last = window[-STUCK_READINGS:]
        stuck = (last == last[0]).all(axis=0) & (baseline.sigma > STUCK_SHARE * _SPANS)
        scores = np.where(stuck, np.maximum(scores, 1.0), scores)
    elif kind == FaultKind.SENSOR_NOISE and len(window) >= SLOW_READINGS:
        ratio = window.std(axis=0, ddof=1) / np.maximum(baseline.sigma, 1e-4 * _SPANS)
        scores = np.fmax(scores, ratio / NOISE_RATIO)
    elif kind == FaultKind.SENSOR_DROPOUT:
        missing = np.isnan(window).sum(axis=0)
        scores = np.fmax(scores, missing / MISSING_READINGS)
    return np.nan_to_num(scores)


def _level(baseline: Baseline, window: Floats) -> Floats:
    scores = np.zeros(len(SIGNALS))
    away = window - baseline.mean
    if len(window) >= FAST_READINGS:
        needed = np.maximum(FAST_SIGMAS * baseline.sigma, FAST_SHARE * _SPANS)
        scores = np.abs(away[-FAST_READINGS:]).min(axis=0) / needed
    if len(window) >= SLOW_READINGS:
        spread = baseline.sigma * np.sqrt(1 / SLOW_READINGS + 1 / np.maximum(baseline.count, 1))
        needed = np.maximum(SLOW_SIGMAS * spread, SLOW_SHARE * _SPANS)
        wild = np.maximum(WILD_SIGMAS * baseline.sigma, FAST_SHARE * _SPANS)
        average = np.clip(away, -wild, wild).mean(axis=0)
        scores = np.fmax(scores, np.abs(average) / needed)
    return scores


def _message(baseline: Baseline, window: Floats, signal: Signal, since: float) -> str:
    """Say for people what a signal did, as ``primary_flow_kg_s fell from 8700 to 6100 kg/s``."""
    number = [one.name for one in SIGNALS].index(signal.name)
    mean, sigma = float(baseline.mean[number]), float(baseline.sigma[number])
    digits = signal.decimals
    within = f"within {max(since, 0.0):.3g} s"
    missing = int(np.isnan(window).sum())
    if missing:
        return f"{signal.name} lacks {missing} of {len(window)} readings, {within}"
    last = window[-STUCK_READINGS:]
    if len(last) >= STUCK_READINGS and (last == last[0]).all():
        return f"{signal.name} stands still at {last[0]:.{digits}f} {signal.unit}"
    latest, average = float(window[-FAST_READINGS:].mean()), float(window.mean())
    is_fast = abs(latest - mean) > 3 * sigma
    recent = latest if is_fast else average
    if is_fast or abs(average - mean) > sigma:
        verb = "rose" if recent > mean else "fell"
        # One digit more where rounding would hide the change.
        if f"{mean:.{digits}f}" == f"{recent:.{digits}f}":
            digits += 1
        return (
            f"{signal.name} {verb} from {mean:.{digits}f} to {recent:.{digits}f} {signal.unit} "
            f"{within}"
        )
    return (
        f"{signal.name} scatters by {float(np.nanstd(window)):.{digits + 1}f} {signal.unit}, "
        f"before by {sigma:.{digits + 1}f}"
    )
