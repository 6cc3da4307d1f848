from datetime import UTC, datetime, timedelta
from typing import Any

from reactorsync.resources import AnomalyScenario
from reactorsync_local.fleet.monitor import scenario_views

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def scenario(name: str, *, phase: str, start: timedelta, seconds: int = 100) -> AnomalyScenario:
    stage = {"name": "pumps-lost", "fault": "PumpTrip", "durationSeconds": seconds}
    document: dict[str, Any] = {
        "metadata": {"name": name},
        "spec": {"targets": {"names": ["asco-1"]}, "stages": [stage]},
        "status": {
            "run": {
                "number": 1,
                "phase": phase,
                "startTime": NOW + start,
                "endTime": NOW + start + timedelta(seconds=seconds),
            },
            "targets": {"selected": 1, "injected": 1},
        },
    }
    return AnomalyScenario.model_validate(document)


def test_running_scenarios_come_first_the_next_to_end_before_the_others() -> None:
    views = scenario_views(
        [
            scenario("tonight", phase="Pending", start=timedelta(hours=5)),
            scenario("long", phase="Running", start=timedelta(seconds=-10)),
            scenario("short", phase="Running", start=timedelta(seconds=-60)),
            scenario("yesterday", phase="Completed", start=timedelta(days=-1)),
        ],
        NOW,
    )
    assert [view.name for view in views] == ["short", "long", "tonight"]
    assert (views[0].seconds_left, views[0].share_done) == (40.0, 0.6)
    assert (views[2].starts_in, views[2].seconds_left) == (18_000.0, None)


def test_a_scenario_that_runs_by_the_clock_shows_when_it_is_next_due() -> None:
    nightly = scenario("nightly", phase="Completed", start=timedelta(days=-1))
    next_run = {"next_run_time": NOW + timedelta(hours=2)}
    nightly = nightly.model_copy(update={"status": nightly.status.model_copy(update=next_run)})
    [view] = scenario_views([nightly], NOW)
    assert (view.phase, view.starts_in, view.injected) == ("Pending", 7200.0, 0)


def test_a_run_that_is_over_by_the_clock_has_nothing_left() -> None:
    [view] = scenario_views([scenario("late", phase="Running", start=timedelta(seconds=-500))], NOW)
    assert (view.seconds_left, view.share_done) == (0.0, 1.0)


def test_a_run_that_is_held_stands_still() -> None:
    held = scenario("held", phase="Running", start=timedelta(seconds=-60))
    assert held.status.run is not None
    run = held.status.run.model_copy(update={"held_since": NOW - timedelta(seconds=20)})
    held = held.model_copy(update={"status": held.status.model_copy(update={"run": run})})
    [view] = scenario_views([held], NOW)
    assert (view.phase, view.seconds_left, view.share_done) == ("Held", 60.0, 0.4)
    assert view.injected == 1


def test_a_run_that_waits_for_its_probes_has_all_of_its_time_ahead() -> None:
    [view] = scenario_views([scenario("wary", phase="Probing", start=timedelta(seconds=-30))], NOW)
    assert (view.phase, view.seconds_left, view.starts_in) == ("Probing", None, None)
    assert (view.injected, view.share_done) == (0, 0.0)
