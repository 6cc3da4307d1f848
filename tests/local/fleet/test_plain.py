from dataclasses import replace

from reactorsync.resources.reactor import HealthState
from reactorsync_local.fleet.plain import changes_between, stamped, summary_line
from reactorsync_local.fleet.values import PartState, PartView, StreamView
from tests.local.fleet.views import NOW, RUNNING_SCENARIO, TRIPPED, fleet_view, reactor_view

CALM = replace(TRIPPED, health=HealthState.NOMINAL, trip_cause=None, faults=())


def test_the_summary_is_one_line() -> None:
    stream = StreamView(rows_per_second=2.0, freshness_seconds=0.4, lost_frames=0, dead_letters=1)
    view = fleet_view(
        [TRIPPED, reactor_view("asco-1")], scenarios=[RUNNING_SCENARIO], stream=stream
    )
    assert summary_line(view) == (
        "2 reactors (1 tripped, 1 nominal), 2 rows/s, 0.4 s old, 0 lost, 1 dead-lettered, "
        "pump-trip 1:12 left"
    )


def test_lines_carry_their_time_in_utc() -> None:
    assert stamped(NOW, "asco-1: Tripped") == "2026-01-31T12:00:00Z asco-1: Tripped"


def test_nothing_is_said_while_nothing_changes() -> None:
    view = fleet_view([TRIPPED], scenarios=[RUNNING_SCENARIO])
    assert changes_between(view, view) == []


def test_a_trip_and_its_scenario_are_said() -> None:
    before, after = fleet_view([CALM]), fleet_view([TRIPPED], scenarios=[RUNNING_SCENARIO])
    assert changes_between(before, after) == [
        "ringhals-3: Tripped (low primary flow)",
        "scenario pump-trip: running",
    ]
    assert changes_between(after, before) == ["ringhals-3: Nominal", "scenario pump-trip: over"]


def test_a_reactor_that_is_only_getting_known_is_no_news() -> None:
    unknown = replace(CALM, health=HealthState.UNKNOWN)
    assert changes_between(fleet_view([unknown]), fleet_view([CALM])) == []


def test_a_whole_fleet_changing_is_cut_short() -> None:
    calm = [reactor_view(f"unit-{number}") for number in range(50)]
    tripped = [replace(one, health=HealthState.TRIPPED) for one in calm]
    lines = changes_between(fleet_view(calm), fleet_view(tripped))
    assert len(lines) == 21
    assert lines[-1] == "and 30 reactors more changed"


def test_a_part_that_fails_and_comes_back_is_said() -> None:
    well = fleet_view(parts=[PartView(name="historian", state=PartState.READY)])
    ill = fleet_view(
        parts=[PartView(name="historian", state=PartState.NOT_READY, problem="postgres: refused")]
    )
    assert changes_between(well, ill) == ["historian: not ready: postgres: refused"]
    assert changes_between(ill, well) == ["historian: ready again"]


def test_a_server_out_of_reach_is_said_once() -> None:
    well, ill = fleet_view(), fleet_view(problem="connection refused")
    assert changes_between(well, ill) == ["trouble: connection refused"]
    assert changes_between(ill, ill) == []
