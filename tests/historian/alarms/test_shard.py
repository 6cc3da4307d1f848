"""When an alarm is raised and cleared. The limit tried most is a PWR's flow: Low 12,800 kg/s."""

from uuid import uuid4

import pytest

from reactorsync.designs import Design
from reactorsync_historian.alarms.shard import OpenAlarm, alarm_uid
from reactorsync_historian.fleet import Plant
from tests.historian.alarms.plants import (
    NAN,
    SECOND,
    START,
    Watched,
    cleared,
    raised,
    told,
    uid_of,
)

BELOW, IN_DEADBAND, BACK = 12_700.0, 12_900.0, 13_100.0


def flow(value: float) -> dict[str, float]:
    return {"primary_flow_kg_s": value}


@pytest.fixture
def watched() -> Watched:
    watched = Watched()
    watched.tick()
    return watched


def test_a_plant_at_rest_raises_nothing() -> None:
    watched = Watched(designs=list(Design))
    assert watched.ticks(60) == []


def test_three_readings_in_a_row_beyond_a_limit_raise_its_alarm(watched: Watched) -> None:
    assert watched.ticks(2, **flow(BELOW)) == []
    alarm = raised(watched.tick(**flow(BELOW)))
    assert (alarm.signal, alarm.condition, alarm.severity) == ("primary_flow_kg_s", "Low", 3)
    assert (alarm.value, alarm.threshold) == (BELOW, 12_800.0)
    assert (alarm.reactor_id, alarm.reactor_uid) == (1, uid_of("default/0"))
    assert alarm.tick_us == START + 4 * SECOND
    assert alarm.message == "Primary flow 12700 kg/s, below Low 12800 kg/s"
    assert watched.ticks(100, **flow(BELOW)) == []


def test_one_reading_inside_begins_the_count_anew(watched: Watched) -> None:
    for _ in range(10):
        assert watched.ticks(2, **flow(BELOW)) == []
        assert watched.tick(**flow(IN_DEADBAND)) == []


def test_fast_readings_need_two_seconds(watched: Watched) -> None:
    assert watched.ticks(20, seconds=0.1, **flow(BELOW)) == []
    assert told(watched.tick(seconds=0.1, **flow(BELOW))) == [("primary_flow_kg_s", "Low")]


def test_slow_readings_need_three_of_them(watched: Watched) -> None:
    assert watched.ticks(2, seconds=60, **flow(BELOW)) == []
    assert told(watched.tick(seconds=60, **flow(BELOW))) == [("primary_flow_kg_s", "Low")]


def test_it_is_cleared_by_five_readings_back_inside_by_the_deadband(watched: Watched) -> None:
    alarm = raised(watched.ticks(3, **flow(BELOW)))
    assert watched.ticks(30, **flow(IN_DEADBAND)) == []
    assert watched.ticks(4, **flow(BACK)) == []
    assert watched.tick(**flow(IN_DEADBAND)) == []
    assert watched.ticks(4, **flow(BACK)) == []
    end = cleared(watched.tick(**flow(BACK)))
    assert (end.uid, end.tick_us) == (alarm.uid, watched.now_us)


def test_an_alarm_raised_again_is_another_one(watched: Watched) -> None:
    first = raised(watched.ticks(3, **flow(BELOW)))
    cleared(watched.ticks(5, **flow(BACK)))
    second = raised(watched.ticks(3, **flow(BELOW)))
    assert first.uid != second.uid


def test_every_limit_that_is_passed_is_an_alarm_of_its_own(watched: Watched) -> None:
    assert sorted(told(watched.ticks(3, **flow(5000.0)))) == [
        ("primary_flow_kg_s", "Low"),
        ("primary_flow_kg_s", "LowLow"),
    ]


def test_limits_of_the_high_side_are_passed_upwards(watched: Watched) -> None:
    changes = watched.ticks(3, primary_pressure_mpa=16.2)
    assert told(changes) == [("primary_pressure_mpa", "High")]
    assert told(watched.ticks(5, primary_pressure_mpa=15.5)) == [("cleared",)]


def test_no_reading_neither_raises_nor_clears(watched: Watched) -> None:
    assert watched.ticks(50, **flow(NAN)) == []
    watched.ticks(2, **flow(BELOW))
    assert watched.ticks(50, **flow(NAN)) == []
    raised(watched.tick(**flow(BELOW)))
    watched.ticks(4, **flow(BACK))
    assert watched.ticks(50, **flow(NAN)) == []
    cleared(watched.tick(**flow(BACK)))


