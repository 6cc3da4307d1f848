"""Where the limits are: at full power as registered, below it where the plant's programme says."""

import numpy as np
import pytest

from reactorsync.designs import DESIGNS, Design
from reactorsync.signals import LIMITS, SIGNAL_INDEX, SIGNAL_NAMES, SIGNALS
from reactorsync_historian.alarms.limits import (
    LIMIT_ROWS,
    LOW_ROWS,
    LimitMatrix,
    LimitRow,
)

FIELDS = {"LowLow": "low_low", "Low": "low", "High": "high", "HighHigh": "high_high"}


def readings(design: Design, *, load: float) -> np.ndarray:
    values = np.zeros((len(SIGNALS), 1), np.float32)
    values[SIGNAL_INDEX["thermal_power_mw"]] = load * DESIGNS[design].rated_thermal_mw
    return values


def limits_at(design: Design, load: float) -> dict[tuple[str, str], tuple[float, float]]:
    limits, deadbands = LimitMatrix([design]).at(np.array([0]), readings(design, load=load))
    return {
        (row.signal, row.condition): (float(limit), float(deadband))
        for row, limit, deadband in zip(LIMIT_ROWS, limits[:, 0], deadbands[:, 0], strict=True)
        if np.isfinite(limit)
    }


@pytest.mark.parametrize("design", Design)
def test_every_limit_of_the_registry_is_judged_at_full_power(design: Design) -> None:
    registered = {
        (signal, condition): getattr(limits, field)
        for signal, limits in LIMITS[design].items()
        for condition, field in FIELDS.items()
        if getattr(limits, field) is not None
    }
    judged = {row: limit for row, (limit, _) in limits_at(design, 1.0).items()}
    assert judged == pytest.approx(registered, rel=1e-6)


def test_limits_of_the_low_side_come_first() -> None:
    assert [row.is_low for row in LIMIT_ROWS] == [
        number < LOW_ROWS for number in range(len(LIMIT_ROWS))
    ]


@pytest.mark.parametrize("design", Design)
def test_a_reading_in_the_normal_band_always_clears(design: Design) -> None:
    for (signal, condition), (limit, deadband) in limits_at(design, 1.0).items():
        normal = LIMITS[design][signal]
        assert deadband > 0
        if condition.startswith("Low"):
            assert limit + deadband < normal.normal_low
        else:
            assert limit - deadband > normal.normal_high


def test_a_deadband_is_one_percent_of_the_range_where_there_is_room() -> None:
    assert LimitRow("primary_flow_kg_s", "Low").deadband(Design.PWR_3_LOOP) == 250.0
    assert LimitRow("containment_pressure_kpa", "High").deadband(Design.CANDU6) == 0.25


@pytest.mark.parametrize("design", Design)
def test_feedwater_limits_shrink_with_the_load(design: Design) -> None:
    full, low = limits_at(design, 1.0), limits_at(design, 0.2)
    for condition in ("Low", "LowLow"):
        row = ("feedwater_flow_kg_s", condition)
        assert low[row][0] == pytest.approx(0.165 * full[row][0])
        assert low[row][1] == pytest.approx(0.165 * full[row][1])


def test_all_other_limits_are_the_same_at_any_load() -> None:
    for design in Design:
        full, low = limits_at(design, 1.0), limits_at(design, 0.2)
        moved = {
            signal
            for signal, condition in full
            if full[signal, condition] != low[signal, condition]
        }
        expected = {"feedwater_flow_kg_s"}
        if design is Design.PWR_3_LOOP:
            expected.add("pressurizer_level_percent")
        assert moved == expected


def test_without_the_load_its_followers_have_no_limit() -> None:
    values = np.full((len(SIGNAL_NAMES), 1), np.nan, np.float32)
    limits, _ = LimitMatrix([Design.CANDU6]).at(np.array([0]), values)
    unknown = {
        row.signal for row, limit in zip(LIMIT_ROWS, limits[:, 0], strict=True) if np.isnan(limit)
    }
    assert "feedwater_flow_kg_s" in unknown
    assert "primary_flow_kg_s" not in unknown


def test_reactors_of_mixed_designs_have_their_own_limits() -> None:
    designs = [Design.CANDU6, None, Design.PWR_3_LOOP]
    values = np.repeat(readings(Design.PWR_3_LOOP, load=1.0), 2, axis=1)
    limits, _ = LimitMatrix(designs).at(np.array([2, 1]), values)
    row = next(n for n, row in enumerate(LIMIT_ROWS) if row == LimitRow("primary_flow_kg_s", "Low"))
    assert limits[row, 0] == 12_800
    assert np.isnan(limits[:, 1]).all()
