"""Keeps from kopf what is known already: mostly the echo of the operator's own writes.

Each object that kopf lists or watches costs it a task and a third of a millisecond before it calls
anybody, and a watch repeats every status that was written. What is left out here costs a tenth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp
from aiohttp.base_protocol import BaseProtocol
from pydantic_core import from_json, to_json

Known = Callable[[Mapping[str, Any]], bool]
"""Whether an object is known as it is here, or newer."""

HAND_ON_SECONDS: Final = 1.0
"""How often something known is handed on all the same: kopf continues a lost watch from the last
version that it has seen, and takes a watch without events for a dead one."""

_SIEVED_TYPES: Final = frozenset({"ADDED", "MODIFIED"})
_BUFFER_BYTES: Final = 2**16


class _Sieved(aiohttp.StreamReader):
    """Reads from another stream."""

    def __init__(self, source: aiohttp.StreamReader) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(BaseProtocol(loop), _BUFFER_BYTES, loop=loop)
        self._source = source


class SievedWatch(_Sieved):
    """The events of a watch, one a line, without those that tell what is ``known``."""

    def __init__(
        self, source: aiohttp.StreamReader, known: Known, *, clock: Callable[[], float]
    ) -> None:
        super().__init__(source)
        self._known = known
        self._clock = clock
        self._handed_on_at = clock()
        self._rest = b""

    async def read(self, n: int = -1) -> bytes:
        """Return whole lines, as many as came at once; nothing at the end."""
        while chunk := await self._source.read(n):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            if kept := [line for line in lines if self._is_kept(line)]:
                return b"\n".join([*kept, b""])
        return b""

    def _is_kept(self, line: bytes) -> bool:
        try:
            event = from_json(line)
            is_left_out = event["type"] in _SIEVED_TYPES and self._known(event["object"])
        except (ValueError, KeyError, TypeError):
            # Whoever reads it will say what is wrong with it.
            return True
        now = self._clock()
        if is_left_out and now - self._handed_on_at < HAND_ON_SECONDS:
            return False
        self._handed_on_at = now
        return True


class SievedList(_Sieved):
    """One page of a list, without the objects that are ``known`` as they are in it.

    ``sieved`` is called with how many those are, and whether this is the last page.
    """

    def __init__(
        self, source: aiohttp.StreamReader, known: Known, sieved: Callable[[int, bool], None]
    ) -> None:
        super().__init__(source)
        self._known = known
        self._sieved = sieved

    async def read(self, n: int = -1) -> bytes:
        """Return the whole page."""
        page = await self._source.read(n)
        try:
            document = from_json(page)
            listed = document["items"]
            document["items"] = [one for one in listed if not self._known(one)]
            is_last = not document["metadata"].get("continue")
        except (ValueError, KeyError, TypeError):
            return page
        self._sieved(len(listed) - len(document["items"]), is_last)
        return to_json(document)
