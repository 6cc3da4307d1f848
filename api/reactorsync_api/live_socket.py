"""The ``/ws`` protocol: hello, subscribe, telemetry; JSON text frames.

Client to server: ``{"subscribe": {"reactors": ["default/cernavoda-1"], "signals": [...]}}``;
without ``reactors`` the whole fleet, without ``signals`` all of them. A new subscription replaces
the old; nothing comes before the first. Server to client: ``hello``, then ``subscribed``, then one
``telemetry`` per shard and tick, each with the number of frames this client was too slow to get
(``skipped``); ``error`` answers a message that cannot be read, such as one that is binary or longer
than :data:`MOST_CHARACTERS`, and leaves all as it was. A client that cannot take a frame in ten
seconds is let go (1013).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

import numpy as np
import orjson
from fastapi import WebSocket, WebSocketDisconnect
from pydantic import Field, ValidationError

from reactorsync.resources.meta import Model
from reactorsync.resources.scenario import SignalName
from reactorsync.signals import SIGNAL_INDEX, SIGNAL_NAMES
from reactorsync.trips import trip_label
from reactorsync.wire.envelope import format_micros
from reactorsync.wire.frame import Frame
from reactorsync_api.live import Feed, LiveHub

PROTOCOL: Final = 1
MOST_CHARACTERS: Final = 2_000_000
"""Of a message: enough for the most reactors with the longest names."""

_SEND_SECONDS = 10.0
_TRY_AGAIN_LATER = 1013


class Subscription(Model):
    """What a client wants to see."""

    reactors: list[str] | None = Field(default=None, max_length=10_000)
    signals: list[SignalName] | None = Field(default=None, min_length=1)


class UnreadableMessage(Exception):
    """A message of the client that cannot be read, and why."""


class ClientMessage(Model):
    """A message of the client."""

    subscribe: Subscription


async def serve_socket(websocket: WebSocket, hub: LiveHub) -> None:
    """Serve one client until it leaves, or cannot take a frame in ten seconds."""
    try:
        await websocket.accept()
        await _send(websocket, {"type": "hello", "protocol": PROTOCOL, "signals": SIGNAL_NAMES})
        with hub.feed() as feed:
            await _talk(websocket, hub, feed)
    except WebSocketDisconnect:
        pass
    except TimeoutError:
        await websocket.close(_TRY_AGAIN_LATER, "too slow")


async def _talk(websocket: WebSocket, hub: LiveHub, feed: Feed) -> None:
    """Listen and speak until either ends, and raise what ended it."""
    view = _View()
    tasks = [
        asyncio.create_task(_listen(websocket, hub, feed, view)),
        asyncio.create_task(_speak(websocket, feed, view)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _View:
    """The current subscription, and what it chooses of a frame."""

    def __init__(self) -> None:
        self.chosen = asyncio.Event()
        self.change(Subscription())
        self.chosen.clear()

    def change(self, subscription: Subscription) -> None:
        self.chosen.set()
        self._reactors = None if subscription.reactors is None else set(subscription.reactors)
        self._signals = subscription.signals or list(SIGNAL_NAMES)
        self._rows = np.array([SIGNAL_INDEX[name] for name in self._signals], np.intp)

    def message(self, frame: Frame, skipped: int) -> dict[str, Any] | None:
        """Return the message for ``frame``, ``None`` when it holds nothing asked for."""
        keys = frame.reactors.to_pylist()
        if self._reactors is None:
            chosen = np.arange(len(keys))
        else:
            chosen = np.array([i for i, key in enumerate(keys) if key in self._reactors], np.intp)
        if len(chosen) == 0:
            return None
        return {
            "type": "telemetry",
            "tick": format_micros(frame.tick_us),
            "shard": frame.origin.shard,
            "skipped": skipped,
            "signals": self._signals,
            "reactors": [keys[index] for index in chosen],
            "tripCauses": [trip_label(code) for code in frame.trip_causes[chosen].tolist()],
            "values": np.ascontiguousarray(frame.readings[np.ix_(self._rows, chosen)].T),
        }


async def _listen(websocket: WebSocket, hub: LiveHub, feed: Feed, view: _View) -> None:
    while True:
        try:
            message = _read(await _receive(websocket))
        except UnreadableMessage as error:
            await _send(websocket, {"type": "error", "detail": str(error)})
            continue
        await _send(websocket, {"type": "subscribed"})
        view.change(message.subscribe)
        hub.replay(feed)


async def _receive(websocket: WebSocket) -> str:
    received = await websocket.receive()
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received["code"], received.get("reason"))
    text = received.get("text")
    if text is None:
        raise UnreadableMessage("a message must be text, not binary")
    return cast("str", text)


def _read(text: str) -> ClientMessage:
    if len(text) > MOST_CHARACTERS:
        raise UnreadableMessage(
            f"a message must be at most {MOST_CHARACTERS} characters long, not {len(text)}"
        )
    try:
        return ClientMessage.model_validate_json(text, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnreadableMessage(": ".join(filter(None, (where, first["msg"])))) from error


async def _speak(websocket: WebSocket, feed: Feed, view: _View) -> None:
    await view.chosen.wait()
    while True:
        for frame in await feed.take():
            message = view.message(frame, feed.skipped)
            if message is not None:
                await _send(websocket, message)


async def _send(websocket: WebSocket, message: dict[str, Any]) -> None:
    text = orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    await asyncio.wait_for(websocket.send_text(text), _SEND_SECONDS)
