import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorsync.signals import Limits
from reactorsync_local.rendering.graphs import band, progress, sparkline

PRESSURE = Limits(15.35, 15.75, 13.2, 14.9, 16.1, 16.5)


def test_a_trend_runs_from_its_lowest_to_its_highest_value() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], width=8) == "▁▂▃▄▅▆▇█"


def test_a_trend_keeps_the_newest_values() -> None:
    assert sparkline([9, 9, 9, 0, 7], width=2) == "▁█"


def test_a_missing_reading_is_a_gap_and_never_drawn_across() -> None:
    assert sparkline([0, None, float("nan"), 7], width=4) == "▁  █"


def test_noise_within_the_least_span_stays_on_one_level() -> None:
    noise = [100.0, 100.2, 99.8, 100.1, 99.9]
    assert len(set(sparkline(noise, width=5, least_span=5.0))) == 1


def test_no_readings_draw_nothing() -> None:
    assert sparkline([], width=10) == sparkline([None, None], width=10) == ""


@given(
    st.lists(st.none() | st.floats(-1e6, 1e6), max_size=80),
    st.integers(1, 60),
    st.floats(0, 100),
)
def test_a_trend_never_exceeds_its_width(
    values: list[float | None], width: int, span: float
) -> None:
    line = sparkline(values, width=width, least_span=span)
    assert len(line) <= width
    assert set(line) <= set(" ▁▂▃▄▅▆▇█")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (15.55, "┄┄┄┄┄├─●─┤┄┄┄┄┄"),
        (15.35, "┄┄┄┄┄●───┤┄┄┄┄┄"),
        (15.75, "┄┄┄┄┄├───●┄┄┄┄┄"),
        (14.0, "◀┄┄┄┄├───┤┄┄┄┄┄"),
        (17.0, "┄┄┄┄┄├───┤┄┄┄┄▶"),
        (None, "┄┄┄┄┄├───┤┄┄┄┄┄"),
    ],
)
def test_a_reading_stands_in_its_normal_band_or_beside_it(value: float | None, shown: str) -> None:
    assert band(value, PRESSURE, width=15).plain == shown


@given(st.floats(allow_nan=True, allow_infinity=False), st.integers(9, 40))
def test_a_band_always_has_its_width(value: float, width: int) -> None:
    assert len(band(value, PRESSURE, width=width).plain) == width


@pytest.mark.parametrize(("share", "filled"), [(-1.0, 0), (0.0, 0), (0.4, 4), (1.0, 10), (2.0, 10)])
def test_a_bar_is_filled_to_its_share(share: float, filled: int) -> None:
    bar = progress(share, width=10)
    assert bar.plain == "━" * 10
    assert sum(span.end - span.start for span in bar.spans if span.style == "dim") == 10 - filled
