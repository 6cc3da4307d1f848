import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

import pytest

from tests.local.commands.conftest import Command

RELEASE = version("reactorsync")


def test_both_releases_are_shown(reactorsync: Command) -> None:
    shown = reactorsync("version")
    assert shown.exit_code == 0
    assert shown.lines == [f"reactorsync {RELEASE}", f"server      {RELEASE}"]


def test_without_a_server_there_is_still_this_release(offline: Command) -> None:
    shown = offline("version", "--server", "http://127.0.0.1:1")
    assert shown.exit_code == 0
    assert shown.lines == [f"reactorsync {RELEASE}"]


class Stranger(BaseHTTPRequestHandler):
    """Answers everything with a page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>It works!</html>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


def test_what_answers_but_is_no_reactorsync_is_said(offline: Command) -> None:
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asked = offline("get", "rx", "--server", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert asked.exit_code == 3
    assert "no ReactorSync" in asked.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("up", "--help"), ("scenario", "--help")])
def test_help_is_there(offline: Command, arguments: tuple[str, ...]) -> None:
    assert offline(*arguments).exit_code == 0
