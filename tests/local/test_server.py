from datetime import UTC, datetime
from pathlib import Path

import pytest

from reactorsync_local.errors import BadInput
from reactorsync_local.server import DEFAULT_URL, Server, find_server
from reactorsync_local.state_dir import find_state_dir
from reactorsync_local.supervisor import InstanceState


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SERVER", "API_TOKEN", "API_TOKEN_FILE", "STATE_DIR"):
        monkeypatch.delenv(f"REACTORSYNC_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_word_it_is_the_server_of_this_machine() -> None:
    assert find_server(None) == Server(DEFAULT_URL)


def test_the_option_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REACTORSYNC_SERVER", "https://fleet.example/")
    assert find_server(None).url == "https://fleet.example"
    assert find_server("http://other:9000").url == "http://other:9000"


def test_a_bare_address_is_http() -> None:
    assert find_server("127.0.0.1:8001").url == "http://127.0.0.1:8001"


@pytest.mark.parametrize("text", ["ftp://host", "http://", "://"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is no address of a server"):
        find_server(text)


def test_live_readings_come_from_the_same_server() -> None:
    assert Server("https://fleet.example").websocket_url == "wss://fleet.example/ws"
    assert Server("http://127.0.0.1:8000").websocket_url == "ws://127.0.0.1:8000/ws"


def test_the_token_comes_from_the_environment_or_a_file(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / "token").write_text("from-the-file\n")
    monkeypatch.setenv("REACTORSYNC_API_TOKEN_FILE", str(nowhere / "token"))
    assert find_server(None).headers == {"Authorization": "Bearer from-the-file"}
    monkeypatch.setenv("REACTORSYNC_API_TOKEN", "direct")
    assert find_server(None).token == "direct"


def test_a_token_file_that_cannot_be_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REACTORSYNC_API_TOKEN_FILE", "no/such/file")
    with pytest.raises(BadInput, match="cannot read no/such/file"):
        find_server(None)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000", True),
        ("https://fleet.example", False),
        ("http://10.0.0.1:8000", False),
    ],
)
def test_only_other_machines_are_asked_through_a_proxy(url: str, loopback: bool) -> None:
    assert Server(url).is_loopback is loopback


def test_the_nearest_state_folder_above_is_used(nowhere: Path) -> None:
    assert find_state_dir(None) == nowhere / ".reactorsync"
    (nowhere / ".reactorsync").mkdir()
    below = nowhere / "samples" / "fleet"
    below.mkdir(parents=True)
    assert find_state_dir(None, start=below) == nowhere / ".reactorsync"


def test_a_chosen_state_folder_goes_before_the_environment(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REACTORSYNC_STATE_DIR", "from-environment")
    assert find_state_dir(None) == nowhere / "from-environment"
    assert find_state_dir(Path("chosen")) == nowhere / "chosen"


def test_a_stopped_installation_is_asked_where_it_answered(nowhere: Path) -> None:
    state_dir = nowhere / ".reactorsync"
    state_dir.mkdir()
    state = InstanceState(
        pid=1, started_at=datetime.now(UTC), urls={"api": "http://127.0.0.1:8123"}
    )
    state.write(state_dir)
    assert find_server(None).url == "http://127.0.0.1:8123"
