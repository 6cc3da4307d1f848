"""Which server a command talks to, and as whom."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from reactorsync.loopback import is_loopback
from reactorsync_local.errors import BadInput
from reactorsync_local.state_dir import find_state_dir
from reactorsync_local.supervisor import InstanceState

SERVER_VARIABLE: Final = "REACTORSYNC_SERVER"
TOKEN_VARIABLE: Final = "REACTORSYNC_API_TOKEN"  # noqa: S105 - a name, no secret
HOST_VARIABLE: Final = "REACTORSYNC_API_HOST"
DEFAULT_URL: Final = "http://127.0.0.1:8000"

_LEAST_TOKEN_LENGTH: Final = 16

API_URL: Final = "api"
"""Name of the API's address in the state file."""


@dataclass(frozen=True, slots=True)
class Server:
    """Address of an API without a slash at its end, and the bearer token if there is one."""

    url: str
    token: str | None = None

    @property
    def websocket_url(self) -> str:
        """Address of live telemetry."""
        scheme, rest = self.url.split(":", 1)
        return f"{'wss' if scheme == 'https' else 'ws'}:{rest}/ws"

    @property
    def headers(self) -> dict[str, str]:
        """Headers that every request carries."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    @property
    def port(self) -> int:
        """The port, also where the address names none."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine, where no proxy has a place."""
        return is_loopback(urlsplit(self.url).hostname)


def find_server(chosen: str | None) -> Server:
    """Return the server chosen, else the environment's, else that of the state folder.

    Raises:
        BadInput: the address is none, or the token's file cannot be read.
    """
    url = chosen or os.environ.get(SERVER_VARIABLE) or _known_url() or DEFAULT_URL
    if "://" not in url:
        url = f"http://{url}"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadInput(f"{url!r} is no address of a server", hint=f"write it as {DEFAULT_URL}")
    return Server(url.rstrip("/"), find_token())


def find_token() -> str | None:
    """Return the token of ``REACTORSYNC_API_TOKEN`` or ``REACTORSYNC_API_TOKEN_FILE``."""
    if token := os.environ.get(TOKEN_VARIABLE):
        return token
    path = os.environ.get(f"{TOKEN_VARIABLE}_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadInput(
            f"cannot read {path}: {error.strerror}", hint=f"set {TOKEN_VARIABLE}_FILE to a file"
        ) from error


def check_exposure() -> None:
    """Check that an API to be started on this machine may listen where the environment says.

    The API refuses the same, but only after everything before it has been started.

    Raises:
        BadInput: others could reach it, and there is no token or one too short to be a secret.
    """
    host = os.environ.get(HOST_VARIABLE, "")
    token = find_token()
    if token is None and host and not is_loopback(host):
        raise BadInput(
            f"{HOST_VARIABLE} is {host}, which others can reach, and there is no token",
            hint=f"set {TOKEN_VARIABLE} (or {TOKEN_VARIABLE}_FILE), or listen on 127.0.0.1",
        )
    if token is not None and len(token) < _LEAST_TOKEN_LENGTH:
        raise BadInput(
            f"{TOKEN_VARIABLE} has {len(token)} characters, at least {_LEAST_TOKEN_LENGTH} are "
            "needed",
            hint="`openssl rand -hex 24` makes one",
        )


def _known_url() -> str | None:
    """Return the address of the installation of the state folder, whether it runs now or not.

    Not the default one then: there somebody else's installation may answer.
    """
    state = InstanceState.read(find_state_dir(None))
    return state.urls.get(API_URL) if state is not None else None
