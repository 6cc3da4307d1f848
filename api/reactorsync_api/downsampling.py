"""Fewer points for a chart, without losing what matters: extremes and gaps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from tsdownsample import MinMaxDownsampler

_DOWNSAMPLER = MinMaxDownsampler()  # type: ignore[no-untyped-call]

Indices = npt.NDArray[np.intp]


def minimum_points(signals: int) -> int:
    """Return the least number of rows in which every signal can keep its extremes and both ends."""
    return 2 * signals + 2


def choose_rows(values: list[npt.NDArray[np.float32]], *, rows: int, max_points: int) -> Indices:
    """Choose at most ``max_points`` of ``rows`` rows, in order.

    Each signal (an array of length ``rows``, NaN for no reading) keeps its minimum and maximum per
    bucket, so that the global extremes of every signal always survive; the first and the last row
    do too. Rows are chosen, never averaged: every point was really read.
    """
    if rows <= max_points:
        return np.arange(rows)
    per_signal = max(2, (max_points - 2) // max(1, len(values)) // 2 * 2)
    chosen = [np.array([0, rows - 1])]
    for series in values:
        present = np.flatnonzero(~np.isnan(series))
        if len(present) == 0:
            continue
        finite = np.ascontiguousarray(series[present])
        if len(finite) <= per_signal:
            chosen.append(present)
        else:
            picked = _DOWNSAMPLER.downsample(finite, n_out=per_signal)
            chosen.append(present[picked.astype(np.intp)])
    return np.unique(np.concatenate(chosen)).astype(np.intp)


def gaps_of(times_us: npt.NDArray[np.int64], *, interval_us: int) -> list[tuple[int, int]]:
    """Return (last reading before, first reading after) of every hole of two intervals or more."""
    if len(times_us) < 2:
        return []
    before = np.flatnonzero(np.diff(times_us) >= 2 * interval_us)
    return [(int(times_us[index]), int(times_us[index + 1])) for index in before]
