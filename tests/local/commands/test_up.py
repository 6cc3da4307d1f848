"""What `up`, `down` and `logs` say when they cannot do what is asked; the rest is end to end."""

import socket
from pathlib import Path

import pytest

from reactorsync_local.supervisor import InstanceLock
from tests.local.commands.conftest import Command


@pytest.mark.parametrize("option", ["--plain", "--detach"])
def test_a_taken_port_says_who_holds_it_and_what_to_do(
    offline: Command, tmp_path: Path, option: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        refused = offline("up", option, "--api-port", str(port))
    assert refused.exit_code == 1
    said = refused.stdout + refused.stderr
    assert f"port {port} is taken by" in said
    assert "--api-port" in said
    assert not list(tmp_path.glob(".reactorsync/postgres"))


def test_a_folder_that_is_in_use_is_left_alone(offline: Command, tmp_path: Path) -> None:
    folder = tmp_path / ".reactorsync"
    lock = InstanceLock(folder)
    lock.acquire()
    try:
        refused = offline("up", "--plain")
    finally:
        lock.release()
    assert refused.exit_code == 1
    assert "already running" in refused.stderr


def test_a_state_folder_that_cannot_be_written_is_said(offline: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    refused = offline("up", "--plain", "--state-dir", "file")
    assert refused.exit_code == 1
    assert "--state-dir" in refused.stderr


def test_down_without_anything_running_is_fine(offline: Command, tmp_path: Path) -> None:
    stopped = offline("down")
    assert stopped.exit_code == 0
    assert stopped.lines == [f"Nothing runs from {tmp_path / '.reactorsync'}."]


def test_logs_before_the_first_start_are_none(offline: Command) -> None:
    refused = offline("logs")
    assert refused.exit_code == 1
    assert "there are no logs" in refused.stderr


def test_logs_of_a_part_are_found_by_its_name(offline: Command, tmp_path: Path) -> None:
    folder = tmp_path / ".reactorsync" / "logs"
    folder.mkdir(parents=True)
    for name in ("generator-0", "generator-1", "operator"):
        (folder / f"{name}.log").write_text(f"2026-01-31 12:00:00,000 INFO {name}\n")
    assert [line.split()[0] for line in offline("logs").lines] == [
        "generator-0",
        "generator-1",
        "operator",
    ]
    assert len(offline("logs", "generator").lines) == 2
    assert offline("logs", "operator").lines == ["2026-01-31 12:00:00,000 INFO operator"]
    assert offline("logs", "--since", "1m").lines == []
    unknown = offline("logs", "mcp")
    assert unknown.exit_code == 1
    assert "generator-0, generator-1, operator" in unknown.stderr


@pytest.mark.parametrize(
    ("host", "token", "said"),
    [
        ("0.0.0.0", "", "REACTORSYNC_API_HOST is 0.0.0.0"),
        ("127.0.0.1", "short", "has 5 characters"),
    ],
)
@pytest.mark.parametrize("option", ["--plain", "--detach"])
def test_an_api_that_would_refuse_to_start_is_refused_before_anything_is_started(
    offline: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, host: str,
    token: str, said: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("REACTORSYNC_API_HOST", host)
    monkeypatch.setenv("REACTORSYNC_API_TOKEN", token)
    refused = offline("up", option)
    assert refused.exit_code == 1
    assert said in refused.stderr
    assert not (tmp_path / ".reactorsync").exists()


def test_what_up_logs_goes_by_its_name(offline: Command, tmp_path: Path) -> None:
    folder = tmp_path / ".reactorsync" / "logs"
    folder.mkdir(parents=True)
    (folder / "supervisor.log").write_text("2026-01-31 12:00:00,000 INFO supervised\n")
    (folder / "operator.log").write_text("2026-01-31 12:00:00,000 INFO reconciled\n")
    for name in ("up", "supervisor"):
        assert offline("logs", name).lines == ["2026-01-31 12:00:00,000 INFO supervised"]
