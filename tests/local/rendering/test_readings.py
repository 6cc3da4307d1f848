import pytest

from reactorsync.signals import SIGNALS
from reactorsync.trips import TripCause
from reactorsync_local.rendering.readings import (
    readings_table,
    signal_of,
    trip_title,
    unit_text,
    value_text,
)


@pytest.mark.parametrize(
    ("signal", "value", "shown"),
    [
        ("primary_pressure_mpa", 15.51249, "15.512"),
        ("primary_flow_kg_s", 13770.4, "13770"),
        ("reactivity_pcm", -0.001, "0.00"),
        ("neutron_power_percent", float("nan"), "–"),
        ("neutron_power_percent", None, "–"),
    ],
)
def test_a_reading_has_the_digits_that_mean_something(
    signal: str, value: float | None, shown: str
) -> None:
    assert value_text(signal_of(signal), value) == shown


def test_temperatures_are_written_with_their_degree() -> None:
    assert unit_text(signal_of("fuel_temperature_c")) == "°C"


def test_every_trip_cause_is_told_in_words() -> None:
    for cause in TripCause:
        if cause.label is not None:
            assert trip_title(cause.label) == cause.title
    assert trip_title("SomethingNewer") == "SomethingNewer"


def test_stored_readings_become_a_table_with_units_and_gaps() -> None:
    titles = ["time", "trip_cause", "neutron_power_percent", "primary_flow_kg_s"]
    rows = [
        ["2026-01-31 12:00:00.000000Z", "", "99.98", ""],
        ["2026-01-31 12:00:01.000000Z", "LowPrimaryFlow", "3.2", "2700.4"],
    ]
    table = readings_table(titles, rows)
    assert table.titles.plain.split("   ")[0] == "TIME"
    assert "FLOW kg/s" in table.titles.plain
    assert table.rows[0].plain.split() == ["2026-01-31T12:00:00.000Z", "-", "99.98", "–"]
    assert table.rows[1].plain.split()[1:] == ["LowPrimaryFlow", "3.20", "2700"]


def test_every_signal_has_a_title_of_its_own_in_tables() -> None:
    titles = readings_table([signal.name for signal in SIGNALS], []).titles.plain
    names = [name for name in titles.split("   ") if name]
    assert len(set(names)) == len(SIGNALS)
