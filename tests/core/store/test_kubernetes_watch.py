"""A watch on an API server that ends it, drops it, forgets, or falls silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import kmock as kmock_
import pytest

from reactorsync.kube import Cluster, JsonObject, KubeClient
from reactorsync.resources import Reactor
from reactorsync.store import (
    Forbidden,
    StoreUnavailable,
    WatchEvent,
    WatchEventType,
    WatchExpired,
)
from reactorsync.store.kubernetes import KubernetesStore
from tests.core.store.samples import reactor, with_setpoint

pytestmark = pytest.mark.kmock(cls=kmock_.RawHandler)
Server = kmock_.RawHandler


def change(version: int, *, type_: str = "MODIFIED", name: str = "bruce-1") -> JsonObject:
    body = reactor("default", name).to_json()
    body["metadata"] = {
        "name": name,
        "namespace": "default",
        "uid": "7a0bbd5c-22a2-4d0e-92f3-6f9fb3b3d0a1",
        "resourceVersion": str(version),
        "managedFields": [{"manager": "kubectl"}],
    }
    return {"type": type_, "object": body}


def bookmark(version: int) -> JsonObject:
    return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}


def failure(code: int, reason: str) -> JsonObject:
    return {
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": reason,
    }


@pytest.fixture
async def store(kmock: Server) -> AsyncIterator[KubernetesStore]:
    cluster = Cluster(str(kmock.url).rstrip("/"))
    async with KubeClient(cluster, field_manager="tests") as client:
        yield KubernetesStore(client, inactivity_seconds=0.4, outage_seconds=0.5)


async def take(
    store: KubernetesStore, number: int, *, since: str = "1"
) -> list[WatchEvent[Reactor]]:
    found: list[WatchEvent[Reactor]] = []
    async with asyncio.timeout(10), aclosing(store.watch(Reactor, since=since)) as events:
        while len(found) < number:
            found.append(await anext(events))
    return found


def versions(events: list[WatchEvent[Reactor]]) -> list[str]:
    return [event.resource_version for event in events]


def asked_since(server: Server) -> list[str]:
    return [request.params["resourceVersion"] for request in server]


async def test_asks_for_bookmarks_and_for_an_end(kmock: Server, store: KubernetesStore) -> None:
    kmock << (change(2),)

    (event,) = await take(store, 1)

    assert event.type is WatchEventType.MODIFIED
    assert event.object is not None
    assert event.object.metadata.name == "bruce-1"
    request = next(iter(kmock))
    assert request.url.path == "/apis/reactorsync.dev/v1alpha1/reactors"
    assert request.params == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "1",
        "timeoutSeconds": "300",
    }


async def test_that_the_server_ends_goes_on_where_it_was(
    kmock: Server, store: KubernetesStore
) -> None:
    kmock[:1] << (change(2), bookmark(5))
    kmock[1:] << (change(6),)

    events = await take(store, 3)

    assert versions(events) == ["2", "5", "6"]
    assert [event.type.value for event in events] == ["MODIFIED", "BOOKMARK", "MODIFIED"]
    assert asked_since(kmock) == ["1", "5"]


async def test_that_is_dropped_goes_on_where_it_was(kmock: Server, store: KubernetesStore) -> None:
    kmock[:1] << (change(2), b'{"type": "MODI', ConnectionResetError("gone"))
    kmock[1:] << (change(3),)

    assert versions(await take(store, 2)) == ["2", "3"]
    assert asked_since(kmock) == ["1", "2"]


async def test_that_falls_silent_goes_on_where_it_was(
    kmock: Server, store: KubernetesStore
) -> None:
    kmock[:1] << (change(2), lambda: asyncio.sleep(3))
    kmock[1:] << (change(3),)
    clock = asyncio.get_running_loop().time
    begun = clock()

    assert versions(await take(store, 2)) == ["2", "3"]
    assert 0.4 <= clock() - begun < 2.5


async def test_whose_server_stays_away_is_given_up(kmock: Server, store: KubernetesStore) -> None:
    kmock << 503 << failure(503, "ServiceUnavailable")

    with pytest.raises(StoreUnavailable, match="503"):
        await take(store, 1)

    assert len(kmock) > 1


async def test_whose_server_is_soon_back_goes_on(kmock: Server, store: KubernetesStore) -> None:
    kmock[:2] << 500 << failure(500, "InternalError")
    kmock[2:] << (change(2),)

    assert versions(await take(store, 1)) == ["2"]


async def test_from_a_version_that_is_forgotten_expires(
    kmock: Server, store: KubernetesStore
) -> None:
    kmock << 410 << failure(410, "Expired")

    with pytest.raises(WatchExpired, match="Expired"):
        await take(store, 1)


async def test_whose_version_is_forgotten_meanwhile_expires(
    kmock: Server, store: KubernetesStore
) -> None:
    kmock << ({"type": "ERROR", "object": failure(410, "Expired")},)

    with pytest.raises(WatchExpired, match="Expired"):
        await take(store, 1)


async def test_from_another_stores_version_expires(kmock: Server, store: KubernetesStore) -> None:
    with pytest.raises(WatchExpired, match="not of this store"):
        await take(store, 1, since="v1:17")

    assert len(kmock) == 0


async def test_without_the_right_is_forbidden(kmock: Server, store: KubernetesStore) -> None:
    kmock << 403 << failure(403, "Forbidden")

    with pytest.raises(Forbidden, match="watch of Reactor"):
        await take(store, 1)


async def test_passes_over_what_cannot_be_read(kmock: Server, store: KubernetesStore) -> None:
    strange = change(2)
    strange["object"]["spec"] = {"design": "Perpetuum"}  # type: ignore[index,call-overload]
    kmock << (strange, change(3))

    events = await take(store, 2)

    assert versions(events) == ["2", "3"]
    assert [event.type.value for event in events] == ["BOOKMARK", "MODIFIED"]


class TestSeveralNamespaces:
    async def test_are_told_of_and_no_other(
        self, kube: KubeClient, kube_namespace: str, other_kubernetes_namespace: str
    ) -> None:
        both = KubernetesStore(kube, namespaces=[kube_namespace, other_kubernetes_namespace])
        everything = KubernetesStore(kube)
        await everything.create(reactor(kube_namespace, "a"))
        listed = await both.list(Reactor)
        assert [item.metadata.name for item in listed.items] == ["a"]

        async with aclosing(both.watch(Reactor, since=listed.resource_version)) as events:
            b = await everything.create(reactor(other_kubernetes_namespace, "b"))
            c = await everything.create(reactor(kube_namespace, "c"))
            await everything.replace(with_setpoint(b, 700))
            seen: dict[str, Reactor] = {}
            reached = []
            async with asyncio.timeout(10):
                while set(seen) != {"b", "c"} or seen["b"].spec.power_setpoint_permille != 700:
                    event = await anext(events)
                    reached.append(int(event.resource_version))
                    if event.object is not None and event.object.metadata.name != "a":
                        seen[event.object.metadata.name] = event.object

        assert seen["c"] == c
        assert reached == sorted(reached)

    async def test_a_watch_goes_on_from_what_all_have_reached(
        self, kube: KubeClient, kube_namespace: str, other_kubernetes_namespace: str
    ) -> None:
        both = KubernetesStore(kube, namespaces=[kube_namespace, other_kubernetes_namespace])
        since = (await both.list(Reactor)).resource_version
        await both.create(reactor(kube_namespace, "a"))
        await both.create(reactor(other_kubernetes_namespace, "b"))

        async with asyncio.timeout(10), aclosing(both.watch(Reactor, since=since)) as events:
            first = await anext(events)
        assert first.object is not None

        seen = {first.object.metadata.name}
        async with (
            asyncio.timeout(10),
            aclosing(both.watch(Reactor, since=first.resource_version)) as events,
        ):
            while seen != {"a", "b"}:
                event = await anext(events)
                if event.object is not None:
                    seen.add(event.object.metadata.name)

    async def test_one_that_fails_fails_the_watch(
        self, kmock: Server, store: KubernetesStore
    ) -> None:
        (
            kmock["get /apis/reactorsync.dev/v1alpha1/namespaces/bad/reactors"]
            << 410
            << failure(410, "Expired")
        )
        kmock << (bookmark(2), lambda: asyncio.sleep(0.3))
        store = KubernetesStore(store._client, namespaces=["bad", "good"])

        with pytest.raises(WatchExpired):
            await take(store, 5)
