from datetime import UTC, datetime, timedelta

import pytest

from reactorsync_local.rendering.times import age, clock, parse_duration, short_duration, timestamp


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0s"),
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (310, "5m10s"),
        (599, "9m59s"),
        (600, "10m"),
        (3660, "1h1m"),
        (36_000, "10h"),
        (86_400, "1d"),
        (187_200, "2d4h"),
        (40 * 86_400, "40d"),
    ],
)
def test_a_duration_has_two_units_only_while_the_first_is_small(seconds: float, shown: str) -> None:
    assert short_duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (7.9, "0:07"), (725, "12:05"), (3723, "1:02:03")]
)
def test_a_countdown_reads_like_a_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("2d", timedelta(days=2)),
    ],
)
def test_durations_are_read_as_people_write_them(text: str, meant: timedelta) -> None:
    assert parse_duration(text) == meant


@pytest.mark.parametrize("text", ["", "10", "ten minutes", "5 m", "1m1h", "-5m"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"90s, 10m, 1h30m or 2d"):
        parse_duration(text)


def test_a_moment_that_never_came_is_none() -> None:
    now = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    assert age(None, now) == timestamp(None) == "<none>"
    assert age(now - timedelta(minutes=3), now) == "3m"
    assert timestamp(now) == "2026-01-31T12:00:00Z"
