"""Without login only this machine's own pages and tools may ask.

A page from elsewhere in the user's browser can reach loopback too (DNS rebinding, cross-site
requests, cross-site WebSockets); it cannot fake the ``Host`` and ``Origin`` headers.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from reactorsync.loopback import is_loopback
from reactorsync_api.problems import ProblemError


class LoopbackHosts:
    """Refuses requests whose ``Host`` is not loopback or whose ``Origin`` is a stranger's."""

    def __init__(self, app: ASGIApp, *, allowed_origins: Sequence[str]) -> None:
        self._app = app
        self._allowed_origins = frozenset(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] in ("http", "websocket") and not self._trusted(Headers(scope=scope)):
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": "foreign origin"})
                return
            problem = ProblemError(
                HTTPStatus.FORBIDDEN,
                "foreign-origin",
                "without login only loopback may ask: set REACTORSYNC_API_TOKEN to open the API",
            )
            await problem.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _trusted(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        own_page = (
            origin is None or origin in self._allowed_origins or is_loopback(_host_of(origin))
        )
        return own_page and is_loopback(_host_of(f"//{headers.get('host', '')}"))


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
