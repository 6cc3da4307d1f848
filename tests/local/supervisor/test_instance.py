"""What a dead supervisor left is found by pid and start time, and never taken for a stranger."""

import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reactorsync_local.supervisor import (
    Child,
    InstanceState,
    LogFile,
    ProcessState,
    ProcessStatus,
    stop_leftovers,
)
from tests.local.supervisor.programs import IGNORE_SIGTERM, SLEEP, python, runs, says, until


def left(child: Child, *, created_at: float | None = None) -> InstanceState:
    """The state file of a supervisor that died while `child` ran."""
    now = datetime.now(UTC)
    status = ProcessStatus(
        name="generator-0",
        state=ProcessState.READY,
        pid=child.pid,
        created_at=child.created_at if created_at is None else created_at,
        restarts=0,
        since=now,
        last_exit=None,
        stop_signal=int(signal.SIGTERM),
        log="",
    )
    return InstanceState(pid=1, started_at=now, processes=(status,))


@pytest.mark.parametrize("program", [SLEEP, IGNORE_SIGTERM], ids=["polite", "deaf"])
async def test_a_leftover_is_stopped(tmp_path: Path, program: str) -> None:
    log = LogFile(tmp_path / "child.log")
    child = Child.spawn(python(program), log=log)
    await until(lambda: says(log.path, "up"))

    stopped = await stop_leftovers(left(child), deadline_seconds=0.2)

    assert stopped == ("generator-0",)
    assert not runs(child.pid)
    await child.wait()


async def test_another_process_with_the_same_pid_is_left_alone(tmp_path: Path) -> None:
    child = Child.spawn(python(SLEEP), log=LogFile(tmp_path / "child.log"))
    try:
        assert await stop_leftovers(left(child, created_at=child.created_at - 60)) == ()
        assert runs(child.pid)
    finally:
        child.kill()
        await child.wait()


async def test_without_a_state_there_is_nothing_left() -> None:
    assert await stop_leftovers(None) == ()


def test_the_state_file_is_read_back_as_written(tmp_path: Path) -> None:
    state = InstanceState(
        pid=os.getpid(),
        started_at=datetime.now(UTC),
        ports={"broker": 29092},
        urls={"api": "http://127.0.0.1:8000"},
    )
    state.write(tmp_path)

    assert InstanceState.read(tmp_path) == state


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"pid": "x"}'], ids=repr)
def test_an_unreadable_state_counts_as_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "state.json").write_bytes(content)

    assert InstanceState.read(tmp_path) is None
