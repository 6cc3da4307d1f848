"""The API as typed calls. Errors are :class:`Refused` or :class:`ServerUnreachable`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from reactorsync.resources import AnomalyScenario, Reactor, Resource
from reactorsync_local.errors import Refused, ServerUnreachable
from reactorsync_local.kinds import REACTORS, SCENARIOS, KindInfo, kind_of
from reactorsync_local.server import Server

_PAGE: Final = 1000
_ANSWER_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 3.0
_API: Final = "/api/v1"

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects to list; selectors are in kubectl's form, no namespace means all of them."""

    namespace: str | None = None
    labels: str = ""
    fields: str = ""
    sort: str = "name"


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects and the version of the store that they show."""

    items: Sequence[Resource]
    resource_version: str


class LatestReading(BaseModel):
    """The newest reading of a reactor that is stored; a signal without a reading is absent."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    reactor: str
    time: datetime
    trip_cause: str | None
    values: dict[str, float]


class ApiClient:
    """One connection to a server; use it as an asynchronous context.

    A server that is silent for ``answer_seconds`` counts as unreachable.
    """

    def __init__(self, server: Server, *, answer_seconds: float = _ANSWER_SECONDS) -> None:
        self.server = server
        self._http = httpx.AsyncClient(
            base_url=server.url,
            headers=server.headers,
            timeout=httpx.Timeout(answer_seconds, connect=min(answer_seconds, _CONNECT_SECONDS)),
            trust_env=not server.is_loopback,
            # Plain HTTP needs no certificates, and reading them takes a fifth of a second.
            verify=server.url.startswith("https:"),
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._http.aclose()

    async def reactors(self, selection: Selection | None = None) -> Sequence[Reactor]:
        """Return all reactors that match."""
        listing = await self.list(REACTORS, selection)
        return [item for item in listing.items if isinstance(item, Reactor)]

    async def scenarios(self, selection: Selection | None = None) -> Sequence[AnomalyScenario]:
        """Return all scenarios that match."""
        listing = await self.list(SCENARIOS, selection)
        return [item for item in listing.items if isinstance(item, AnomalyScenario)]

    async def list(self, kind: KindInfo, selection: Selection | None = None) -> Listing:
        """Return all objects that match, page by page."""
        selection = selection or Selection()
        parameters = {
            "labelSelector": selection.labels,
            "fieldSelector": selection.fields,
            "sort": selection.sort,
            "limit": str(_PAGE),
            "cursor": "",
        }
        if selection.namespace is not None:
            parameters["namespace"] = selection.namespace
        items: list[Resource] = []
        while True:
            answer = await self._request("GET", f"{_API}/{kind.collection}", params=parameters)
            page = self._json(answer)
            items += [self._parse(kind.model, item) for item in page["items"]]
            parameters["cursor"] = page["nextCursor"]
            if not page["nextCursor"]:
                return Listing(items, str(page["resourceVersion"]))

    async def get(self, kind: KindInfo, namespace: str, name: str) -> Resource:
        """Return one object."""
        path = f"{_API}/{kind.collection}/{namespace}/{name}"
        return self._parse(kind.model, self._json(await self._request("GET", path)))

    async def find(self, kind: KindInfo, namespace: str, name: str) -> Resource | None:
        """Return one object, ``None`` when there is none."""
        try:
            return await self.get(kind, namespace, name)
        except Refused as refused:
            if refused.kind == "not-found":
                return None
            raise

    async def create(self, resource: Resource) -> Resource:
        """Create an object."""
        kind = kind_of(resource)
        path = f"{_API}/{kind.collection}"
        answer = await self._request("POST", path, json=_body(resource))
        return self._parse(kind.model, self._json(answer))

    async def replace(self, resource: Resource) -> Resource:
        """Replace spec, labels and annotations; with a resource version, only of that version."""
        kind = kind_of(resource)
        meta = resource.metadata
        path = f"{_API}/{kind.collection}/{meta.namespace}/{meta.name}"
        answer = await self._request("PUT", path, json=_body(resource))
        return self._parse(kind.model, self._json(answer))

    async def delete(self, kind: KindInfo, namespace: str, name: str) -> Resource:
        """Delete an object and return its last state."""
        path = f"{_API}/{kind.collection}/{namespace}/{name}"
        return self._parse(kind.model, self._json(await self._request("DELETE", path)))

    async def rerun(self, namespace: str, name: str) -> AnomalyScenario:
        """Start a new run of a scenario."""
        return await self._scenario_action(namespace, name, "rerun")

    async def abort(self, namespace: str, name: str) -> AnomalyScenario:
        """Lift a scenario's faults and end its run."""
        return await self._scenario_action(namespace, name, "abort")

    async def latest(self, namespace: str, name: str) -> LatestReading | None:
        """Return the newest stored reading of a reactor, ``None`` before the first."""
        path = f"{_API}/{REACTORS.collection}/{namespace}/{name}/latest"
        try:
            answer = await self._request("GET", path)
        except Refused as refused:
            if refused.kind == "not-found":
                return None
            raise
        return self._parse(LatestReading, self._json(answer))

    @asynccontextmanager
    async def telemetry(
        self, namespace: str, name: str, parameters: dict[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """Open a window of readings as the server encodes it; read it with ``aiter_bytes``."""
        path = f"{_API}/{REACTORS.collection}/{namespace}/{name}/telemetry"
        try:
            async with self._http.stream("GET", path, params=parameters) as answer:
                if answer.is_error:
                    await answer.aread()
                self._check(answer)
                yield answer
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    async def readiness(self) -> dict[str, str]:
        """Return ``ok`` or the problem, by dependency of the API."""
        answer = await self._send("GET", "/readyz")
        if answer.status_code not in {httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE}:
            self._check(answer)
        return {str(name): str(state) for name, state in self._json(answer).items()}

    async def version(self) -> str:
        """Return the release that the server runs."""
        description = self._json(await self._request("GET", f"{_API}/openapi.json"))
        return str(description["info"]["version"])

    async def metrics(self) -> str:
        """Return the API's metrics in Prometheus' text format."""
        return (await self._request("GET", "/metrics")).text

    async def _scenario_action(self, namespace: str, name: str, action: str) -> AnomalyScenario:
        path = f"{_API}/{SCENARIOS.collection}/{namespace}/{name}/{action}"
        return self._parse(AnomalyScenario, self._json(await self._request("POST", path)))

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = await self._send(method, path, **options)
        self._check(answer)
        return answer

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return await self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.HTTPError) -> ServerUnreachable:
        return ServerUnreachable(self.server.url, _reason(error))

    def _check(self, answer: httpx.Response) -> None:
        if answer.is_error:
            raise problem_of(answer)

    def _json(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError as error:
            raise ServerUnreachable(
                self.server.url, "what answers there does not speak JSON: no ReactorSync"
            ) from error

    def _parse(self, model: type[M], document: object) -> M:
        try:
            return model.model_validate(document)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise Refused(
                f"the server sent a {model.__name__} that this command cannot read: "
                f"{where}: {first['msg']}",
                status=200,
                kind="unreadable",
                hint="compare the releases with `reactorsync version`",
            ) from error


def problem_of(answer: httpx.Response) -> Refused:
    """Return an RFC 9457 answer as one line, with the field where it names one."""
    status = answer.status_code
    try:
        problem = answer.json()
        kind = str(problem.get("type", "")).rpartition(":")[2]
        detail = str(problem.get("detail") or problem.get("title") or "")
        errors = [f"{item['pointer']}: {item['detail']}" for item in problem.get("errors", [])]
    except (ValueError, AttributeError, KeyError, TypeError):
        kind, detail, errors = "", "", []
    text = "; ".join(errors) or detail or f"the server answered {status} {answer.reason_phrase}"
    return Refused(text, status=status, kind=kind, hint=_HINTS.get(kind))


_HINTS: Final = {
    "unauthorized": "set REACTORSYNC_API_TOKEN, or REACTORSYNC_API_TOKEN_FILE to a file with it",
    "store-unavailable": "try again; `reactorsync doctor` shows what is away",
}


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return "no answer in time"
    if isinstance(error, httpx.TimeoutException):
        return "the answer took too long"
    text = str(error)
    if "refused" in text or "attempts failed" in text:
        return "connection refused"
    return text or type(error).__name__


def _body(resource: Resource) -> dict[str, Any]:
    """Return what a write sends: the object without its status."""
    document: dict[str, Any] = json.loads(
        resource.model_dump_json(by_alias=True, exclude_none=True)
    )
    document.pop("status", None)
    return document
