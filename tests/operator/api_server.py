"""An API server of the two kinds, in so far as watches go: it may forget, fall silent and hang.

Names are unique over its namespaces, of which it may close some.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import kmock as kmocks
from kmock._internal.rendering import Response

from reactorsync.kube import Cluster

JsonObject = dict[str, Any]
ROOT = "/apis/reactorsync.dev/v1alpha1"
PLURALS = {"Reactor": "reactors", "AnomalyScenario": "anomalyscenarios"}
NAMESPACES = ("default", "east")


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
        self.closed: set[str] = set()
        self.namespaces: dict[str, tuple[int, JsonObject]] = {}
        self.lists: dict[str, int] = {"reactors": 0, "anomalyscenarios": 0}
        self.begun: dict[str, int] = {"reactors": 0, "anomalyscenarios": 0}
        self.is_deaf = False
        self.unwatchable = False
        self.forgotten: set[str] = set()
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
        for namespace in NAMESPACES:
            mock[f"get /api/v1/namespaces/{namespace}"] << self._namespace(namespace)
        for plural in PLURALS.values():
            mock[f"get {ROOT}/{plural}"] << self._answer(plural)
            for namespace in NAMESPACES:
                path = f"{ROOT}/namespaces/{namespace}/{plural}"
                mock[f"get {path}"] << self._answer(plural, namespace)

    def _namespace(self, name: str) -> Any:
        async def answer(_request: kmocks.Request) -> Any:
            status, payload = self.namespaces.get(name, (200, {"kind": "Namespace"}))
            return Response(status=status, payload=payload)

        return answer

    def _answer(self, plural: str, namespace: str | None = None) -> Any:
        async def answer(request: kmocks.Request) -> Any:
            await self.answers.wait()
            if namespace is not None and namespace in self.closed:
                return Response(status=403, payload=_forbidden(namespace))
            if self.unwatchable and "watch" in request.params:
                return Response(status=403, payload=_forbidden(namespace or "all"))
            # The mock goes on with the last status that it was given.
            return Response(status=200, payload=open_answer(request))

        def open_answer(request: kmocks.Request) -> Any:
            if "watch" not in request.params:
                self.lists[plural] += 1
                return {
                    "metadata": {"resourceVersion": str(self.version)},
                    "items": [
                        one for one in self.objects[plural].values() if _is_in(namespace, one)
                    ],
                }
            if plural in self.forgotten:
                self.forgotten.discard(plural)
                return _expired()
            self.begun[plural] += 1
            return self._watch(plural, namespace, since=int(request.params["resourceVersion"]))

        return answer

    async def _watch(
        self, plural: str, namespace: str | None, *, since: int
    ) -> AsyncIterator[JsonObject]:
        told: asyncio.Queue[JsonObject | None] = asyncio.Queue()
        self.watches[plural].append(told)
        try:
            # The mock sends the head of its answer with the first event, a real server at once.
            yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(since)}}}
            for one in self.objects[plural].values():
                is_newer = int(one["metadata"]["resourceVersion"]) > since
                if is_newer and _is_in(namespace, one):
                    yield {"type": "MODIFIED", "object": one}
            while (event := await told.get()) is not None:
                await self.answers.wait()
                if _is_in(namespace, event["object"]):
                    yield event
        finally:
            self.watches[plural].remove(told)

    def put(
        self, kind: str, name: str, spec: JsonObject, *, namespace: str = "default"
    ) -> JsonObject:
        """Create or replace an object."""
        plural = PLURALS[kind]
        known = self.objects[plural].get(name)
        self.version += 1
        one = {
            "apiVersion": "reactorsync.dev/v1alpha1",
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": known["metadata"]["uid"] if known else str(uuid4()),
                "resourceVersion": str(self.version),
                "creationTimestamp": "2026-06-01T12:00:00Z",
                "generation": 1,
            },
            "spec": spec,
        }
        self.objects[plural][name] = one
        self._tell(plural, {"type": "MODIFIED" if known else "ADDED", "object": one})
        return one

    def reactor(
        self, name: str, power_permille: int = 1000, *, namespace: str = "default"
    ) -> JsonObject:
        """Create or replace a reactor."""
        spec = {"design": "Candu6", "powerSetpointPermille": power_permille}
        return self.put("Reactor", name, spec, namespace=namespace)

    def terminate(self, kind: str, name: str) -> None:
        """Delete an object that somebody's finalizer keeps."""
        plural = PLURALS[kind]
        self.version += 1
        known = self.objects[plural][name]
        metadata = {
            **known["metadata"],
            "resourceVersion": str(self.version),
            "deletionTimestamp": "2026-06-01T12:00:00Z",
            "finalizers": ["example.org/kept"],
        }
        self.objects[plural][name] = {**known, "metadata": metadata}
        self._tell(plural, {"type": "MODIFIED", "object": self.objects[plural][name]})

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

    def forget(self) -> None:
        """End all watches, and know no more what they have missed by when they come back."""
        self.forgotten = set(PLURALS.values())
        self.drop_watches()

    def drop_watches(self) -> None:
        """End all watches, as a server does that restarts."""
        for watches in self.watches.values():
            for told in list(watches):
                told.put_nowait(None)

    def _tell(self, plural: str, event: JsonObject) -> None:
        if not self.is_deaf:
            for told in self.watches[plural]:
                told.put_nowait(event)


async def _expired() -> AsyncIterator[JsonObject]:
    yield {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}


def _is_in(namespace: str | None, one: JsonObject) -> bool:
    return namespace is None or one["metadata"].get("namespace", namespace) == namespace


def _forbidden(namespace: str) -> JsonObject:
    message = f'reactors is forbidden: cannot list in the namespace "{namespace}"'
    return {"kind": "Status", "code": 403, "reason": "Forbidden", "message": message}


def _resource(kind: str, plural: str) -> JsonObject:
    return {
        "name": plural,
        "kind": kind,
        "singularName": kind.lower(),
        "namespaced": kind in PLURALS,
        "verbs": ["list", "watch", "patch"],
    }