def test_readings_that_are_not_newer_count_for_nothing(watched: Watched) -> None:
    watched.ticks(2, **flow(BELOW))
    for tick_us in (watched.now_us, watched.now_us - SECOND):
        assert watched.read_at(tick_us, **flow(BELOW)) == []
    assert watched.alarms.open_alarms == 0


def test_a_suspended_plant_keeps_its_alarms_and_begins_its_counts_anew(watched: Watched) -> None:
    raised(watched.ticks(3, **flow(BELOW)))
    assert watched.tick(seconds=3600, **flow(BACK)) == []
    assert watched.alarms.open_alarms == 1
    watched.ticks(2, primary_pressure_mpa=16.2)
    assert watched.ticks(2, seconds=3600, primary_pressure_mpa=16.2) == []
    assert watched.alarms.open_alarms == 1


def test_plants_are_judged_one_by_one() -> None:
    watched = Watched(designs=[Design.PWR_3_LOOP, Design.CANDU6, Design.PWR_3_LOOP])
    watched.tick()
    changes = [change for _ in range(3) for change in watched.tick(2, **flow(BELOW))]
    assert raised(changes).reactor_id == 3
    assert watched.tick(0, 1) == []


def test_a_reactor_that_nobody_knows_is_not_judged_until_somebody_does() -> None:
    watched = Watched()
    plant = watched.fleet.get("default/0")
    assert plant is not None
    watched.fleet.discard(["default/0"])
    assert watched.ticks(10, **flow(BELOW)) == []
    watched.fleet.put("default/0", plant)
    raised(watched.ticks(3, **flow(BELOW)))


def test_a_recreated_reactor_begins_without_alarms(watched: Watched) -> None:
    raised(watched.ticks(3, **flow(BELOW)))
    watched.fleet.put("default/0", Plant(uuid4(), Design.PWR_3_LOOP))
    assert watched.ticks(10, **flow(BACK)) == []
    assert watched.alarms.open_alarms == 0


def test_what_stood_open_is_gone_on_with_and_not_raised_again() -> None:
    uid, mine = uuid4(), uid_of("default/0")
    alarm = OpenAlarm("default/0", uid, mine, "primary_flow_kg_s", "Low")
    watched = Watched(open_alarms=[alarm])
    assert watched.ticks(10, **flow(BELOW)) == []
    assert cleared(watched.ticks(5, **flow(BACK))).uid == uid


def test_what_stood_open_of_another_plant_of_that_name_is_not_gone_on_with() -> None:
    alarm = OpenAlarm("default/0", uuid4(), uuid4(), "primary_flow_kg_s", "Low")
    assert Watched(open_alarms=[alarm]).ticks(10, **flow(BACK)) == []


def test_a_copy_leaves_the_original_as_it_was(watched: Watched) -> None:
    watched.ticks(2, **flow(BELOW))
    original, watched.alarms = watched.alarms, watched.alarms.copy()
    first = raised(watched.tick(**flow(BELOW)))
    watched.alarms = original
    assert raised(watched.read(**flow(BELOW))) == first


def test_the_identity_follows_from_what_raised_it_when() -> None:
    def identity(tick_us: int, condition: str = "Low") -> object:
        return alarm_uid(
            uid_of("a"), signal="primary_flow_kg_s", condition=condition, tick_us=tick_us
        )

    assert identity(START) == identity(START)
    assert len({identity(START), identity(START + 1), identity(START, "LowLow")}) == 3


def test_low_feedwater_at_low_power_is_no_alarm_unless_it_is_lower_than_the_load_needs() -> None:
    watched = Watched(designs=[Design.CANDU6])
    low_power = {"thermal_power_mw": 412.0, "steam_flow_kg_s": 181.0}
    assert watched.ticks(30, **low_power, feedwater_flow_kg_s=181.0) == []
    changes = watched.ticks(3, **low_power, feedwater_flow_kg_s=60.0)
    assert told(changes) == [("feedwater_flow_kg_s", "Low")]


def test_many_reactors_come_and_go_between_ticks() -> None:
    watched = Watched(designs=[Design.CANDU6] * 4)
    watched.tick(3)
    watched.tick(0, 2, primary_flow_kg_s=7000.0)
    watched.tick(2, 0, 1, primary_flow_kg_s=7000.0)
    changes = watched.tick(0, 1, 2, 3, primary_flow_kg_s=7000.0)
    low = [change for change in changes if told([change]) == [("primary_flow_kg_s", "Low")]]
    assert sorted(raised([change]).reactor_id for change in low) == [1, 3]
