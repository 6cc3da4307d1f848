"""How often a large scenario is planned."""

from datetime import timedelta

import pytest

from reactorsync_operator.pace import LARGE_FROM, LARGE_PAUSE, Pace
from tests.core.planning.build import NOON, scenario

NAME = "default/leak-drill"
MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def pace() -> Pace:
    """A pace at which the scenario was planned at noon."""
    pace = Pace()
    pace.planned(NAME, scenario(), NOON)
    return pace


def test_a_large_scenario_waits_for_the_end_of_the_pause(pace: Pace) -> None:
    again_at = NOON + LARGE_PAUSE
    for now in (NOON, again_at - MOMENT):
        assert pace.put_off(NAME, scenario(), targets=LARGE_FROM, now=now) == again_at
    assert pace.put_off(NAME, scenario(), targets=LARGE_FROM, now=again_at) is None


def test_a_small_one_does_not_wait(pace: Pace) -> None:
    assert pace.put_off(NAME, scenario(), targets=LARGE_FROM - 1, now=NOON) is None


def test_an_edit_does_not_wait(pace: Pace) -> None:
    edited = scenario(generation=2)
    assert pace.put_off(NAME, edited, targets=LARGE_FROM, now=NOON) is None


def test_a_clock_that_was_set_back_holds_nothing_up(pace: Pace) -> None:
    assert pace.put_off(NAME, scenario(), targets=LARGE_FROM, now=NOON - MOMENT) is None


def test_what_was_never_planned_does_not_wait(pace: Pace) -> None:
    pace.forget(NAME)
    assert pace.put_off(NAME, scenario(), targets=LARGE_FROM, now=NOON) is None
