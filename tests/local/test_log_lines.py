from datetime import UTC, datetime
from pathlib import Path

import pytest

from reactorsync_local.log_lines import LogFollower, files_of, log_files, read_logs, time_of

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "operator.log").write_text(
        "2026-01-31 12:00:01,500 INFO    operator: second\n"
        "Traceback (most recent call last):\n"
        "2026-01-31 12:00:05,000 INFO    operator: fourth\n"
    )
    (tmp_path / "generator-0.log").write_text("2026-01-31 12:00:03,000 INFO    generator: third\n")
    (tmp_path / "generator-0.log.1").write_text("2026-01-31 12:00:00,000 INFO    rotated: first\n")
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31 12:00:00,000 INFO    part: message",
        "2026-01-31 12:00:00.000 UTC [42]  LOG:  database system is ready",
        "2026-01-31T12:00:00Z broker ready in 0.1 s",
        "2026-01-31T12:00:00.000000Z  INFO tansu: listening",
    ],
)
def test_the_time_of_a_line_is_read_whichever_part_wrote_it(text: str) -> None:
    assert time_of(text) == NOON


@pytest.mark.parametrize("text", ["", "Traceback", "2026-13-45 12:00:00 no date", "99 bottles"])
def test_a_line_may_have_no_time(text: str) -> None:
    assert time_of(text) is None


def test_lines_of_all_parts_come_in_order_of_time_rotated_ones_too(logs: Path) -> None:
    lines = read_logs(log_files(logs), since=None)
    assert [line.text.rsplit(": ", 1)[-1] for line in lines] == [
        "first",
        "second",
        "Traceback (most recent call last):",
        "third",
        "fourth",
    ]
    assert [line.part for line in lines][:2] == ["generator-0", "operator"]


def test_a_line_without_a_time_stays_with_the_line_before_it(logs: Path) -> None:
    lines = read_logs(log_files(logs), since=datetime(2026, 1, 31, 12, 0, 1, tzinfo=UTC))
    assert [line.text[:9] for line in lines][:2] == ["2026-01-3", "Traceback"]


def test_a_part_stands_for_all_its_members(logs: Path) -> None:
    files = log_files(logs)
    assert list(files_of("generator", files)) == ["generator-0"]
    assert list(files_of("generator-0", files)) == ["generator-0"]
    assert files_of("gen", files) == {}


def test_following_shows_what_is_added_and_only_whole_lines(logs: Path) -> None:
    files = log_files(logs)
    follower = LogFollower()
    follower.start_at_end(files)
    with files["operator"].open("a") as log:
        log.write("2026-01-31 12:00:06,000 new\n2026-01-31 12:00:07,000 hal")
        log.flush()
        assert [line.text[-3:] for line in follower.new_lines(files)] == ["new"]
        log.write("f\n")
        log.flush()
        assert [line.text[-4:] for line in follower.new_lines(files)] == ["half"]
    assert follower.new_lines(files) == []


def test_following_goes_on_after_the_log_was_rotated(logs: Path) -> None:
    files = log_files(logs)
    follower = LogFollower()
    follower.start_at_end(files)
    files["operator"].write_text("2026-01-31 12:00:08,000 anew\n")
    assert [line.text[-4:] for line in follower.new_lines(files)] == ["anew"]
