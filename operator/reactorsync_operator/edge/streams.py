"""When the API server last said anything on each watch, bookmarks included."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Final

import aiohttp

_OK: Final = 200


class WatchStreams:
    """Follows the watches of one HTTP session. ``clock`` returns monotonic seconds.

    A watch framework keeps bookmarks to itself, and a dead connection says nothing at all: only
    the bytes that arrive tell one from a quiet cluster. ``begun`` is called when a watch begins
    after a list, which is when deletions may have been missed.
    """

    def __init__(self, clock: Callable[[], float], *, begun: Callable[[], None]) -> None:
        self._clock = clock
        self._begun = begun
        self._heard_at: dict[str, float] = {}
        self._streams: dict[str, tuple[aiohttp.StreamReader, int]] = {}
        self._listed: set[str] = set()

    def expect(self, paths: Iterable[str]) -> None:
        """Reckon with a watch of each path: its age counts from now."""
        now = self._clock()
        for path in paths:
            self._heard_at.setdefault(path, now)

    def is_begun(self, path: str) -> bool:
        """Return whether a watch of the path has ever begun."""
        return path in self._streams

    def follow(self, session: aiohttp.ClientSession) -> None:
        """Follow the watches that will be made in a session."""
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._answered)
        trace.freeze()
        session.trace_configs.append(trace)

    def age(self, path: str) -> float:
        """Return for how many seconds nothing has come on the watch of a path."""
        self._look(path)
        return self._clock() - self._heard_at[path]

    def _look(self, path: str) -> None:
        if path not in self._streams:
            return
        stream, read = self._streams[path]
        if stream.total_bytes != read:
            self._streams[path] = (stream, stream.total_bytes)
            self._heard_at[path] = self._clock()

    async def _answered(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        request: aiohttp.TraceRequestEndParams,
    ) -> None:
        path = request.url.path
        if path not in self._heard_at or request.response.status != _OK:
            return
        self._heard_at[path] = self._clock()
        if "watch" not in request.url.query:
            self._listed.add(path)
            return
        self._streams[path] = (request.response.content, request.response.content.total_bytes)
        if path in self._listed:
            self._listed.discard(path)
            self._begun()
