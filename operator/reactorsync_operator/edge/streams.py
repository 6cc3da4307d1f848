"""When the API server last said anything on each watch, bookmarks included."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import SimpleNamespace
from typing import Final

import aiohttp

from reactorsync_operator.edge.sieve import Known, SievedList, SievedWatch

_OK: Final = 200
_FORBIDDEN: Final = 403


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
        self._known: dict[str, Known] = {}
        self._streams: dict[str, tuple[aiohttp.StreamReader, int]] = {}
        self._listed: set[str] = set()
        self._forbidden: set[str] = set()

    def expect(self, paths: Mapping[str, Known]) -> None:
        """Reckon with a watch of each path: its age counts from now.

        Objects that are known are left out of what is listed and watched there.
        """
        now = self._clock()
        for path, known in paths.items():
            self._heard_at.setdefault(path, now)
            self._known[path] = known

    def forget(self, paths: Collection[str]) -> None:
        """Reckon with a watch of these paths no longer."""
        for path in paths:
            self._heard_at.pop(path, None)
            self._streams.pop(path, None)
            self._listed.discard(path)
            self._forbidden.discard(path)

    def is_forbidden(self, path: str) -> bool:
        """Return whether the API server does not let us watch there, as it last answered."""
        return path in self._forbidden

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
        if path not in self._heard_at:
            return
        if "watch" in request.url.query and request.response.status == _FORBIDDEN:
            self._forbidden.add(path)
        if request.response.status != _OK:
            return
        self._heard_at[path] = self._clock()
        content = request.response.content
        if "watch" not in request.url.query:
            self._listed.add(path)
            request.response.content = SievedList(content, self._known[path])
            return
        self._forbidden.discard(path)
        self._streams[path] = (content, content.total_bytes)
        request.response.content = SievedWatch(content, self._known[path], clock=self._clock)
        if path in self._listed:
            self._listed.discard(path)
            self._begun()
