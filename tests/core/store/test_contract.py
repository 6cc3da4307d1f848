"""What every resource store does. Nothing in a test knows which one it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reactorsync.designs import Design
from reactorsync.resources import (
    AnomalyScenario,
    FieldSelector,
    LabelSelector,
    Reactor,
    ReactorStatus,
)
from reactorsync.resources.selector import (
    LabelRequirement,
    SelectorOperator,
    parse_field_selector,
    parse_label_selector,
)
from reactorsync.store import (
    AlreadyExists,
    Conflict,
    Invalid,
    NotFound,
    ResourceStore,
    WatchEvent,
    WatchEventType,
)
from tests.core.store.samples import (
    injected,
    reactor,
    scenario,
    unconditional,
    with_metadata,
    with_power,
    with_setpoint,
)

WITHIN_SECONDS = 10.0


async def names(
    store: ResourceStore,
    namespace: str | None,
    *,
    labels: str = "",
    fields: str = "",
) -> list[str]:
    found = await store.list(
        Reactor,
        namespace=namespace,
        labels=parse_label_selector(labels),
        fields=parse_field_selector(fields),
    )
    return [item.metadata.name for item in found.items]


@asynccontextmanager
async def watching(
    store: ResourceStore, namespace: str, *, since: str
) -> AsyncIterator[AsyncIterator[WatchEvent[Reactor]]]:
    """A watch that ends with the context."""
    events = store.watch(Reactor, since=since, namespace=namespace)
    try:
        yield events
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()


async def next_changes(
    events: AsyncIterator[WatchEvent[Reactor]], number: int
) -> list[WatchEvent[Reactor]]:
    """The next events that are no bookmarks."""
    found: list[WatchEvent[Reactor]] = []
    async with asyncio.timeout(WITHIN_SECONDS):
        while len(found) < number:
            event = await anext(events)
            if event.type is not WatchEventType.BOOKMARK:
                found.append(event)
    return found


def told(event: WatchEvent[Reactor]) -> tuple[str, str]:
    assert event.object is not None
    return event.type.value, event.object.metadata.name


@pytest.fixture(params=["postgres", "kubernetes"])
def control_plane(request: pytest.FixtureRequest) -> str:
    """Where resources live."""
    return str(request.param)


@pytest.fixture
def store(control_plane: str, request: pytest.FixtureRequest) -> ResourceStore:
    found: ResourceStore = request.getfixturevalue(f"{control_plane}_store")
    return found


@pytest.fixture
def namespace(control_plane: str, request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{control_plane}_namespace"))


@pytest.fixture
def other_namespace(control_plane: str, request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"other_{control_plane}_namespace"))


class TestCreate:
    async def test_gives_identity_and_first_generation(
        self, store: ResourceStore, namespace: str
    ) -> None:
        created = await store.create(reactor(namespace))

        assert created.metadata.uid is not None
        assert created.metadata.generation == 1
        assert created.metadata.resource_version
        assert created.metadata.creation_timestamp is not None
        assert created.metadata.deletion_timestamp is None
        assert await store.get(Reactor, namespace, "bruce-1") == created

    async def test_keeps_spec_labels_and_annotations(
        self, store: ResourceStore, namespace: str
    ) -> None:
        wanted = with_metadata(
            reactor(namespace, labels={"site": "Bruce"}, setpoint=800),
            annotations={"note": "Größe ½, 'quoted' \"twice\" 100 %"},
        )

        created = await store.create(wanted)

        assert created.spec == wanted.spec
        assert created.metadata.labels == wanted.metadata.labels
        assert created.metadata.annotations == wanted.metadata.annotations

    async def test_takes_no_status(self, store: ResourceStore, namespace: str) -> None:
        created = await store.create(with_power(reactor(namespace), 900))

        assert created.status == ReactorStatus()

    async def test_refuses_a_name_that_is_taken(self, store: ResourceStore, namespace: str) -> None:
        await store.create(reactor(namespace))

        with pytest.raises(AlreadyExists, match="bruce-1"):
            await store.create(reactor(namespace))

    async def test_names_are_apart_by_kind_and_namespace(
        self, store: ResourceStore, namespace: str, other_namespace: str
    ) -> None:
        await store.create(reactor(namespace, "same"))
        await store.create(scenario(namespace, "same"))
        await store.create(reactor(other_namespace, "same"))

        assert (await store.get(AnomalyScenario, namespace, "same")).kind == "AnomalyScenario"
        assert (await store.get(Reactor, namespace, "same")).kind == "Reactor"

    async def test_of_many_at_once_exactly_one_succeeds(
        self, store: ResourceStore, namespace: str
    ) -> None:
        outcomes = await asyncio.gather(
            *(store.create(reactor(namespace)) for _ in range(20)), return_exceptions=True
        )

        assert sum(isinstance(outcome, Reactor) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 19


class TestGet:
    async def test_says_when_there_is_no_such_object(
        self, store: ResourceStore, namespace: str
    ) -> None:
        await store.create(scenario(namespace, "bruce-1"))

        with pytest.raises(NotFound, match=r"Reactor .*bruce-1"):
            await store.get(Reactor, namespace, "bruce-1")


class TestList:
    async def test_is_ordered_by_name(self, store: ResourceStore, namespace: str) -> None:
        for name in ("b", "a-1", "a1", "a", "a-b"):
            await store.create(reactor(namespace, name))

        assert await names(store, namespace) == sorted(["b", "a-1", "a1", "a", "a-b"])

    async def test_of_nothing_has_a_version(self, store: ResourceStore, namespace: str) -> None:
        found = await store.list(Reactor, namespace=namespace)

        assert found.items == []
        assert found.resource_version

    async def test_of_all_namespaces(
        self, store: ResourceStore, namespace: str, other_namespace: str
    ) -> None:
        await store.create(reactor(namespace, "one"))
        await store.create(reactor(other_namespace, "two"))

        everything = await store.list(Reactor)
        found = [
            (item.metadata.namespace, item.metadata.name)
            for item in everything.items
            if item.metadata.namespace in (namespace, other_namespace)
        ]
        assert found == sorted([(namespace, "one"), (other_namespace, "two")])

    @pytest.mark.parametrize(
        ("selector", "chosen"),
        [
            ("", ["a", "b", "c"]),
            ("site=Bruce", ["a", "b"]),
            ("site=Bruce,unit=1", ["a"]),
            ("site!=Bruce", ["c"]),
            ("site in (Bruce,Cernavoda)", ["a", "b"]),
            ("unit notin (1)", ["b", "c"]),
            ("unit", ["a", "b"]),
            ("!unit", ["c"]),
            ("site=Bruce,unit in (2,3),!retired", ["b"]),
            ("site=", []),
        ],
    )
    async def test_by_labels(
        self, store: ResourceStore, namespace: str, selector: str, chosen: list[str]
    ) -> None:
        await store.create(reactor(namespace, "a", labels={"site": "Bruce", "unit": "1"}))
        await store.create(reactor(namespace, "b", labels={"site": "Bruce", "unit": "2"}))
        await store.create(reactor(namespace, "c"))

        assert await names(store, namespace, labels=selector) == chosen

    @pytest.mark.parametrize(
        ("selector", "chosen"),
        [
            ("spec.design=Candu6", ["a"]),
            ("spec.design!=Candu6", ["b"]),
            ("metadata.name=b", ["b"]),
            ("spec.state=Running,spec.design=Pwr3Loop", ["b"]),
            ("spec.powerSetpointPermille=1000", ["a", "b"]),
            ("spec.seed=", ["a", "b"]),
            ("spec.nothing=x", []),
        ],
    )
    async def test_by_fields(
        self, store: ResourceStore, namespace: str, selector: str, chosen: list[str]
    ) -> None:
        await store.create(reactor(namespace, "a", design=Design.CANDU6))
        await store.create(reactor(namespace, "b", design=Design.PWR_3_LOOP))

        assert await names(store, namespace, fields=selector) == chosen

    async def test_does_not_hold_what_was_deleted(
        self, store: ResourceStore, namespace: str
    ) -> None:
        await store.create(reactor(namespace, "a"))
        await store.create(reactor(namespace, "b"))
        await store.delete(Reactor, namespace, "a")

        assert await names(store, namespace) == ["b"]


class TestReplace:
    async def test_of_the_spec_makes_a_new_generation(
        self, store: ResourceStore, namespace: str
    ) -> None:
        created = await store.create(reactor(namespace))

        replaced = await store.replace(with_setpoint(created, 700))

        assert replaced.spec.power_setpoint_permille == 700
        assert replaced.metadata.generation == 2
        assert replaced.metadata.resource_version != created.metadata.resource_version
        assert replaced.metadata.uid == created.metadata.uid
        assert replaced.metadata.creation_timestamp == created.metadata.creation_timestamp
        assert await store.get(Reactor, namespace, "bruce-1") == replaced

    async def test_of_labels_makes_none(self, store: ResourceStore, namespace: str) -> None:
        created = await store.create(reactor(namespace))

        replaced = await store.replace(with_metadata(created, labels={"unit": "1"}))

        assert replaced.metadata.labels == {"unit": "1"}
        assert replaced.metadata.generation == 1
        assert replaced.metadata.resource_version != created.metadata.resource_version

    async def test_by_the_same_changes_nothing(self, store: ResourceStore, namespace: str) -> None:
        created = await store.create(reactor(namespace))

        assert await store.replace(created) == created
        assert await store.replace(unconditional(created)) == created

    async def test_leaves_the_status_alone(self, store: ResourceStore, namespace: str) -> None:
        created = await store.create(reactor(namespace))
        stored = await store.replace_status(with_power(created, 990))

        replaced = await store.replace(with_setpoint(with_power(stored, 1), 700))

        assert replaced.status.power_permille == 990

    async def test_made_from_an_old_version_is_a_conflict(
        self, store: ResourceStore, namespace: str
    ) -> None:
        created = await store.create(reactor(namespace))
        await store.replace(with_setpoint(created, 700))

        with pytest.raises(Conflict, match="bruce-1"):
            await store.replace(with_setpoint(created, 600))

    async def test_a_status_written_in_between_is_a_conflict_too(
        self, store: ResourceStore, namespace: str
    ) -> None:
        created = await store.create(reactor(namespace))
        await store.replace_status(with_power(created, 990))

        with pytest.raises(Conflict):
            await store.replace(with_setpoint(created, 600))

    async def test_that_names_no_version_wins(self, store: ResourceStore, namespace: str) -> None:
        created = await store.create(reactor(namespace))
        await store.replace(with_setpoint(created, 700))

        replaced = await store.replace(unconditional(with_setpoint(created, 600)))

        assert replaced.spec.power_setpoint_permille == 600
        assert replaced.metadata.generation == 3

    async def test_meant_for_an_object_that_was_recreated_is_a_conflict(
        self, store: ResourceStore, namespace: str
    ) -> None:
        first = await store.create(reactor(namespace))
        await store.delete(Reactor, namespace, "bruce-1")
        await store.create(reactor(namespace))

        with pytest.raises(Conflict):
            await store.replace(unconditional(with_setpoint(first, 700)))

    async def test_of_what_is_not_there(self, store: ResourceStore, namespace: str) -> None:
        with pytest.raises(NotFound):
            await store.replace(reactor(namespace))

    async def test_cannot_change_the_design(self, store: ResourceStore, namespace: str) -> None:
        await store.create(reactor(namespace, design=Design.CANDU6))

        with pytest.raises(Invalid) as refused:
            await store.replace(reactor(namespace, design=Design.PWR_3_LOOP))

        assert refused.value.field == "spec.design"

    async def test_cannot_change_the_stages_of_an_injected_run(
        self, store: ResourceStore, namespace: str
    ) -> None:
        created = await store.create(scenario(namespace, severity=100))
        await store.replace_status(injected(created))

        with pytest.raises(Invalid) as refused:
            await store.replace(scenario(namespace, severity=50))

        assert refused.value.field == "spec.stages"


class TestReplaceStatus:
    async def test_touches_nothing_else(self, store: ResourceStore, namespace: str) -> None:
        created = await store.create(reactor(namespace, labels={"unit": "1"}))
        changed = with_power(with_metadata(with_setpoint(created, 200), labels={}), 990)

        stored = await store.replace_status(changed)

        assert stored.status.power_permille == 990
        assert stored.spec == created.spec
        assert stored.metadata.labels == {"unit": "1"}
        assert stored.metadata.generation == 1
        assert stored.metadata.resource_version != created.metadata.resource_version
        assert await store.get(Reactor, namespace, "bruce-1") == stored

    async def test_by_the_same_changes_nothing(self, store: ResourceStore, namespace: str) -> None:
        created = await store.create(reactor(namespace))
        assert await store.replace_status(created) == created

        stored = await store.replace_status(with_power(created, 990))
        assert await store.replace_status(stored) == stored

    async def test_made_from_an_old_version_is_a_conflict(
        self, store: ResourceStore, namespace: str
    ) -> None:
        created = await store.create(reactor(namespace))
        await store.replace_status(with_power(created, 990))

        with pytest.raises(Conflict):
            await store.replace_status(with_power(created, 10))

    async def test_of_what_is_not_there(self, store: ResourceStore, namespace: str) -> None:
        with pytest.raises(NotFound):
            await store.replace_status(reactor(namespace))


class TestReplaceStatuses:
    async def test_writes_all_and_answers_in_order(
        self, store: ResourceStore, namespace: str
    ) -> None:
        created = [await store.create(reactor(namespace, f"r-{n}")) for n in (3, 1, 2)]

        written = await store.replace_statuses(
            [with_power(each, 100 + n) for n, each in enumerate(created)]
        )

        assert [each.metadata.name for each in written] == ["r-3", "r-1", "r-2"]
        assert [each.status.power_permille for each in written] == [100, 101, 102]
        listed = await store.list(Reactor, namespace=namespace)
        assert sorted(listed.items, key=_name) == sorted(written, key=_name)

    async def test_leaves_out_what_is_gone_or_has_changed(
        self, store: ResourceStore, namespace: str
    ) -> None:
        gone, changed, recreated, same = [
            await store.create(reactor(namespace, name)) for name in ("g", "c", "r", "s")
        ]
        await store.delete(Reactor, namespace, "g")
        await store.replace(with_setpoint(changed, 700))
        await store.delete(Reactor, namespace, "r")
        await store.create(reactor(namespace, "r"))

        written = await store.replace_statuses(
            [
                with_power(gone, 1),
                with_power(changed, 1),
                with_power(unconditional(recreated), 1),
                with_power(same, 1),
            ]
        )

        assert [each.metadata.name for each in written] == ["s"]
        assert (await store.get(Reactor, namespace, "c")).status.power_permille is None
        assert (await store.get(Reactor, namespace, "r")).status.power_permille is None

    async def test_answers_what_did_not_change_with_its_version(
        self, store: ResourceStore, namespace: str
    ) -> None:
        created = [await store.create(reactor(namespace, name)) for name in ("a", "b")]

        written = await store.replace_statuses([created[0], with_power(created[1], 5)])

        assert written[0] == created[0]
        assert written[1].metadata.resource_version != created[1].metadata.resource_version

    async def test_of_none_is_none(self, store: ResourceStore) -> None:
        empty: list[Reactor] = []
        assert list(await store.replace_statuses(empty)) == []


class TestDelete:
    async def test_answers_with_the_last_state(self, store: ResourceStore, namespace: str) -> None:
        created = await store.create(reactor(namespace))

        deleted = await store.delete(Reactor, namespace, "bruce-1")

        assert deleted.metadata.uid == created.metadata.uid
        assert deleted.spec == created.spec
        with pytest.raises(NotFound):
            await store.get(Reactor, namespace, "bruce-1")

    async def test_of_what_is_not_there(self, store: ResourceStore, namespace: str) -> None:
        await store.create(reactor(namespace))
        await store.delete(Reactor, namespace, "bruce-1")

        with pytest.raises(NotFound):
            await store.delete(Reactor, namespace, "bruce-1")

    async def test_frees_the_name_for_another_object(
        self, store: ResourceStore, namespace: str
    ) -> None:
        first = await store.create(reactor(namespace, design=Design.CANDU6))
        await store.delete(Reactor, namespace, "bruce-1")

        second = await store.create(reactor(namespace, design=Design.PWR_3_LOOP))

        assert second.metadata.uid != first.metadata.uid
        assert second.metadata.generation == 1

    async def test_that_names_an_object_deletes_that_one(
        self, store: ResourceStore, namespace: str
    ) -> None:
        created = await store.create(reactor(namespace))

        deleted = await store.delete(Reactor, namespace, "bruce-1", uid=created.metadata.uid)

        assert deleted.metadata.uid == created.metadata.uid

    async def test_that_names_an_object_spares_another_of_its_name(
        self, store: ResourceStore, namespace: str
    ) -> None:
        first = await store.create(reactor(namespace))
        await store.delete(Reactor, namespace, "bruce-1")
        second = await store.create(reactor(namespace))

        with pytest.raises(Conflict, match="bruce-1"):
            await store.delete(Reactor, namespace, "bruce-1", uid=first.metadata.uid)

        assert await store.get(Reactor, namespace, "bruce-1") == second

    async def test_that_names_a_version_spares_what_was_changed_since(
        self, store: ResourceStore, namespace: str
    ) -> None:
        created = await store.create(reactor(namespace))
        changed = await store.replace(with_setpoint(created, 500))
        read, now = (one.metadata.resource_version for one in (created, changed))

        with pytest.raises(Conflict, match="bruce-1"):
            await store.delete(Reactor, namespace, "bruce-1", resource_version=read)
        assert await store.get(Reactor, namespace, "bruce-1") == changed

        await store.delete(
            Reactor, namespace, "bruce-1", uid=created.metadata.uid, resource_version=now
        )
        with pytest.raises(NotFound):
            await store.get(Reactor, namespace, "bruce-1")

    async def test_has_a_version_that_a_watch_reaches(
        self, store: ResourceStore, namespace: str
    ) -> None:
        await store.create(reactor(namespace))
        since = (await store.list(Reactor, namespace=namespace)).resource_version

        deleted = await store.delete(Reactor, namespace, "bruce-1")

        async with watching(store, namespace, since=since) as events:
            event = (await next_changes(events, 1))[0]
        assert event.type is WatchEventType.DELETED
        assert event.resource_version == deleted.metadata.resource_version


class TestWatch:
    async def test_tells_what_changed_since_a_list(
        self, store: ResourceStore, namespace: str
    ) -> None:
        old = await store.create(reactor(namespace, "old"))
        since = (await store.list(Reactor, namespace=namespace)).resource_version
        await store.create(reactor(namespace, "new"))
        await store.replace(with_setpoint(old, 700))

        async with watching(store, namespace, since=since) as events:
            assert [told(event) for event in await next_changes(events, 2)] == [
                ("ADDED", "new"),
                ("MODIFIED", "old"),
            ]

    async def test_tells_at_once_what_changes_while_it_waits(
        self, store: ResourceStore, namespace: str
    ) -> None:
        since = (await store.list(Reactor, namespace=namespace)).resource_version
        async with watching(store, namespace, since=since) as events:
            created = await store.create(reactor(namespace))
            assert (await next_changes(events, 1))[0].object == created

            stored = await store.replace_status(with_power(created, 990))
            assert (await next_changes(events, 1))[0].object == stored

            replaced = await store.replace(with_setpoint(stored, 700))
            assert (await next_changes(events, 1))[0].object == replaced

            await store.delete(Reactor, namespace, "bruce-1")
            assert told((await next_changes(events, 1))[0]) == ("DELETED", "bruce-1")

    async def test_an_event_has_the_version_of_its_object(
        self, store: ResourceStore, namespace: str
    ) -> None:
        since = (await store.list(Reactor, namespace=namespace)).resource_version
        created = await store.create(reactor(namespace))

        async with watching(store, namespace, since=since) as events:
            event = (await next_changes(events, 1))[0]

        assert event.resource_version == created.metadata.resource_version

    async def test_tells_of_its_kind_and_namespace_only(
        self, store: ResourceStore, namespace: str, other_namespace: str
    ) -> None:
        since = (await store.list(Reactor, namespace=namespace)).resource_version
        async with watching(store, namespace, since=since) as events:
            await store.create(scenario(namespace))
            await store.create(reactor(other_namespace, "elsewhere"))
            await store.create(reactor(namespace, "here"))

            assert told((await next_changes(events, 1))[0]) == ("ADDED", "here")

    async def test_tells_a_recreated_object_from_the_one_before(
        self, store: ResourceStore, namespace: str
    ) -> None:
        first = await store.create(reactor(namespace))
        since = (await store.list(Reactor, namespace=namespace)).resource_version
        await store.delete(Reactor, namespace, "bruce-1")
        second = await store.create(reactor(namespace))

        async with watching(store, namespace, since=since) as events:
            gone, come = await next_changes(events, 2)

        assert gone.type is WatchEventType.DELETED
        assert gone.object is not None
        assert gone.object.metadata.uid == first.metadata.uid
        assert come.type is WatchEventType.ADDED
        assert come.object == second

    async def test_that_is_slow_sees_the_last_state(
        self, store: ResourceStore, namespace: str
    ) -> None:
        current = await store.create(reactor(namespace))
        since = (await store.list(Reactor, namespace=namespace)).resource_version
        async with watching(store, namespace, since=since) as events:
            current = await store.replace(with_setpoint(current, 300))
            await next_changes(events, 1)
            for permille in range(301, 341):
                current = await store.replace(with_setpoint(current, permille))

            seen = None
            while seen != current:
                seen = (await next_changes(events, 1))[0].object

    async def test_that_was_killed_goes_on_where_it_was(
        self, store: ResourceStore, namespace: str
    ) -> None:
        for name in ("a", "b", "c"):
            await store.create(reactor(namespace, name))
        listed = await store.list(Reactor, namespace=namespace)
        copy = {item.metadata.name: item for item in listed.items}
        since = listed.resource_version

        async with watching(store, namespace, since=since) as events:
            await store.replace(with_setpoint(copy["a"], 700))
            event = (await next_changes(events, 1))[0]
            assert event.object is not None
            copy[event.object.metadata.name] = event.object
            since = event.resource_version
        await store.replace(with_setpoint(copy["b"], 600))
        await store.delete(Reactor, namespace, "c")
        await store.create(reactor(namespace, "d"))

        async with watching(store, namespace, since=since) as events:
            for event in await next_changes(events, 3):
                assert event.object is not None
                if event.type is WatchEventType.DELETED:
                    del copy[event.object.metadata.name]
                else:
                    copy[event.object.metadata.name] = event.object

        listed = await store.list(Reactor, namespace=namespace)
        assert sorted(copy.values(), key=_name) == listed.items

    async def test_misses_nothing_that_many_writers_do(
        self, store: ResourceStore, namespace: str
    ) -> None:
        since = (await store.list(Reactor, namespace=namespace)).resource_version
        copy: dict[str, Reactor] = {}

        async def follow() -> None:
            async with watching(store, namespace, since=since) as events:
                async for event in events:
                    if event.object is None:
                        continue
                    if event.type is WatchEventType.DELETED:
                        copy.pop(event.object.metadata.name, None)
                    else:
                        copy[event.object.metadata.name] = event.object
                    if event.object.metadata.name == "end":
                        return

        async def write(task: int) -> None:
            for number in range(5):
                current = await store.create(reactor(namespace, f"r-{task}-{number}"))
                current = await store.replace_status(with_power(current, number))
                await store.replace(with_setpoint(current, 500 + number))
                if number % 2:
                    await store.delete(Reactor, namespace, current.metadata.name)

        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(follow())
            async with asyncio.TaskGroup() as writers:
                for task in range(20):
                    writers.create_task(write(task))
            await store.create(reactor(namespace, "end"))

        listed = await store.list(Reactor, namespace=namespace)
        assert len(listed.items) == 20 * 3 + 1
        assert sorted(copy.values(), key=_name) == listed.items


class TestConcurrency:
    async def test_twenty_writers_never_lose_an_update(
        self, store: ResourceStore, namespace: str
    ) -> None:
        await store.create(with_metadata(reactor(namespace), annotations={"count": "0"}))
        conflicts = 0

        async def increment() -> None:
            nonlocal conflicts
            while True:
                read = await store.get(Reactor, namespace, "bruce-1")
                number = int(read.metadata.annotations["count"]) + 1
                try:
                    await store.replace(with_metadata(read, annotations={"count": str(number)}))
                except Conflict:
                    conflicts += 1
                else:
                    return

        async def increment_three_times() -> None:
            for _ in range(3):
                await increment()

        await asyncio.gather(*(increment_three_times() for _ in range(20)))

        final = await store.get(Reactor, namespace, "bruce-1")
        assert final.metadata.annotations["count"] == "60"
        assert conflicts > 0

    async def test_spec_and_status_written_at_once_are_both_kept(
        self, store: ResourceStore, namespace: str
    ) -> None:
        created = unconditional(await store.create(reactor(namespace)))

        await asyncio.gather(
            *(store.replace(with_setpoint(created, 500 + n)) for n in range(10)),
            *(store.replace_status(with_power(created, 100 + n)) for n in range(10)),
        )

        final = await store.get(Reactor, namespace, "bruce-1")
        assert final.metadata.generation == 11
        assert final.spec.power_setpoint_permille in range(500, 510)
        assert final.status.power_permille in range(100, 110)


_keys = st.sampled_from(["site", "unit", "reactorsync.dev/design"])
_values = st.sampled_from(["", "1", "Bruce", "bruce"])
_labels = st.dictionaries(_keys, _values)
_requirements = st.one_of(
    st.builds(
        LabelRequirement,
        key=_keys,
        operator=st.sampled_from([SelectorOperator.IN, SelectorOperator.NOT_IN]),
        values=st.lists(_values, min_size=1, max_size=3),
    ),
    st.builds(
        LabelRequirement,
        key=_keys,
        operator=st.sampled_from([SelectorOperator.EXISTS, SelectorOperator.DOES_NOT_EXIST]),
        values=st.just([]),
    ),
)
_label_selectors = st.builds(
    LabelSelector,
    match_labels=_labels,
    match_expressions=st.lists(_requirements, max_size=3),
)
_paths = st.sampled_from(
    [
        "kind",
        "metadata.name",
        "metadata.labels.site",
        "metadata.generation",
        "spec.design",
        "spec.powerSetpointPermille",
        "spec.telemetry.noise",
        "spec.telemetry.nothing.below",
        "spec.site.name",
        "status.observedGeneration",
        "status.conditions.0.type",
    ]
)
_texts = st.sampled_from(["", "1", "0", "Candu6", "Nominal", "a", "Reactor", "1000", "Bruce"])
_field_selectors = st.builds(
    FieldSelector,
    equal=st.dictionaries(_paths, _texts, max_size=2),
    unequal=st.dictionaries(_paths, _texts, max_size=2),
)
_EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


async def _some_fleet(store: ResourceStore, namespace: str) -> list[Reactor]:
    found = await store.list(Reactor, namespace=namespace)
    if found.items:
        return list(found.items)
    sets: list[dict[str, str]] = [
        {},
        {"site": ""},
        {"site": "Bruce"},
        {"site": "bruce", "unit": "1"},
        {"unit": "1", "reactorsync.dev/design": "Bruce"},
        {"site": "1", "unit": "", "reactorsync.dev/design": ""},
    ]
    return [
        await store.create(
            reactor(namespace, name, labels=labels, design=design, setpoint=setpoint)
        )
        for name, labels, design, setpoint in zip(
            "abcdef", sets, [*Design] * 3, [1000, 900] * 3, strict=True
        )
    ]


@_EXAMPLES
@given(selector=_label_selectors)
async def test_label_selectors_mean_what_the_model_says(
    store: ResourceStore, namespace: str, selector: LabelSelector
) -> None:
    fleet = await _some_fleet(store, namespace)

    found = await store.list(Reactor, namespace=namespace, labels=selector)

    assert found.items == [each for each in fleet if selector.matches(each.metadata.labels)]


@_EXAMPLES
@given(selector=_field_selectors)
async def test_field_selectors_mean_what_the_model_says(
    store: ResourceStore, namespace: str, selector: FieldSelector
) -> None:
    fleet = await _some_fleet(store, namespace)

    found = await store.list(Reactor, namespace=namespace, fields=selector)

    assert found.items == [each for each in fleet if selector.matches(each.to_json())]


def _name(resource: Reactor) -> str:
    return resource.metadata.name
