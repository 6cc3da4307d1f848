"""No request body is longer than the largest object Kubernetes would store."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reactorsync_api.problems import ProblemError

MAX_BODY_BYTES: Final = 1_500_000
"""etcd takes about 1.5 MB per request."""


class BodyLimit:
    """Answers 413 to a body that is, or turns out to be, too long; reads no more of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
            await _too_large().response()(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY_BYTES:
                raise _too_large()
            return message

        async def answered(message: Message) -> None:
            # Whoever was reading the body has an answer of its own to what cut it short.
            if read <= MAX_BODY_BYTES:
                await send(message)

        await self._app(scope, counted, answered)
        if read > MAX_BODY_BYTES:
            await _too_large().response()(scope, receive, send)


def _too_large() -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too-large",
        f"a body may have {MAX_BODY_BYTES} bytes at most",
    )
