"""What the Postgres store does beyond the contract: outages, tombstones, order of versions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from reactorsync.db.engine import create_engine
from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.store import (
    AlreadyExists,
    NotFound,
    ResourceStore,
    StoreUnavailable,
    WatchEvent,
    WatchEventType,
    WatchExpired,
)
from reactorsync.store.postgres import PostgresStore
from tests.core.store.conftest import FreshPostgres
from tests.core.store.samples import (
    reactor,
    scenario,
    with_power,
    with_setpoint,
)

NEVER = "postgresql+psycopg://reactorsync:none@127.0.0.1:1/reactorsync"


@pytest.fixture
def store(engine: AsyncEngine) -> PostgresStore:
    return PostgresStore(engine, resync_seconds=0.05)


async def version(store: ResourceStore) -> str:
    return (await store.list(Reactor, namespace="none")).resource_version


async def first_change(
    events: AsyncIterator[WatchEvent[Reactor]], *, within_seconds: float = 10.0
) -> WatchEvent[Reactor]:
    async with asyncio.timeout(within_seconds):
        while (event := await anext(events)).type is WatchEventType.BOOKMARK:
            pass
    return event


async def read_up_to(
    events: AsyncIterator[WatchEvent[Reactor]], reached: str
) -> list[WatchEvent[Reactor]]:
    """All changes until a bookmark says that the watch has reached a version."""
    changes = []
    async with asyncio.timeout(10):
        async for event in events:
            if event.type is not WatchEventType.BOOKMARK:
                changes.append(event)
            elif int(event.resource_version) >= int(reached):
                break
    return changes


class TestVersions:
    async def test_grow_with_every_change_of_whatever_kind(
        self, store: PostgresStore, namespace: str
    ) -> None:
        first = await store.create(reactor(namespace))
        second = await store.create(scenario(namespace))
        third = await store.replace_status(with_power(first, 990))
        fourth = await store.delete(AnomalyScenario, namespace, second.metadata.name)

        versions = [int(each.metadata.resource_version) for each in (first, second, third, fourth)]
        assert versions == sorted(set(versions))
        assert await version(store) == fourth.metadata.resource_version

    async def test_are_not_given_out_while_an_earlier_one_is_uncommitted(
        self, store: PostgresStore, engine: AsyncEngine, namespace: str
    ) -> None:
        since = await version(store)
        async with engine.connect() as earlier:
            await earlier.execute(
                text("UPDATE resource_watermark SET current_version = current_version + 1")
            )
            later = asyncio.create_task(store.create(reactor(namespace)))
            done, _ = await asyncio.wait([later], timeout=0.3)
            assert not done
            assert await version(store) == since

            await earlier.rollback()
        await later


class TestWatch:
    async def test_sends_bookmarks_that_keep_up_with_other_kinds(
        self, store: PostgresStore, namespace: str
    ) -> None:
        since = await version(store)
        created = await store.create(scenario(namespace))

        async with aclosing(store.watch(Reactor, since=since, namespace=namespace)) as events:
            assert await read_up_to(events, created.metadata.resource_version) == []

    async def test_does_not_mention_what_came_and_went_unseen(
        self, store: PostgresStore, namespace: str
    ) -> None:
        since = await version(store)
        await store.create(reactor(namespace, "brief"))
        await store.delete(Reactor, namespace, "brief")
        await store.create(reactor(namespace, "lasting"))

        async with aclosing(store.watch(Reactor, since=since, namespace=namespace)) as events:
            changes = await read_up_to(events, await version(store))

        assert [_told(change) for change in changes] == [("ADDED", "lasting")]

    async def test_shows_many_steps_as_one(self, store: PostgresStore, namespace: str) -> None:
        since = await version(store)
        current = await store.create(reactor(namespace))
        for permille in (300, 400, 500):
            current = await store.replace(with_setpoint(current, permille))

        async with aclosing(store.watch(Reactor, since=since, namespace=namespace)) as events:
            changes = await read_up_to(events, await version(store))

        assert [change.object for change in changes] == [current]
        assert changes[0].type is WatchEventType.ADDED

    async def test_from_zero_tells_of_everything_there_is(
        self, store: PostgresStore, engine: AsyncEngine, namespace: str
    ) -> None:
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE resource_watermark SET trimmed_version = 0"))
        await store.create(reactor(namespace))

        async with aclosing(store.watch(Reactor, since="0", namespace=namespace)) as events:
            assert _told(await first_change(events)) == ("ADDED", "bruce-1")

    async def test_asks_again_when_no_notification_comes(
        self, store: PostgresStore, engine: AsyncEngine, namespace: str
    ) -> None:
        created = await store.create(reactor(namespace))
        since = await version(store)
        async with aclosing(store.watch(Reactor, since=since, namespace=namespace)) as events:
            await anext(events)
            async with engine.begin() as connection:
                await connection.execute(
                    text(
                        "WITH turn AS (UPDATE resource_watermark SET current_version = "
                        "current_version + 1 RETURNING current_version) "
                        "UPDATE resource SET resource_version = current_version, "
                        'labels = \'{"by": "hand"}\' FROM turn WHERE uid = :uid'
                    ),
                    {"uid": created.metadata.uid},
                )

            event = await first_change(events)

        assert event.object is not None
        assert event.object.metadata.labels == {"by": "hand"}

    async def test_is_told_at_once_and_not_at_the_next_resync(
        self, engine: AsyncEngine, namespace: str
    ) -> None:
        store = PostgresStore(engine, resync_seconds=60)
        since = await version(store)
        async with aclosing(store.watch(Reactor, since=since, namespace=namespace)) as events:
            reading = asyncio.create_task(first_change(events))
            await asyncio.sleep(0.3)
            await store.create(reactor(namespace))

            async with asyncio.timeout(2):
                assert _told(await reading) == ("ADDED", "bruce-1")

    async def test_reads_more_than_one_page(
        self, store: PostgresStore, engine: AsyncEngine, namespace: str
    ) -> None:
        since = await version(store)
        await store.create(reactor(namespace, "r-0"))
        async with engine.begin() as connection:
            await connection.execute(
                text(
                    "WITH turn AS (UPDATE resource_watermark SET current_version = "
                    "current_version + 1200 RETURNING current_version - 1200 AS base) "
                    "INSERT INTO resource SELECT gen_random_uuid(), kind, namespace, 'r-' || n, "
                    "generation, base + n, base + n, labels, annotations, spec, status "
                    "FROM resource, turn, generate_series(1, 1200) n WHERE namespace = :namespace"
                ),
                {"namespace": namespace},
            )

        async with aclosing(store.watch(Reactor, since=since, namespace=namespace)) as events:
            changes = await read_up_to(events, await version(store))

        assert [_told(change) for change in changes] == [("ADDED", f"r-{n}") for n in range(1201)]

    async def test_gives_its_connection_back_when_it_is_closed(
        self, store: PostgresStore, engine: AsyncEngine, namespace: str
    ) -> None:
        async def listeners() -> int:
            async with engine.connect() as connection:
                found = await connection.scalar(
                    text(
                        "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                        "AND datname = current_database() AND application_name = 'test'"
                    )
                )
                return int(found or 0)

        before = await listeners()
        async with aclosing(
            store.watch(Reactor, since=await version(store), namespace=namespace)
        ) as events:
            await anext(events)
            assert await listeners() == before + 1
        for _ in range(50):
            if await listeners() == before:
                return
            await asyncio.sleep(0.02)
        pytest.fail("the connection of the watch is still open")


class TestTombstones:
    async def test_are_kept_for_an_hour(self, store: PostgresStore, namespace: str) -> None:
        await store.create(reactor(namespace))
        since = await version(store)
        await store.delete(Reactor, namespace, "bruce-1")
        await store.trim_tombstones()

        async with aclosing(store.watch(Reactor, since=since, namespace=namespace)) as events:
            assert _told(await first_change(events)) == ("DELETED", "bruce-1")

    async def test_once_trimmed_expire_the_watches_that_missed_them(
        self, store: PostgresStore, namespace: str
    ) -> None:
        await store.create(reactor(namespace))
        since = await version(store)
        await store.delete(Reactor, namespace, "bruce-1")
        await store.trim_tombstones(kept=timedelta(0))

        with pytest.raises(WatchExpired, match="too old"):
            await anext(store.watch(Reactor, since=since))

    async def test_once_trimmed_leave_the_others_alone(
        self, store: PostgresStore, namespace: str
    ) -> None:
        await store.create(reactor(namespace, "a"))
        await store.delete(Reactor, namespace, "a")
        since = await version(store)
        async with aclosing(store.watch(Reactor, since=since, namespace=namespace)) as events:
            await anext(events)
            await store.trim_tombstones(kept=timedelta(0))
            await store.create(reactor(namespace, "b"))

            assert _told(await first_change(events)) == ("ADDED", "b")
        assert await version(store) > since

    async def test_that_are_old_go_when_something_is_deleted(
        self, store: PostgresStore, engine: AsyncEngine, namespace: str
    ) -> None:
        await store.create(reactor(namespace, "old"))
        await store.create(reactor(namespace, "new"))
        await PostgresStore(engine).delete(Reactor, namespace, "old")
        async with engine.begin() as connection:
            await connection.execute(
                text(
                    "UPDATE resource SET deleted_at = now() - interval '61 min' WHERE name = 'old'"
                )
            )

        await PostgresStore(engine).delete(Reactor, namespace, "new")

        async with engine.connect() as connection:
            left = await connection.scalars(
                text("SELECT name FROM resource WHERE namespace = :namespace"),
                {"namespace": namespace},
            )
            assert left.all() == ["new"]


class TestForeignVersions:
    async def test_a_version_the_store_has_not_reached_expires(self, store: PostgresStore) -> None:
        ahead = str(int(await version(store)) + 1000)

        with pytest.raises(WatchExpired, match="not of this store"):
            await anext(store.watch(Reactor, since=ahead))

    @pytest.mark.parametrize("since", ["", "latest", "1.5"])
    async def test_what_is_no_version_expires(self, store: PostgresStore, since: str) -> None:
        with pytest.raises(WatchExpired, match="not of this store"):
            await anext(store.watch(Reactor, since=since))


class TestOutage:
    @pytest.mark.parametrize(
        "ask",
        [
            lambda store: store.ping(),
            lambda store: store.list(Reactor),
            lambda store: store.get(Reactor, "default", "a"),
            lambda store: store.create(reactor("default")),
            lambda store: store.replace(reactor("default")),
            lambda store: store.replace_status(reactor("default")),
            lambda store: store.replace_statuses([reactor("default")]),
            lambda store: store.delete(Reactor, "default", "a"),
            lambda store: anext(store.watch(Reactor, since="0")),
        ],
        ids=[
            "ping",
            "list",
            "get",
            "create",
            "replace",
            "replace-status",
            "replace-statuses",
            "delete",
            "watch",
        ],
    )
    async def test_is_told_by_every_operation(
        self, ask: Callable[[PostgresStore], Awaitable[object]]
    ) -> None:
        engine = create_engine(NEVER, application_name="test")

        with pytest.raises(StoreUnavailable, match="Postgres: ") as told:
            await ask(PostgresStore(engine, outage_seconds=0.2))

        assert "\n" not in str(told.value)
        await engine.dispose()

    async def test_a_turn_that_does_not_come_is_told(
        self, engine: AsyncEngine, module_database_url: str
    ) -> None:
        impatient = create_engine(
            module_database_url, application_name="test", statement_timeout_seconds=0.2
        )
        async with engine.connect() as connection:
            await connection.execute(text("UPDATE resource_watermark SET id = 1"))

            with pytest.raises(StoreUnavailable, match="statement timeout"):
                await PostgresStore(impatient).create(reactor("default", "waits"))

            await connection.rollback()
        await impatient.dispose()

    async def test_a_pool_without_a_free_connection_is_told(self, module_database_url: str) -> None:
        narrow = create_async_engine(
            module_database_url, pool_size=1, max_overflow=0, pool_timeout=0.1
        )
        async with narrow.connect():
            with pytest.raises(StoreUnavailable):
                await PostgresStore(narrow).ping()
        await narrow.dispose()

    async def test_of_a_watchs_connection_costs_no_event(
        self, store: PostgresStore, engine: AsyncEngine, namespace: str
    ) -> None:
        since = await version(store)
        async with aclosing(store.watch(Reactor, since=since, namespace=namespace)) as events:
            for number in range(3):
                await anext(events)
                async with engine.begin() as connection:
                    await connection.execute(
                        text(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            "WHERE datname = current_database() AND query LIKE '%resource%' "
                            "AND pid <> pg_backend_pid()"
                        )
                    )
                await _create_in_the_end(store, reactor(namespace, f"r-{number}"))

                assert _told(await first_change(events)) == ("ADDED", f"r-{number}")

    async def test_of_postgres_costs_a_watch_no_event(self, fresh_postgres: FreshPostgres) -> None:
        engine = create_engine(fresh_postgres.database_url, application_name="test")
        store = PostgresStore(engine, outage_seconds=60)
        await store.create(reactor("default", "before"))
        since = (await store.list(Reactor)).resource_version
        async with aclosing(store.watch(Reactor, since=since)) as events:
            reading = asyncio.create_task(first_change(events, within_seconds=60))
            await asyncio.sleep(0.2)

            await fresh_postgres.stop()
            with pytest.raises(StoreUnavailable):
                await store.create(reactor("default", "lost"))
            await fresh_postgres.start()
            await _create_in_the_end(store, reactor("default", "after"))

            assert _told(await reading) == ("ADDED", "after")
        await engine.dispose()


async def _create_in_the_end(store: PostgresStore, resource: Reactor) -> None:
    async with asyncio.timeout(20):
        while True:
            with suppress(StoreUnavailable):
                await store.create(resource)
                return
            await asyncio.sleep(0.1)


_NAMES = st.sampled_from(["a", "b", "c"])
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), _NAMES, st.integers(200, 1000)),
        st.tuples(st.just("replace"), _NAMES, st.integers(200, 1000)),
        st.tuples(st.just("status"), _NAMES, st.integers(0, 1000)),
        st.tuples(st.just("delete"), _NAMES, st.just(0)),
        st.tuples(st.just("read"), st.just(""), st.integers(1, 3)),
    ),
    max_size=25,
)


class Copy:
    """What a watcher believes; refuses an event that does not fit what it was told before."""

    def __init__(self) -> None:
        self.objects: dict[str, Reactor] = {}

    def fold(self, event: WatchEvent[Reactor]) -> None:
        if event.object is None:
            return
        name, uid = event.object.metadata.name, event.object.metadata.uid
        known = self.objects.get(name)
        if event.type is WatchEventType.ADDED:
            assert known is None
        else:
            assert known is not None
            assert known.metadata.uid == uid
        if event.type is WatchEventType.DELETED:
            del self.objects[name]
        else:
            self.objects[name] = event.object


async def _take(store: PostgresStore, namespace: str, step: tuple[str, str, int]) -> None:
    action, name, number = step
    with suppress(NotFound, AlreadyExists):
        if action == "create":
            await store.create(reactor(namespace, name, setpoint=number))
        elif action == "replace":
            await store.replace(reactor(namespace, name, setpoint=number))
        elif action == "status":
            await store.replace_status(with_power(reactor(namespace, name), number))
        elif action == "delete":
            await store.delete(Reactor, namespace, name)


_examples = iter(range(1_000_000))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=_STEPS)
async def test_whatever_happens_a_watcher_ends_with_what_a_list_shows(
    store: PostgresStore, namespace: str, steps: list[tuple[str, str, int]]
) -> None:
    own = f"{namespace}-{next(_examples)}"
    copy = Copy()
    async with aclosing(store.watch(Reactor, since=await version(store), namespace=own)) as events:
        for step in steps:
            if step[0] == "read":
                for _ in range(step[2]):
                    copy.fold(await anext(events))
            else:
                await _take(store, own, step)
        for event in await read_up_to(events, await version(store)):
            copy.fold(event)

    listed = await store.list(Reactor, namespace=own)
    assert [copy.objects[name] for name in sorted(copy.objects)] == listed.items


def _told(event: WatchEvent[Reactor]) -> tuple[str, str]:
    assert event.object is not None
    return event.type.value, event.object.metadata.name
