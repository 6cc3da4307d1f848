"""Requests to an API server with all that it answers: code, warnings, causes and tables."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from reactorsync.kube import Cluster, open_session
from reactorsync.kube.credentials import Credential, StaticCredentials

Json = Any

CUSTOM_RESOURCES = "/apis/reactorsync.dev/v1alpha1"
PLURALS = {"Reactor": "reactors", "AnomalyScenario": "anomalyscenarios"}
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    code: int
    body: Json
    warnings: Sequence[str]

    @property
    def message(self) -> str:
        """The text of an error."""
        return str(self.body.get("message", ""))

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Field, empty for the object as a whole, and text of all that is wrong."""
        causes = self.body.get("details", {}).get("causes", [])
        return [
            (cause.get("field", "").replace("<nil>", ""), cause.get("message", ""))
            for cause in causes
        ]


class Asker:
    """One user of an API server."""

    def __init__(self, session: aiohttp.ClientSession, server: str, headers: Mapping[str, str]):
        self._session = session
        self._server = server
        self._headers = headers

    def as_user(self, name: str) -> "Asker":
        """Return the same connection, as another user (impersonation)."""
        return Asker(self._session, self._server, {"Impersonate-User": name})

    async def ask(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        **params: str,
    ) -> Answer:
        """Send one request; an error is an answer too."""
        async with self._session.request(
            method,
            f"{self._server}{path}",
            data=None if body is None else json.dumps(body),
            params=params,
            headers={**self._headers, "Content-Type": content_type, "Accept": accept},
        ) as response:
            text = await response.text()
            warnings = response.headers.getall("Warning", [])
            return Answer(response.status, json.loads(text) if text else {}, warnings)

    async def apply(self, path: str, body: Json, *, manager: str, **params: str) -> Answer:
        """Apply on the server."""
        return await self.ask(
            "PATCH", path, body, content_type=APPLY, fieldManager=manager, **params
        )

    async def may(self, verb: str, resource: str, *, namespace: str = "", name: str = "") -> bool:
        """Ask whether this user may; ``resource`` is ``plural.group`` or ``plural/sub.group``."""
        plural, _, group = resource.partition(".")
        plural, _, subresource = plural.partition("/")
        attributes = {
            "verb": verb,
            "group": group,
            "resource": plural,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        answer = await self.ask(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            },
        )
        assert answer.code == 201, answer.body
        return bool(answer.body["status"]["allowed"])


@asynccontextmanager
async def asking(cluster: Cluster, *, token: str | None = None) -> AsyncIterator[Asker]:
    """Ask as the cluster's user, or as whoever has ``token``."""
    if token is not None:
        cluster = replace(cluster, credentials=StaticCredentials(Credential(f"Bearer {token}")))
    async with open_session(cluster, connections=4) as session:
        yield Asker(session, cluster.server, {})


def collection(document: Json, namespace: str) -> str:
    """Return the path of all objects of a custom resource."""
    return f"{CUSTOM_RESOURCES}/namespaces/{namespace}/{PLURALS[document['kind']]}"


def place_of(document: Json) -> str:
    """Return the path of an object of Kubernetes itself."""
    group, _, version = document["apiVersion"].rpartition("/")
    metadata, kind = document["metadata"], document["kind"].lower()
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    parts = [f"/apis/{group}/{version}" if group else f"/api/{version}"]
    if "namespace" in metadata:
        parts.append(f"namespaces/{metadata['namespace']}")
    return "/".join([*parts, plural, metadata["name"]])
