import pytest

from reactorsync.designs import Design
from reactorsync.resources.reactor import HealthState
from reactorsync.signals import LIMITS
from reactorsync_local.rendering.palette import (
    HEALTH_STYLES,
    HEALTH_SYMBOLS,
    Deviation,
    deviation_of,
    health_text,
)

PRESSURE = LIMITS[Design.PWR_3_LOOP]["primary_pressure_mpa"]


@pytest.mark.parametrize(
    ("pressure_mpa", "deviation"),
    [
        (15.5, Deviation.NONE),
        (15.0, Deviation.NONE),
        (14.8, Deviation.BEYOND_ALARM),
        (16.2, Deviation.BEYOND_ALARM),
        (13.1, Deviation.BEYOND_SECOND_ALARM),
        (16.6, Deviation.BEYOND_SECOND_ALARM),
        (float("nan"), Deviation.NONE),
    ],
)
def test_a_reading_deviates_when_it_is_beyond_an_alarm_limit(
    pressure_mpa: float, deviation: Deviation
) -> None:
    assert deviation_of(pressure_mpa, PRESSURE) is deviation


def test_a_signal_without_limits_never_deviates() -> None:
    assert deviation_of(1e9, None) is Deviation.NONE


def test_health_is_told_by_symbol_and_word_not_by_colour_alone() -> None:
    assert len(set(HEALTH_SYMBOLS.values())) == len(HealthState)
    assert health_text(HealthState.TRIPPED).plain == "■ Tripped"


def test_what_is_normal_has_no_colour() -> None:
    assert HEALTH_STYLES[HealthState.NOMINAL] == ""
