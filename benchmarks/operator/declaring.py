"""Objects by the thousand, and when their statuses say what."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from reactorsync.designs import Design
from reactorsync.kube import ApiError, ApiUnavailable, KubeClient
from tests.cluster_installation import ClusterInstallation, condition_of
from tests.clusters import JsonObject

CREATING = 16
"""Requests under way while objects are declared."""


def unit(number: int) -> str:
    """Return the name of a reactor."""
    return f"unit-{number}"


async def declare(
    installation: ClusterInstallation, reactors: int, *, interval_milliseconds: int
) -> None:
    """Create reactors of all designs in turn."""
    designs = list(Design)
    numbers = iter(range(reactors))

    async def create() -> None:
        for number in numbers:
            manifest: JsonObject = {
                "apiVersion": "reactorsync.dev/v1alpha1",
                "kind": "Reactor",
                "metadata": {"name": unit(number)},
                "spec": {
                    "design": str(designs[number % len(designs)]),
                    "telemetry": {"intervalMilliseconds": interval_milliseconds},
                },
            }
            await installation.kube.post(installation.path("Reactor"), manifest)

    await asyncio.gather(*(create() for _ in range(CREATING)))


@dataclass
class Statuses:
    """The newest state of every object of a kind, and when it was first seen, by a watch."""

    documents: dict[str, JsonObject] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    modified: int = 0
    """Changes seen since the watch began."""
    unseen: set[str] = field(default_factory=set)
    """Objects that changed since whoever waits has last looked."""

    def take(self, document: JsonObject) -> None:
        """Take an object over."""
        self.keep(document)
        self.modified += 1
        self.unseen.add(document["metadata"]["name"])
        self.changed.set()

    def keep(self, document: JsonObject) -> None:
        """Remember an object without its managed fields, which are the larger part of it."""
        document["metadata"].pop("managedFields", None)
        self.documents[document["metadata"]["name"]] = document

    def count(self, holds: Callable[[JsonObject], bool]) -> int:
        """Return for how many objects something holds."""
        return sum(map(holds, self.documents.values()))

    async def until(
        self, holds: Callable[[JsonObject], bool], *, names: Sequence[str], seconds: float
    ) -> float:
        """Wait until something holds for the named objects; return when, in monotonic seconds.

        One caller at a time: each change is looked at once, or the waiting would take up what is
        measured. Raises ``TimeoutError`` with how many are missing.
        """
        missing = set(names)
        deadline = time.monotonic() + seconds
        self.unseen = set(missing)
        while True:
            for name in self.unseen & missing:
                if (document := self.documents.get(name)) is not None and holds(document):
                    missing.discard(name)
            self.unseen.clear()
            if not missing:
                return time.monotonic()
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                one = min(missing)
                status = json.dumps(self.documents.get(one, {}).get("status"))
                raise TimeoutError(
                    f"{len(missing)} of {len(names)} not within {seconds:g} s; {one}: {status}"
                ) from None


@asynccontextmanager
async def watched(installation: ClusterInstallation, kind: str) -> AsyncIterator[Statuses]:
    """The objects of a kind, kept current while the context lasts."""
    statuses = Statuses()
    path = installation.path(kind)
    listed: JsonObject = await installation.kube.get(path)
    for document in listed["items"]:
        statuses.keep(document)
    following = asyncio.create_task(
        _follow(installation.kube, path, listed["metadata"]["resourceVersion"], statuses)
    )
    try:
        yield statuses
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _follow(kube: KubeClient, path: str, version: str, statuses: Statuses) -> None:
    while True:
        params = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        try:
            async for line in kube.stream(path, params=params):
                event: JsonObject = line
                document = event["object"]
                if event["type"] == "ERROR":
                    raise RuntimeError(f"the watch of the benchmark broke: {document}")
                version = document["metadata"]["resourceVersion"]
                if event["type"] in ("ADDED", "MODIFIED"):
                    statuses.take(document)
        except (ApiError, ApiUnavailable):
            await asyncio.sleep(0.2)


def is_ready(document: JsonObject) -> bool:
    """Whether a reactor is ready for its present spec."""
    status = document.get("status", {})
    return (
        condition_of(document, "Ready").get("status") == "True"
        and status.get("observedGeneration") == document["metadata"]["generation"]
    )


async def edit(installation: ClusterInstallation, name: str) -> Callable[[JsonObject], bool]:
    """Change a reactor's spec where the plant does not feel it.

    Returns whether a status answers that change, as a function of the object.
    """
    edited: JsonObject = await installation.kube.merge_patch(
        installation.path("Reactor", name),
        {"spec": {"site": {"name": f"Site at {time.time_ns()}"}}},
    )
    generation = edited["metadata"]["generation"]

    def answers(document: JsonObject) -> bool:
        return bool(document.get("status", {}).get("observedGeneration", 0) >= generation)

    return answers


def says(type_: str, status: str = "True") -> Callable[[JsonObject], bool]:
    """Return whether a condition has a status, as a function of the object."""
    return lambda document: condition_of(document, type_).get("status") == status


def names(count: int) -> Iterator[str]:
    """Yield the names of the first reactors."""
    return map(unit, range(count))
