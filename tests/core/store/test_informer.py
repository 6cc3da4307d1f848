"""A local copy of one kind, over a real store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from reactorsync.resources import Reactor
from reactorsync.service import Readiness
from reactorsync.store import StoreUnavailable, Unreadable
from reactorsync.store.follow import follow
from reactorsync.store.informer import Informer
from reactorsync.store.postgres import PostgresStore
from tests.core.store.samples import reactor, with_setpoint

DEPENDENCY = "informer-reactor"


@pytest.fixture
def store(engine: AsyncEngine) -> PostgresStore:
    return PostgresStore(engine, resync_seconds=0.2)


@asynccontextmanager
async def informed(store: PostgresStore, readiness: Readiness) -> AsyncIterator[Informer[Reactor]]:
    informer = Informer(store, Reactor, readiness)
    stopping = asyncio.Event()
    task = asyncio.create_task(informer.run(stopping))
    yield informer
    stopping.set()
    await asyncio.wait_for(task, 5)


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def spoil(engine: AsyncEngine, stored: Reactor) -> None:
    """Make a stored reactor one that the rules do not allow, as an earlier release might have."""
    async with engine.begin() as connection:
        await connection.execute(
            text("""UPDATE resource SET spec = '{"design": "Rbmk1000"}' WHERE uid = :uid"""),
            {"uid": stored.metadata.uid},
        )


async def test_it_shows_what_is_there_and_what_becomes_of_it(
    store: PostgresStore, namespace: str
) -> None:
    bruce = await store.create(reactor(namespace))
    readiness = Readiness()
    async with informed(store, readiness) as informer:
        await eventually(lambda: readiness.ready)
        assert informer.objects[f"{namespace}/bruce-1"] == bruce
        changed = await store.replace(with_setpoint(bruce, 900))
        seen = await informer.wait_for(changed.metadata.resource_version, timeout_seconds=5)
        assert seen
        assert informer.objects[f"{namespace}/bruce-1"] == changed
        gone = await store.delete(Reactor, namespace, "bruce-1")
        assert await informer.wait_for(gone.metadata.resource_version, timeout_seconds=5)
        assert f"{namespace}/bruce-1" not in informer.objects


async def test_while_the_store_is_away_the_copy_stays_and_it_says_so(
    store: PostgresStore, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create(reactor(namespace))
    readiness = Readiness()

    async def refuse(*_: object, **__: object) -> AsyncIterator[None]:
        raise StoreUnavailable("Postgres: connection refused")
        yield

    with monkeypatch.context() as outage:
        outage.setattr(store, "watch", refuse)
        async with informed(store, readiness) as informer:
            await eventually(
                lambda: readiness.report()[DEPENDENCY] == "Postgres: connection refused"
            )
            assert f"{namespace}/bruce-1" in informer.objects


async def test_an_error_that_nobody_thought_of_shows_and_does_not_end_it(
    store: PostgresStore, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.create(reactor(namespace))
    readiness = Readiness()
    problems: list[str] = []
    works = store.list

    async def fail_once(*args: object, **kwargs: object) -> object:
        if not problems:
            problems.append(readiness.report()[DEPENDENCY])
            raise KeyError("surprise")
        problems.append(readiness.report()[DEPENDENCY])
        return await works(Reactor)

    monkeypatch.setattr(store, "list", fail_once)
    async with informed(store, readiness) as informer:
        await eventually(lambda: readiness.ready)
        assert f"{namespace}/bruce-1" in informer.objects
    assert problems[:2] == ["not yet reached", "KeyError: 'surprise'"]


class TestWhatCanNoLongerBeRead:
    async def test_it_is_passed_over_and_named(
        self, store: PostgresStore, engine: AsyncEngine, namespace: str
    ) -> None:
        before = (await store.list(Reactor, namespace=namespace)).resource_version
        await spoil(engine, await store.create(reactor(namespace, "spoilt")))
        good = await store.create(reactor(namespace, "good"))
        found = await store.list(Reactor, namespace=namespace)
        assert list(found.items) == [good]
        assert found.unreadable == {f"{namespace}/spoilt"}
        async with (
            asyncio.timeout(5),
            contextlib.aclosing(store.watch(Reactor, since=before, namespace=namespace)) as events,
        ):
            assert (await anext(events)).object == good
        with pytest.raises(Unreadable, match=rf"Reactor {namespace}/spoilt: spec.design: "):
            await store.get(Reactor, namespace, "spoilt")

    async def test_it_can_be_deleted(
        self, store: PostgresStore, engine: AsyncEngine, namespace: str
    ) -> None:
        await spoil(engine, await store.create(reactor(namespace)))
        with pytest.raises(Unreadable):
            await store.delete(Reactor, namespace, "bruce-1")
        assert not (await store.list(Reactor, namespace=namespace)).unreadable

    async def test_a_view_keeps_it_as_it_was_last_known(
        self, store: PostgresStore, engine: AsyncEngine, namespace: str
    ) -> None:
        spoilt = await store.create(reactor(namespace, "spoilt"))
        view = Listed()
        following = asyncio.create_task(follow(store, Reactor, view, sweep_seconds=0.2))
        await eventually(lambda: view.lists > 0)
        await spoil(engine, spoilt)
        lists = view.lists
        await eventually(lambda: view.lists > lists + 1)
        assert view.objects[f"{namespace}/spoilt"] == spoilt
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


class Listed:
    """A view that counts how often everything was listed."""

    def __init__(self) -> None:
        self.objects: dict[str, Reactor] = {}
        self.lists = 0

    def names(self) -> set[str]:
        return set(self.objects)

    def put(self, resource: Reactor) -> None:
        self.objects[f"{resource.metadata.namespace}/{resource.metadata.name}"] = resource

    def remove(self, name: str) -> None:
        del self.objects[name]

    async def reached(self, version: str) -> None:
        pass

    def listed(self) -> None:
        self.lists += 1

    def failed(self, problem: str) -> None:
        raise AssertionError(problem)
