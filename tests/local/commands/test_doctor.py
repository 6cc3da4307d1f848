"""`doctor` on a machine where nothing runs."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import psutil
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


def part_status(name: str, *, restarts: int = 0) -> ProcessStatus:
    """A part that runs as this process."""
    return ProcessStatus(
        name=name,
        state=ProcessState.READY,
        pid=os.getpid(),
        created_at=psutil.Process().create_time(),
        restarts=restarts,
        since=datetime.now(UTC) - timedelta(hours=1),
        last_exit=None,
        stop_signal=int(signal.SIGTERM),
        log="",
    )


_SERVE: Final = """
import os, sys, time
from datetime import UTC, datetime
from pathlib import Path
from reactorsync_local.supervisor import InstanceState
from reactorsync_local.supervisor.instance import InstanceLock
from tests.local.commands.test_doctor import part_status
import socket
folder = Path(sys.argv[1])
with socket.create_server(("127.0.0.1", 0)) as listener:
    InstanceLock(folder).acquire()
    number = listener.getsockname()[1]
    InstanceState(
        pid=os.getpid(),
        started_at=datetime.now(UTC),
        urls={"api": f"http://127.0.0.1:{number}"},
        processes=(part_status("api"),),
    ).write(folder)
    print(number, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def fleet_elsewhere(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A fleet of one's own that runs from another folder, and the port of its API."""
    folder = tmp_path / "checkout" / ".reactorsync"
    (folder / "logs").mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(folder)],
        env={**os.environ, "REACTORSYNC_DATABASE_URL_FILE": str(folder / "database-url")},
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield folder, int(process.stdout.readline())
        assert process.stdin is not None
        process.stdin.close()


def test_ones_own_fleet_is_told_from_a_stranger_on_its_port(
    offline: Command, fleet_elsewhere: tuple[Path, int]
) -> None:
    folder, number = fleet_elsewhere
    found = offline("doctor", "--api-port", str(number))
    assert found.exit_code == 0
    assert f"a fleet runs from {folder}" in found.stdout
    assert f"`reactorsync doctor --state-dir {folder}`" in found.stdout
    assert "stop it" not in found.stdout
    assert "`reactorsync up` starts it" not in found.stdout


def test_logs_of_a_fleet_that_runs_from_elsewhere_are_pointed_at(
    offline: Command, fleet_elsewhere: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, number = fleet_elsewhere
    monkeypatch.setenv("REACTORSYNC_SERVER", f"http://127.0.0.1:{number}")
    refused = offline("logs")
    assert refused.exit_code == 1
    assert f"`reactorsync logs --state-dir {folder}`" in refused.stderr


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("broker", " at 127.0.0.1:27001"),
        ("postgres", " at 127.0.0.1:27002, its URL in {folder}/database-url"),
        ("historian", ""),
    ],
)
async def test_addresses_of_broker_and_database_are_told(
    tmp_path: Path, name: str, address: str
) -> None:
    now = datetime.now(UTC)
    status = part_status(name)
    state = InstanceState(
        pid=os.getpid(),
        started_at=now,
        processes=(status,),
        ports={"broker": 27001, "postgres": 27002},
    )
    finding = await diagnosis.part(status, state, now=now, state_dir=tmp_path)
    assert finding.fact == f"runs as pid {os.getpid()}{address.format(folder=tmp_path)}"


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
    tmp_path: Path, restarts: int, minutes_ago: int, verdict: Verdict, fact: str
) -> None:
    historian = part_status("historian", restarts=restarts)
    now = historian.since + timedelta(minutes=minutes_ago)
    state = InstanceState(pid=os.getpid(), started_at=now, processes=(historian,))
    finding = await diagnosis.part(historian, state, now=now, state_dir=tmp_path)
    assert finding.verdict is verdict
    assert finding.fact == f"runs as pid {os.getpid()}{fact}"
    assert bool(finding.action) == (verdict is Verdict.DOUBT)
