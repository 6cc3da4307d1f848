"""Counts and times the requests that the operator sends to the API server, kopf's among them."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Final

import aiohttp
from yarl import URL

from reactorsync_operator.metrics import API_REQUESTS, API_SECONDS

NO_ANSWER: Final = "none"
"""Instead of a status code, where there was none."""

_APPLY: Final = "application/apply-patch+yaml"
_GROUPS: Final = ("/api/", "/apis/")
"""What the paths of resources begin with: the version follows, or group and version."""

_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def counting() -> aiohttp.TraceConfig:
    """Return what makes a session count its requests; of a watch, the time until it begins."""
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(_begun)
    trace.on_request_end.append(_answered)
    trace.on_request_exception.append(_failed)
    trace.freeze()
    return trace


def kind_of(url: URL) -> str:
    """Return what a request is about: ``leases``, ``reactors/status``, ``discovery``."""
    about = _about(url)
    if not about:
        return "discovery"
    return f"{about[0]}/{about[2]}" if len(about) > 2 else about[0]


def verb_of(method: str, url: URL, content_type: str = "") -> str:
    """Return the verb of a request, as roles name it; ``apply`` for server-side apply."""
    if method != "GET":
        return "apply" if content_type == _APPLY else _VERBS.get(method, method.lower())
    if "watch" in url.query:
        return "watch"
    is_collection = len(_about(url)) == 1 and url.path.startswith(_GROUPS)
    return "list" if is_collection else "get"


def _about(url: URL) -> list[str]:
    """Return resource, name and subresource, as many of them as the path has."""
    root, *parts = url.path.strip("/").split("/")
    if f"/{root}/" not in _GROUPS:
        return [root]
    about = parts[1:] if root == "api" else parts[2:]
    return about[2:] if len(about) > 2 and about[0] == "namespaces" else about


async def _begun(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    request: aiohttp.TraceRequestStartParams,
) -> None:
    context.begun_at = time.monotonic()
    context.verb = verb_of(request.method, request.url, request.headers.get("Content-Type", ""))


async def _answered(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    request: aiohttp.TraceRequestEndParams,
) -> None:
    _count(context, request.url, str(request.response.status))


async def _failed(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    request: aiohttp.TraceRequestExceptionParams,
) -> None:
    _count(context, request.url, NO_ANSWER)


def _count(context: SimpleNamespace, url: URL, code: str) -> None:
    API_REQUESTS.labels(context.verb, kind_of(url), code).inc()
    API_SECONDS.labels(context.verb).observe(time.monotonic() - context.begun_at)
