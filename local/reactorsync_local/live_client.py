"""Live readings over ``/ws``: typed messages, reconnecting by itself."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from reactorsync.service import Backoff
from reactorsync_local.errors import Refused, ServerUnreachable
from reactorsync_local.server import Server

_OPEN_SECONDS = 3.0
_PING_SECONDS = 5.0
"""A server that hangs keeps its sockets open: only a ping without an answer tells."""

_CLOSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LiveReading:
    """One reactor at one tick; a signal without a reading is absent from ``values``."""

    reactor: str
    time: datetime
    trip_cause: str | None
    values: Mapping[str, float]


class LiveClient:
    """A connection whose subscription can be changed while it runs.

    ``reactors`` are ``namespace/name``. ``skipped`` counts frames that this client was too slow
    to get.
    """

    def __init__(self, server: Server, *, reactors: Sequence[str], signals: Sequence[str]) -> None:
        self._server = server
        self._reactors = list(reactors)
        self._signals = list(signals)
        self._connection: ClientConnection | None = None
        self.skipped = 0

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return self._connection is not None

    async def subscribe(self, reactors: Sequence[str]) -> None:
        """Follow other reactors from now on."""
        if list(reactors) == self._reactors:
            return
        self._reactors = list(reactors)
        if self._connection is not None:
            await self._send_subscription(self._connection)

    async def connected(self) -> AsyncIterator[list[LiveReading]]:
        """Yield readings, those of one shard and tick together, until the connection ends.

        Raises:
            ServerUnreachable: there is no connection, or it broke.
            Refused: the server does not take the token, or the subscription.
        """
        try:
            async with connect(
                self._server.websocket_url,
                additional_headers=self._server.headers,
                open_timeout=_OPEN_SECONDS,
                ping_interval=_PING_SECONDS,
                ping_timeout=_PING_SECONDS,
                close_timeout=_CLOSE_SECONDS,
                max_size=None,
                proxy=None if self._server.is_loopback else True,
            ) as connection:
                self._connection = connection
                await self._send_subscription(connection)
                async for text in connection:
                    message = json.loads(text)
                    if message["type"] == "error":
                        raise Refused(str(message["detail"]), status=422, kind="invalid")
                    if message["type"] == "telemetry":
                        self.skipped = int(message["skipped"])
                        yield _readings(message)
        except InvalidStatus as error:
            if error.response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise ServerUnreachable(self._server.url, _reason(error)) from error
            raise self._refusal(error) from error
        except (OSError, TimeoutError, ConnectionClosed, InvalidHandshake) as error:
            raise ServerUnreachable(self._server.url, _reason(error)) from error
        finally:
            self._connection = None

    async def forever(self) -> AsyncIterator[list[LiveReading]]:
        """Yield readings without end, reconnecting with growing pauses; raises only ``Refused``."""
        backoff = Backoff(limit_seconds=5.0)
        while True:
            try:
                async for readings in self.connected():
                    backoff.reset()
                    yield readings
            except ServerUnreachable:
                pass
            await asyncio.sleep(backoff.next_pause())

    async def _send_subscription(self, connection: ClientConnection) -> None:
        subscription: dict[str, list[str]] = {"reactors": self._reactors}
        if self._signals:
            subscription["signals"] = self._signals
        try:
            await connection.send(json.dumps({"subscribe": subscription}))
        except ConnectionClosed:
            return  # the reader of the connection notices too, and says so

    def _refusal(self, error: InvalidStatus) -> Refused:
        status = error.response.status_code
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return Refused(
                "the server does not let this user watch live readings",
                status=status,
                kind="unauthorized",
                hint="set REACTORSYNC_API_TOKEN, or REACTORSYNC_API_TOKEN_FILE",
            )
        return Refused(
            f"the server answered {status} to a live connection", status=status, kind="refused"
        )


def _readings(message: Mapping[str, Any]) -> list[LiveReading]:
    moment = datetime.fromisoformat(message["tick"])
    names: list[str] = message["signals"]
    return [
        LiveReading(
            reactor=reactor,
            time=moment,
            trip_cause=trip_cause,
            values={
                name: float(value)
                for name, value in zip(names, values, strict=True)
                if value is not None and not math.isnan(value)
            },
        )
        for reactor, trip_cause, values in zip(
            message["reactors"], message["tripCauses"], message["values"], strict=True
        )
    ]


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionClosed):
        return "the connection was closed"
    return str(error) or type(error).__name__
