"""Logs of child processes stay bounded while the child keeps writing."""

from pathlib import Path

from reactorsync_local.supervisor import LogFile, LogLimit, last_lines


def test_a_full_log_moves_aside_and_the_open_writer_goes_on(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "api.log", LogLimit(max_bytes=10, kept=2))
    with log.open() as child:
        child.write(b"first file\n")
        assert log.rotate_if_large()
        child.write(b"second\n")

    assert (tmp_path / "api.log.1").read_bytes() == b"first file\n"
    assert (tmp_path / "api.log").read_bytes() == b"second\n"


def test_a_log_below_its_bound_stays(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "api.log", LogLimit(max_bytes=10))
    assert not log.rotate_if_large()
    with log.open() as child:
        child.write(b"123456789")
    assert not log.rotate_if_large()


def test_only_the_newest_old_files_are_kept(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "api.log", LogLimit(max_bytes=1, kept=2))
    for line in (b"1", b"2", b"3", b"4"):
        with log.open() as child:
            child.write(line)
        log.rotate_if_large()

    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert kept == {"api.log": b"", "api.log.1": b"4", "api.log.2": b"3"}


def test_nobody_else_can_read_a_log(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "api.log", LogLimit(max_bytes=1))
    with log.open() as child:
        child.write(b"1")
    log.rotate_if_large()

    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    path = tmp_path / "api.log"
    path.write_bytes(b"x" * 200_000 + b"\none\ntwo\xff\nthree")

    assert last_lines(path, 3) == ["one", "two\ufffd", "three"]
    assert last_lines(tmp_path / "no.log", 3) == []
