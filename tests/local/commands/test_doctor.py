"""`doctor` on a machine where nothing runs."""

import os
import shutil
import signal
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reactorsync_local import diagnosis
from reactorsync_local.diagnosis import Verdict
from reactorsync_local.supervisor import InstanceState, ProcessState, ProcessStatus
from tests.local.commands.conftest import Command


def test_a_sound_machine_is_found_sound(offline: Command) -> None:
    found = offline("doctor", "--api-port", "0")
    assert found.exit_code == 0
    subjects = [line.split()[1] for line in found.lines if line.startswith("✓")]
    assert {"python", "packages", "broker", "postgres"} <= set(subjects)
    assert "`reactorsync up` starts it" in found.stdout


def test_a_taken_port_is_a_doubt_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        finding = diagnosis.port(holder.getsockname()[1])
    assert finding.verdict is Verdict.DOUBT
    assert "--api-port" in finding.action


@pytest.mark.parametrize(
    ("free_bytes", "verdict"),
    [(1 << 20, Verdict.FAULT), (1 << 30, Verdict.DOUBT), (1 << 40, Verdict.FINE)],
)
def test_a_full_disk_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: int, verdict: Verdict
) -> None:
    class Usage:
        free = free_bytes

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage)
    assert diagnosis.disk(tmp_path / "not" / "yet" / "made").verdict is verdict


def test_a_killed_run_is_noticed(tmp_path: Path) -> None:
    InstanceState(pid=1, started_at=datetime.now(UTC)).write(tmp_path)
    [finding] = diagnosis.stale_state(tmp_path)
    assert finding.verdict is Verdict.NOTE
    assert "killed" in finding.fact


def test_an_orderly_end_is_no_finding(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    InstanceState(pid=1, started_at=now, stopped_at=now).write(tmp_path)
    assert list(diagnosis.stale_state(tmp_path)) == []


def test_a_server_out_of_reach_is_a_fault(offline: Command) -> None:
    found = offline("doctor", "--server", "http://127.0.0.1:1")
    assert found.exit_code == 1
    assert "no ReactorSync server answers" in found.stdout


@pytest.mark.parametrize(
    ("restarts", "minutes_ago", "verdict", "fact"),
    [
        (0, 60, Verdict.FINE, ""),
        (1, 2, Verdict.DOUBT, ", restarted once, 2m ago"),
        (3, 60, Verdict.FINE, ", restarted 3 times, last 1h ago"),
    ],
)
async def test_only_a_fresh_restart_is_a_doubt_with_where_to_look(
    restarts: int, minutes_ago: int, verdict: Verdict, fact: str
) -> None:
    now = datetime.now(UTC)
    postgres = ProcessStatus(
        name="postgres",
        state=ProcessState.READY,
        pid=os.getpid(),
        created_at=0.0,
        restarts=restarts,
        since=now - timedelta(minutes=minutes_ago),
        last_exit=None,
        stop_signal=int(signal.SIGTERM),
        log="",
    )
    state = InstanceState(pid=os.getpid(), started_at=now, processes=(postgres,))
    finding = await diagnosis.part(postgres, state, now=now)
    assert finding.verdict is verdict
    assert finding.fact == f"runs as pid {os.getpid()}{fact}"
    assert bool(finding.action) == (verdict is Verdict.DOUBT)
