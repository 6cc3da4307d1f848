"""Downsampling keeps what an engineer must not miss."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reactorsync_api.downsampling import choose_rows, gaps_of, minimum_points


def test_few_rows_are_left_as_they_are() -> None:
    series = np.array([1.0, 2.0, 3.0], np.float32)

    assert choose_rows([series], rows=3, max_points=10).tolist() == [0, 1, 2]


@given(
    values=arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(60, 500)),
        elements=st.floats(-1e6, 1e6, width=32) | st.just(float("nan")),
    ),
    extra=st.integers(0, 40),
)
def test_every_signal_keeps_its_extremes_within_the_bound(values: np.ndarray, extra: int) -> None:
    signals, rows = values.shape
    limit = minimum_points(signals) + extra

    chosen = choose_rows(list(values), rows=rows, max_points=limit)

    assert len(chosen) <= limit
    assert chosen[0] == 0
    assert chosen[-1] == rows - 1
    assert np.all(np.diff(chosen) > 0)
    for series in values:
        if not np.all(np.isnan(series)):
            assert np.nanmax(series[chosen]) == np.nanmax(series)
            assert np.nanmin(series[chosen]) == np.nanmin(series)


def test_gaps_name_the_readings_on_both_sides() -> None:
    times_us = np.array([0, 1_000_000, 2_000_000, 5_000_000, 6_000_000])

    assert gaps_of(times_us, interval_us=1_000_000) == [(2_000_000, 5_000_000)]


def test_a_record_without_holes_has_no_gaps() -> None:
    assert gaps_of(np.arange(10) * 100_000, interval_us=100_000) == []
