"""An API server of the two kinds, in so far as watches go: it may forget, fall silent and hang."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import kmock as kmocks

from reactorsync.kube import Cluster

JsonObject = dict[str, Any]
ROOT = "/apis/reactorsync.dev/v1alpha1"
PLURALS = {"Reactor": "reactors", "AnomalyScenario": "anomalyscenarios"}


class ApiServer:
    """Keeps objects in memory and tells watches of them, unless it was told not to."""

    def __init__(self, mock: kmocks.RawHandler) -> None:
        self.mock = mock
        self.cluster = Cluster(server=str(mock.url).rstrip("/"))
        self.version = 100
        self.objects: dict[str, dict[str, JsonObject]] = {"reactors": {}, "anomalyscenarios": {}}
        self.watches: dict[str, list[asyncio.Queue[JsonObject | None]]] = {
            "reactors": [],
            "anomalyscenarios": [],
        }
        self.lists: dict[str, int] = {"reactors": 0, "anomalyscenarios": 0}
        self.begun: dict[str, int] = {"reactors": 0, "anomalyscenarios": 0}
        self.is_deaf = False
        self.expired = False
        self.answers = asyncio.Event()
        self.answers.set()
        mock["get /api"] << {"versions": ["v1"]}
        group = {"groupVersion": "reactorsync.dev/v1alpha1", "version": "v1alpha1"}
        groups = [{"name": "reactorsync.dev", "preferredVersion": group, "versions": [group]}]
        mock["get /apis"] << {"groups": groups}
        mock["get /api/v1"] << {"resources": [_resource("Namespace", "namespaces")]}
        mock[f"get {ROOT}"] << {
            "resources": [_resource(kind, plural) for kind, plural in PLURALS.items()]
        }
        for plural in PLURALS.values():
            mock[f"get {ROOT}/{plural}"] << self._answer(plural)

    def _answer(self, plural: str) -> Any:
        async def answer(request: kmocks.Request) -> Any:
            await self.answers.wait()
            if "watch" not in request.params:
                self.lists[plural] += 1
                return {
                    "metadata": {"resourceVersion": str(self.version)},
                    "items": list(self.objects[plural].values()),
                }
            if self.expired:
                self.expired = False
                return {
                    "type": "ERROR",
                    "object": {"kind": "Status", "code": 410, "reason": "Expired"},
                }
            self.begun[plural] += 1
            return self._watch(plural, since=int(request.params["resourceVersion"]))

        return answer

    async def _watch(self, plural: str, *, since: int) -> AsyncIterator[JsonObject]:
        told: asyncio.Queue[JsonObject | None] = asyncio.Queue()
        self.watches[plural].append(told)
        try:
            # The mock sends the head of its answer with the first event, a real server at once.
            yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(since)}}}
            for one in self.objects[plural].values():
                if int(one["metadata"]["resourceVersion"]) > since:
                    yield {"type": "MODIFIED", "object": one}
            while (event := await told.get()) is not None:
                await self.answers.wait()
                yield event
        finally:
            self.watches[plural].remove(told)

    def put(self, kind: str, name: str, spec: JsonObject) -> JsonObject:
        """Create or replace an object."""
        plural = PLURALS[kind]
        known = self.objects[plural].get(name)
        self.version += 1
        one = {
            "apiVersion": "reactorsync.dev/v1alpha1",
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": "default",
                "uid": known["metadata"]["uid"] if known else str(uuid4()),
                "resourceVersion": str(self.version),
                "generation": 1,
            },
            "spec": spec,
        }
        self.objects[plural][name] = one
        self._tell(plural, {"type": "MODIFIED" if known else "ADDED", "object": one})
        return one

    def reactor(self, name: str, power_permille: int = 1000) -> JsonObject:
        """Create or replace a reactor."""
        spec = {"design": "Candu6", "powerSetpointPermille": power_permille}
        return self.put("Reactor", name, spec)

    def remove(self, kind: str, name: str) -> None:
        """Delete an object."""
        plural = PLURALS[kind]
        self.version += 1
        gone = self.objects[plural].pop(name)
        gone = {
            **gone,
            "metadata": {**gone["metadata"], "resourceVersion": str(self.version)},
        }
        self._tell(plural, {"type": "DELETED", "object": gone})

    def bookmark(self) -> None:
        """Give all watches a sign of life."""
        for plural, kind in (("reactors", "Reactor"), ("anomalyscenarios", "AnomalyScenario")):
            metadata = {"resourceVersion": str(self.version)}
            for told in self.watches[plural]:
                told.put_nowait(
                    {"type": "BOOKMARK", "object": {"kind": kind, "metadata": metadata}}
                )

    def drop_watches(self) -> None:
        """End all watches, as a server does that restarts."""
        for watches in self.watches.values():
            for told in list(watches):
                told.put_nowait(None)

    def _tell(self, plural: str, event: JsonObject) -> None:
        if not self.is_deaf:
            for told in self.watches[plural]:
                told.put_nowait(event)


def _resource(kind: str, plural: str) -> JsonObject:
    return {
        "name": plural,
        "kind": kind,
        "singularName": kind.lower(),
        "namespaced": kind in PLURALS,
        "verbs": ["list", "watch", "patch"],
    }
