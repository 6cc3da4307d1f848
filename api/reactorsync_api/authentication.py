"""The bearer token, where one is configured."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import cast

from fastapi import WebSocket, WebSocketException
from starlette.requests import HTTPConnection

from reactorsync_api.context import Context
from reactorsync_api.problems import ProblemError

_POLICY_VIOLATION = 1008


async def require_token(connection: HTTPConnection) -> None:
    """Refuse a request or socket that does not carry the configured token.

    A browser cannot set a header on a WebSocket: there the token may come as the query parameter
    ``token``.
    """
    context = cast("Context", connection.app.state.context)
    expected = context.settings.api_token
    if expected is None:
        return
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        given = connection.query_params.get("token", "") if _is_socket(connection) else ""
    if secrets.compare_digest(given.encode(), expected.get_secret_value().encode()):
        return
    if _is_socket(connection):
        raise WebSocketException(_POLICY_VIOLATION, "a valid token is needed")
    raise ProblemError(
        HTTPStatus.UNAUTHORIZED,
        "unauthorized",
        "send `Authorization: Bearer <token>`",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _is_socket(connection: HTTPConnection) -> bool:
    return isinstance(connection, WebSocket) or connection.scope["type"] == "websocket"
