"""What the one-screen summary says, and that it fits."""

import pytest
from rich.text import Text

from reactorsync.resources.reactor import HealthState
from reactorsync_local.fleet.screen import render_screen
from reactorsync_local.fleet.values import FleetView, PartState, PartView, StreamView
from tests.local.fleet.views import RUNNING_SCENARIO, TRIPPED, fleet_view, reactor_view


def lines_of(view: FleetView, *, width: int = 150, height: int = 40) -> list[Text]:
    group = render_screen(view, width=width, height=height, footer="Ctrl-C stops everything")
    return [line for line in group.renderables if isinstance(line, Text)]


def screen_of(view: FleetView, *, width: int = 150, height: int = 40) -> str:
    return "\n".join(line.plain for line in lines_of(view, width=width, height=height))


def test_what_needs_attention_comes_first() -> None:
    calm = [reactor_view(f"almaraz-{number}") for number in (2, 10, 1)]
    degraded = reactor_view("wolsong-2", health=HealthState.DEGRADED, faults=["PrimaryLeak"])
    unknown = reactor_view("asco-1", health=HealthState.UNKNOWN)
    text = screen_of(fleet_view([*calm, unknown, degraded, TRIPPED]))
    places = [
        text.index(name)
        for name in ("ringhals-3", "wolsong-2", "asco-1", "almaraz-1 ", "almaraz-2", "almaraz-10")
    ]
    assert places == sorted(places)


def test_health_is_counted_with_symbol_and_word() -> None:
    text = screen_of(fleet_view([TRIPPED, reactor_view("asco-1"), reactor_view("asco-2")]))
    assert "3 reactors   ■ 1 tripped   ● 2 nominal   1 fault acting" in text


def test_a_tripped_plant_says_why_and_which_reading_is_beyond_its_limits() -> None:
    text = screen_of(fleet_view([TRIPPED]))
    assert "■ Tripped: low primary flow" in text
    assert "!!1200" in text


def test_while_all_is_well_nothing_but_titles_is_coloured() -> None:
    view = fleet_view([reactor_view("asco-1")], scenarios=[RUNNING_SCENARIO])
    styles = {str(span.style) for line in lines_of(view) for span in line.spans}
    assert styles <= {"", "bold", "dim"}


def test_a_running_scenario_shows_how_long_it_still_takes() -> None:
    text = screen_of(fleet_view([TRIPPED], scenarios=[RUNNING_SCENARIO]))
    assert "1:12 left   1 of 1 injected   PumpTrip" in text


def test_loss_stands_out_and_zero_does_not() -> None:
    def style_of(lost: float) -> set[str]:
        view = fleet_view(stream=StreamView(lost_frames=lost))
        line = next(line for line in lines_of(view) if "lost" in line.plain)
        return {str(span.style) for span in line.spans}

    assert "yellow" not in style_of(0)
    assert "yellow" in style_of(3)


def test_a_part_in_trouble_is_named_first_with_what_is_wrong() -> None:
    parts = [
        PartView(name="api", state=PartState.READY),
        PartView(name="historian", state=PartState.NOT_READY, problem="postgres: refused"),
        PartView(name="operator", state=PartState.DOWN, restarts=3, problem="exit code 1"),
    ]
    line = next(line for line in screen_of(fleet_view(parts=parts)).split("\n") if "api" in line)
    assert line.startswith("parts    ■ historian not ready: postgres: refused")
    assert "operator (restarted 3×) down: exit code 1   1 of 3 ready  api" in line


def test_a_server_that_went_away_is_said() -> None:
    assert "trouble  connection refused" in screen_of(fleet_view(problem="connection refused"))


def test_an_empty_fleet_says_how_to_declare_one() -> None:
    assert "reactorsync apply -f samples/fleet" in screen_of(fleet_view())


@pytest.mark.parametrize(("width", "height"), [(150, 40), (120, 30), (100, 24), (80, 24), (60, 20)])
def test_the_screen_fits_the_terminal(width: int, height: int) -> None:
    view = fleet_view(
        [TRIPPED, *(reactor_view(f"unit-{number}") for number in range(500))],
        scenarios=[RUNNING_SCENARIO] * 9,
    )
    lines = lines_of(view, width=width, height=height)
    assert len(lines) <= height
    assert all(line.no_wrap for line in lines)
    assert "more, all calmer" in screen_of(view, width=width, height=height)


def test_a_narrow_terminal_keeps_name_health_and_power() -> None:
    text = screen_of(fleet_view([TRIPPED]), width=80)
    titles = next(line for line in text.split("\n") if line.startswith("REACTOR"))
    assert titles.split("  ")[0] == "REACTOR"
    assert "HEALTH" in titles
    assert "POWER %" in titles
    assert "OUTPUT" not in titles


def test_parts_that_do_not_fit_go_on_in_the_next_line() -> None:
    parts = [
        PartView(name=name, state=PartState.READY, restarts=1)
        for name in ("postgres", "broker", "operator", "historian", "api", "generator-0")
    ]
    lines = screen_of(fleet_view(parts=parts), width=110).split("\n")
    first = next(index for index, line in enumerate(lines) if line.startswith("parts"))
    assert all(len(line) <= 110 for line in lines[first : first + 2])
    assert "6 of 6 ready  postgres (restarted 1×), broker (restarted 1×)," in lines[first]
    assert lines[first + 1].startswith(" " * 9)
    assert lines[first + 1].endswith("generator-0 (restarted 1×)")
