"""Requests to an API server: one pool of connections, one field manager, typed failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Self, cast
from uuid import UUID

import aiohttp
from pydantic import JsonValue
from pydantic_core import from_json, to_json

from reactorsync.kube.cluster import Cluster
from reactorsync.kube.errors import ApiError, ApiUnavailable
from reactorsync.kube.session import CONNECT_SECONDS, open_session

JsonObject = dict[str, JsonValue]
"""A JSON object as Python has it."""

INACTIVITY_SECONDS: Final = 70.0
"""A watch that is silent for so long is dead: API servers send a bookmark every minute or so."""

_ATTEMPTS: Final = 5
"""Of a request that the server asks to send again later."""

_LONGEST_PAUSE_SECONDS: Final = 10.0

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_JSON: Final = "application/json"
_MERGE_PATCH: Final = "application/merge-patch+json"
_APPLY: Final = "application/apply-patch+yaml"
"""Server-side apply; every JSON document is YAML."""

_TOO_MANY_REQUESTS: Final = 429
_SERVICE_UNAVAILABLE: Final = 503
_LATER: Final = frozenset({_TOO_MANY_REQUESTS, 502, _SERVICE_UNAVAILABLE, 504})
"""Answers that tell nothing about the request: overload, or nobody behind a proxy."""

_FIRST_ERROR: Final = 400


class KubeClient:
    """Speaks with one API server; paths begin with ``/api`` or ``/apis``.

    All requests raise :class:`ApiError` for an answer that is an error, and :class:`ApiUnavailable`
    when there is none within ``timeout_seconds``, or when the server asks too often to come again
    later: 429 and 503 are honoured as their ``Retry-After`` says, ``_ATTEMPTS`` times. Requests
    share ``connections``; watches have one each besides. ``traces`` see each attempt. Before each
    attempt to change something ``before_change`` is called: what it raises ends the request. Use
    inside one event loop, then close.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        field_manager: str,
        connections: int = 32,
        timeout_seconds: float = 20.0,
        traces: Sequence[aiohttp.TraceConfig] = (),
        before_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.cluster = cluster
        self.connections = connections
        self._field_manager = field_manager
        self._traces = traces
        self._before_change = before_change
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=CONNECT_SECONDS)
        self._requests: aiohttp.ClientSession | None = None
        self._watches: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; requests under way fail."""
        sessions, self._requests, self._watches = (self._requests, self._watches), None, None
        for session in sessions:
            if session is not None:
                await session.close()

    async def get(self, path: str, *, params: Mapping[str, str] = _NOTHING) -> JsonObject:
        """Read an object or a list."""
        return await self._send("GET", path, params=params)

    async def post(self, path: str, body: JsonObject) -> JsonObject:
        """Create an object."""
        return await self._send("POST", path, params=self._managed(), body=body)

    async def put(self, path: str, body: JsonObject) -> JsonObject:
        """Replace an object; ``metadata.resourceVersion`` in it is a precondition."""
        return await self._send("PUT", path, params=self._managed(), body=body)

    async def merge_patch(self, path: str, body: JsonObject) -> JsonObject:
        """Change what ``body`` holds, as RFC 7386 says."""
        return await self._send(
            "PATCH", path, params=self._managed(), body=body, content_type=_MERGE_PATCH
        )

    async def apply(self, path: str, body: JsonObject, *, force: bool = True) -> JsonObject:
        """Apply ``body`` on the server: the field manager then owns just what it holds.

        ``force`` takes over fields that other managers own; without it that is a conflict (409).
        """
        params = self._managed() | {"force": "true" if force else "false"}
        return await self._send("PATCH", path, params=params, body=body, content_type=_APPLY)

    async def delete(
        self, path: str, *, uid: UUID | None = None, resource_version: str | None = None
    ) -> JsonObject:
        """Delete an object, if it is still the one named: otherwise that is a conflict (409)."""
        preconditions: JsonObject = {}
        if uid is not None:
            preconditions["uid"] = str(uid)
        if resource_version is not None:
            preconditions["resourceVersion"] = resource_version
        body: JsonObject = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if preconditions:
            body["preconditions"] = preconditions
        return await self._send("DELETE", path, body=body)

    async def stream(
        self,
        path: str,
        *,
        params: Mapping[str, str],
        inactivity_seconds: float = INACTIVITY_SECONDS,
        opened: Callable[[], None] | None = None,
    ) -> AsyncGenerator[JsonObject]:
        """Yield the JSON documents of an answer that holds one a line: a watch; close it when done.

        ``opened`` is called once the server begins to answer, which may be long before the first
        document. Ends when the server ends it in good order.

        Raises:
            ApiError: the answer is an error; one inside a watch is for the caller to see.
            ApiUnavailable: the connection is lost, or silent for ``inactivity_seconds``.
        """
        if self._watches is None:
            self._watches = open_session(self.cluster, connections=0, traces=self._traces)
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=inactivity_seconds
        )
        try:
            async with self._watches.get(
                self._url(path), params=dict(params), timeout=timeout, allow_redirects=False
            ) as response:
                if response.status >= _FIRST_ERROR:
                    raise _failure(response, await response.read())
                if opened is not None:
                    opened()
                async for line in _lines(response.content.iter_any()):
                    yield _parse(line)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error

    def _managed(self) -> dict[str, str]:
        return {"fieldManager": self._field_manager}

    def _url(self, path: str) -> str:
        return self.cluster.server + path

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] = _NOTHING,
        body: JsonObject | None = None,
        content_type: str = _JSON,
    ) -> JsonObject:
        data = to_json(body) if body is not None else None
        headers = {"Content-Type": content_type} if data is not None else {}
        attempt = 0
        while True:
            attempt += 1
            if method != "GET":
                self._before_change()
            if self._requests is None:
                self._requests = open_session(
                    self.cluster,
                    connections=self.connections,
                    timeout=self._timeout,
                    traces=self._traces,
                )
            try:
                async with self._requests.request(
                    method,
                    self._url(path),
                    params=dict(params),
                    data=data,
                    headers=headers,
                    allow_redirects=False,
                ) as response:
                    answer = await response.read()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise _unavailable(error) from error
            if response.status < _FIRST_ERROR:
                return _parse(answer)
            pause = _pause(response)
            if pause is None or attempt == _ATTEMPTS:
                raise _failure(response, answer)
            await asyncio.sleep(pause)


def _pause(response: aiohttp.ClientResponse) -> float | None:
    """Return after how many seconds the server wants to be asked again; ``None``: it does not."""
    if response.status not in (_TOO_MANY_REQUESTS, _SERVICE_UNAVAILABLE):
        return None
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return min(max(seconds, 0.0), _LONGEST_PAUSE_SECONDS)


def _failure(response: aiohttp.ClientResponse, body: bytes) -> ApiError | ApiUnavailable:
    """Return the error that an answer is."""
    try:
        status = _parse(body)
    except ApiUnavailable:
        # Not from an API server, but from something before it.
        status = {}
    if status.get("kind") != "Status":
        status = {}
    message = str(status.get("message") or response.reason or "no reason given")
    if response.status in _LATER:
        return ApiUnavailable(f"the API server answers {response.status}: {message}")
    return api_error(response.status, status, message=message)


def api_error(code: int, status: Mapping[str, JsonValue], *, message: str = "") -> ApiError:
    """Return a ``metav1.Status`` as the error it stands for."""
    details = status.get("details")
    return ApiError(
        code,
        str(status.get("reason") or ""),
        message or str(status.get("message") or ""),
        details if isinstance(details, dict) else None,
    )


def _unavailable(error: Exception) -> ApiUnavailable:
    if isinstance(error, TimeoutError):
        return ApiUnavailable("the API server did not answer in time")
    lines = str(error).splitlines() or [""]
    return ApiUnavailable(f"the API server cannot be reached: {lines[0] or type(error).__name__}")


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines of a stream; what follows the last line end was cut off, and is dropped."""
    rest = bytearray()
    async for chunk in chunks:
        *complete, last = chunk.split(b"\n")
        for line in complete:
            rest += line
            if rest:
                yield bytes(rest)
            rest = bytearray()
        rest += last


def _parse(document: bytes) -> JsonObject:
    try:
        parsed = from_json(document)
    except ValueError as error:
        raise ApiUnavailable("the API server answers with something that is no JSON") from error
    if not isinstance(parsed, dict):
        raise ApiUnavailable("the API server answers with JSON that is no object")
    return cast("JsonObject", parsed)
