"""When the API server last said anything on each watch, bookmarks included."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Final

import aiohttp

from reactorsync_operator.edge.sieve import Known, SievedList, SievedWatch

_OK: Final = 200
_FORBIDDEN: Final = 403


@dataclass(frozen=True, slots=True)
class Followed:
    """What is known of the objects at one path: which, as they are told, and how many there are."""

    knows: Known
    count: Callable[[], int]


class WatchStreams:
    """Follows the watches of one HTTP session. ``clock`` returns monotonic seconds.

    A watch framework keeps bookmarks to itself, and a dead connection says nothing at all: only
    the bytes that arrive tell one from a quiet cluster. ``begun`` is called when a watch begins
    after a list that was without something known: nobody will tell what of that was deleted.
    """

    def __init__(self, clock: Callable[[], float], *, begun: Callable[[], None]) -> None:
        self._clock = clock
        self._begun = begun
        self._heard_at: dict[str, float] = {}
        self._followed: dict[str, Followed] = {}
        self._streams: dict[str, tuple[aiohttp.StreamReader, int]] = {}
        self._found: dict[str, int] = {}
        self._lacking: set[str] = set()
        self._forbidden: set[str] = set()

    def expect(self, paths: Mapping[str, Followed]) -> None:
        """Reckon with a watch of each path: its age counts from now.

        Objects that are known are left out of what is listed and watched there.
        """
        now = self._clock()
        for path, followed in paths.items():
            self._heard_at.setdefault(path, now)
            self._followed[path] = followed

    def forget(self, paths: Collection[str]) -> None:
        """Reckon with a watch of these paths no longer."""
        for path in paths:
            self._heard_at.pop(path, None)
            self._streams.pop(path, None)
            self._lacking.discard(path)
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
        """Return for how many seconds nothing has come on the watch of a path.

        0 where none is reckoned with: nobody waits for it to say anything.
        """
        self._look(path)
        now = self._clock()
        return now - self._heard_at.get(path, now)

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
        content, knows = request.response.content, self._followed[path].knows
        if "watch" not in request.url.query:
            if "continue" not in request.url.query:
                self._found[path] = 0
            self._lacking.add(path)
            request.response.content = SievedList(content, knows, partial(self._sieved, path))
            return
        self._forbidden.discard(path)
        self._streams[path] = (content, content.total_bytes)
        request.response.content = SievedWatch(content, knows, clock=self._clock)
        if path in self._lacking:
            self._lacking.discard(path)
            self._begun()

    def _sieved(self, path: str, known: int, is_last: bool) -> None:
        """Note how many known objects a page held: all of them, and the list lacks none."""
        self._found[path] += known
        if is_last and self._found[path] == self._followed[path].count():
            self._lacking.discard(path)
