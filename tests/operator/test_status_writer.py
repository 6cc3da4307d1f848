"""Statuses on their way to a real store."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from reactorsync.resources import (
    AnomalyScenario,
    Condition,
    ConditionStatus,
    Kind,
    ObjectMeta,
    Reactor,
    ReactorSpec,
    ReactorStatus,
)
from reactorsync.store import Forbidden, NotFound, StoreUnavailable
from reactorsync.store.port import Failed
from reactorsync.store.postgres import PostgresStore
from reactorsync_operator import patience
from reactorsync_operator.event_body import Subject
from reactorsync_operator.fleet import Fleet, WorkKey
from reactorsync_operator.leadership import NotLeading
from reactorsync_operator.recorder import Recorder
from reactorsync_operator.status_writer import OVERDUE_SECONDS, StatusWriter
from reactorsync_operator.turns import CHANGE_HOLD_SECONDS, FIRST_HOLD_SECONDS

INTERVAL_SECONDS = 0.4


class Surroundings:
    """A fleet, a writer, and what the writer wanted to have planned again."""

    def __init__(
        self,
        store: PostgresStore,
        *,
        writers: int = 1,
        batch: int = 500,
        may_write: Callable[[], bool] = lambda: True,
        all_asked: Callable[[], bool] = lambda: True,
        recorder: Recorder | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.replanned: list[str] = []
        self.fleet = Fleet(shards=2, mark=lambda key: None)
        self.writer = StatusWriter(
            store,
            self.fleet,
            replan=self._replan,
            interval_seconds=INTERVAL_SECONDS,
            clock=clock,
            writers=writers,
            batch=batch,
            may_write=may_write,
            all_asked=all_asked,
            recorder=recorder,
        )

    def _replan(self, key: WorkKey) -> None:
        self.replanned.append(key.name)

    async def add(self, name: str) -> Reactor:
        spec = ReactorSpec.model_validate({"design": "Candu6"})
        stored = await self.store.create(Reactor(metadata=ObjectMeta(name=name), spec=spec))
        self.fleet.put_reactor(stored)
        return stored

    async def stored(self, name: str) -> Reactor:
        return await self.store.get(Reactor, "default", name)

    def known(self, name: str) -> Reactor:
        return self.fleet.reactors[f"default/{name}"]


def with_alarms(stored: Reactor, alarms: int) -> Reactor:
    """The reactor with a status that is easy to recognise."""
    status = stored.status.model_copy(update={"open_alarms": alarms})
    return stored.model_copy(update={"status": status})


@asynccontextmanager
async def writing(writer: StatusWriter) -> AsyncIterator[None]:
    task = asyncio.create_task(writer.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def around(store: PostgresStore) -> AsyncIterator[Surroundings]:
    around = Surroundings(store)
    async with writing(around.writer):
        yield around


async def eventually(condition: Callable[[], bool], *, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_status_is_written_and_taken_in(around: Surroundings) -> None:
    stored = await around.add("bruce-1")
    around.writer.offer(with_alarms(stored, 3))
    await eventually(lambda: around.known("bruce-1").status.open_alarms == 3)
    found = await around.stored("bruce-1")
    assert found.status.open_alarms == 3
    assert found.metadata.generation == 1
    assert around.known("bruce-1") == found


async def test_of_many_offered_quickly_the_last_is_written(around: Surroundings) -> None:
    stored = await around.add("bruce-1")
    for alarms in range(1, 50):
        around.writer.offer(with_alarms(stored, alarms))
    await eventually(lambda: around.known("bruce-1").status.open_alarms > 0)
    assert around.known("bruce-1").status.open_alarms == 49
    written_once = int(stored.metadata.resource_version) + 1
    assert int((await around.stored("bruce-1")).metadata.resource_version) == written_once


async def test_one_object_is_not_written_too_often_unless_it_is_urgent(
    around: Surroundings,
) -> None:
    stored = await around.add("bruce-1")
    around.writer.offer(with_alarms(stored, 1))
    await eventually(lambda: around.known("bruce-1").status.open_alarms == 1)
    began = time.monotonic()
    around.writer.offer(with_alarms(around.known("bruce-1"), 2))
    await eventually(lambda: around.known("bruce-1").status.open_alarms == 2)
    assert time.monotonic() - began > INTERVAL_SECONDS * 0.8
    began = time.monotonic()
    around.writer.offer(with_alarms(around.known("bruce-1"), 3), urgent=True)
    await eventually(lambda: around.known("bruce-1").status.open_alarms == 3)
    assert time.monotonic() - began < INTERVAL_SECONDS * 0.8


async def test_an_object_changed_in_between_is_planned_again(around: Surroundings) -> None:
    stored = await around.add("bruce-1")
    spec = stored.spec.model_copy(update={"power_setpoint_permille": 900})
    edited = await around.store.replace(stored.model_copy(update={"spec": spec}))
    around.writer.offer(with_alarms(stored, 1))
    await eventually(lambda: around.replanned == ["default/bruce-1"])
    assert around.known("bruce-1") == edited, "and what it is now has been learnt"
    assert (await around.stored("bruce-1")).status.open_alarms == 0


async def test_a_deleted_object_is_passed_over(around: Surroundings) -> None:
    gone, kept = await around.add("bruce-1"), await around.add("bruce-2")
    await around.store.delete(Reactor, "default", "bruce-1")
    around.writer.offer(with_alarms(gone, 1))
    around.writer.offer(with_alarms(kept, 1))
    await eventually(lambda: around.known("bruce-2").status.open_alarms == 1)
    await eventually(lambda: around.writer.idle)
    assert around.replanned == []


async def test_what_was_withdrawn_is_not_written(around: Surroundings) -> None:
    first, second = await around.add("bruce-1"), await around.add("bruce-2")
    around.writer.offer(with_alarms(first, 1))
    around.writer.withdraw(WorkKey(Kind.REACTOR, "default/bruce-1"))
    around.writer.offer(with_alarms(second, 1))
    await eventually(lambda: around.known("bruce-2").status.open_alarms == 1)
    assert (await around.stored("bruce-1")).status.open_alarms == 0


async def test_what_was_withdrawn_while_it_was_written_is_planned_again(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = Surroundings(store)
    stored = await around.add("bruce-1")
    key = WorkKey(Kind.REACTOR, "default/bruce-1")
    replace_statuses = store.replace_statuses
    begun, release = asyncio.Event(), asyncio.Event()
    fails = False

    async def held(resources: Sequence[Reactor]) -> Sequence[Reactor]:
        begun.set()
        await release.wait()
        if fails:
            raise StoreUnavailable("Postgres: connection refused")
        return await replace_statuses(resources)

    monkeypatch.setattr(store, "replace_statuses", held)
    async with writing(around.writer):
        around.writer.offer(with_alarms(stored, 7))
        await begun.wait()
        around.writer.withdraw(key)
        assert around.replanned == []
        release.set()
        await eventually(lambda: around.replanned == [key.name])
        assert around.known("bruce-1").status.open_alarms == 7, "the plan sees what was written"
        begun.clear()
        release.clear()
        fails = True
        around.writer.offer(with_alarms(around.known("bruce-1"), 8))
        await begun.wait()
        around.writer.withdraw(key)
        release.set()
        await eventually(lambda: around.replanned == [key.name] * 2)
        assert around.writer.idle, "what was withdrawn is not tried again"


async def test_statuses_wait_while_the_store_is_away(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = Surroundings(store)
    stored = await around.add("bruce-1")
    replace_statuses = store.replace_statuses
    failures = 2

    async def flaky(resources: list[Reactor]) -> object:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreUnavailable("Postgres: connection refused")
        return await replace_statuses(resources)

    monkeypatch.setattr(store, "replace_statuses", flaky)
    around.writer.offer(with_alarms(stored, 1))
    async with writing(around.writer):
        await eventually(lambda: around.known("bruce-1").status.open_alarms == 1)
    assert failures == 0


async def test_a_thousand_are_written_in_a_few_batches(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = Surroundings(store)
    reactors = await asyncio.gather(*(around.add(f"unit-{n}") for n in range(1000)))
    replace_statuses = store.replace_statuses
    sizes = []

    async def counted(resources: list[Reactor]) -> object:
        sizes.append(len(resources))
        return await replace_statuses(resources)

    monkeypatch.setattr(store, "replace_statuses", counted)
    for stored in reactors:
        around.writer.offer(with_alarms(stored, 1))
    async with writing(around.writer):
        await eventually(lambda: around.writer.idle and sum(sizes) == 1000, seconds=30)
    assert len(sizes) <= 4


def with_ready(stored: Reactor, status: ConditionStatus, reason: str) -> Reactor:
    ready = Condition(
        type="Ready",
        status=status,
        reason=reason,
        last_transition_time=datetime.now(UTC).replace(microsecond=0),
    )
    generation = stored.metadata.generation
    told = ReactorStatus(observed_generation=generation, conditions=[ready])
    return stored.model_copy(update={"status": told})


async def test_the_first_status_of_a_reactor_waits_for_its_generator(around: Surroundings) -> None:
    stored = await around.add("bruce-1")
    around.writer.offer(with_ready(stored, ConditionStatus.FALSE, "AwaitingGenerator"))
    await asyncio.sleep(FIRST_HOLD_SECONDS / 3)
    ready = with_ready(stored, ConditionStatus.TRUE, "Streaming")
    began = time.monotonic()
    around.writer.offer(ready)
    await eventually(lambda: around.known("bruce-1").status == ready.status)
    assert time.monotonic() - began < FIRST_HOLD_SECONDS / 3
    written_once = int(stored.metadata.resource_version) + 1
    assert int((await around.stored("bruce-1")).metadata.resource_version) == written_once


async def test_it_does_not_wait_for_ever_nor_ever_again(around: Surroundings) -> None:
    stored = await around.add("bruce-1")
    waits = with_ready(stored, ConditionStatus.FALSE, "AwaitingGenerator")
    began = time.monotonic()
    around.writer.offer(waits)
    await asyncio.sleep(FIRST_HOLD_SECONDS / 2)
    around.writer.offer(waits)
    await eventually(lambda: around.known("bruce-1").status == waits.status)
    assert time.monotonic() - began < FIRST_HOLD_SECONDS + 0.5
    again = Surroundings(around.store)
    again.fleet.put_reactor(await around.stored("bruce-1"))
    silent = with_ready(again.known("bruce-1"), ConditionStatus.FALSE, "GeneratorSilent")
    async with writing(again.writer):
        began = time.monotonic()
        again.writer.offer(silent)
        await eventually(lambda: again.known("bruce-1").status == silent.status)
    assert time.monotonic() - began < FIRST_HOLD_SECONDS / 2


async def test_a_changed_spec_that_is_acknowledged_soon_is_written_once(
    around: Surroundings,
) -> None:
    stored = await around.add("bruce-1")
    around.writer.offer(with_ready(stored, ConditionStatus.TRUE, "Streaming"))
    await eventually(lambda: around.known("bruce-1").status.observed_generation == 1)
    await asyncio.sleep(INTERVAL_SECONDS)
    spec = stored.spec.model_copy(update={"power_setpoint_permille": 900})
    edited = await around.store.replace(around.known("bruce-1").model_copy(update={"spec": spec}))
    around.fleet.put_reactor(edited)
    around.writer.offer(with_ready(edited, ConditionStatus.FALSE, "AwaitingGenerator"))
    await asyncio.sleep(CHANGE_HOLD_SECONDS / 3)
    followed = with_ready(edited, ConditionStatus.TRUE, "Streaming")
    around.writer.offer(followed)
    await eventually(lambda: around.known("bruce-1").status == followed.status)
    written_once = int(edited.metadata.resource_version) + 1
    assert int((await around.stored("bruce-1")).metadata.resource_version) == written_once


async def test_a_changed_spec_that_is_not_acknowledged_soon_says_so(around: Surroundings) -> None:
    stored = await around.add("bruce-1")
    around.writer.offer(with_ready(stored, ConditionStatus.TRUE, "Streaming"))
    await eventually(lambda: around.known("bruce-1").status.observed_generation == 1)
    await asyncio.sleep(INTERVAL_SECONDS)
    spec = stored.spec.model_copy(update={"power_setpoint_permille": 900})
    edited = await around.store.replace(around.known("bruce-1").model_copy(update={"spec": spec}))
    around.fleet.put_reactor(edited)
    waits = with_ready(edited, ConditionStatus.FALSE, "AwaitingGenerator")
    began = time.monotonic()
    around.writer.offer(waits)
    await eventually(lambda: around.known("bruce-1").status == waits.status)
    assert CHANGE_HOLD_SECONDS <= time.monotonic() - began < CHANGE_HOLD_SECONDS + 0.5


async def test_before_all_generators_were_asked_none_can_have_answered(
    store: PostgresStore,
) -> None:
    asked = False
    around = Surroundings(store, all_asked=lambda: asked)
    stored, other = await around.add("bruce-1"), await around.add("bruce-2")
    async with writing(around.writer):
        around.writer.offer(with_ready(stored, ConditionStatus.FALSE, "AwaitingGenerator"))
        unavailable = with_ready(other, ConditionStatus.FALSE, "DeliveryUnavailable")
        around.writer.offer(unavailable)
        await eventually(lambda: around.known("bruce-2").status == unavailable.status)
        await asyncio.sleep(FIRST_HOLD_SECONDS * 1.5)
        assert around.known("bruce-1") == stored
        asked = True
        await eventually(lambda: around.known("bruce-1").status.observed_generation == 1)


async def test_at_a_cold_start_each_reactor_is_written_once_however_slow_the_store(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = Surroundings(store, writers=2, batch=1)
    reactors = [await around.add(f"unit-{number}") for number in range(20)]
    replace_statuses = store.replace_statuses
    written: list[str] = []

    async def slowly(resources: Sequence[Reactor]) -> object:
        written.extend(resource.metadata.name for resource in resources)
        await asyncio.sleep(0.1)
        return await replace_statuses(resources)

    monkeypatch.setattr(store, "replace_statuses", slowly)
    async with writing(around.writer):
        for stored in reactors:
            around.writer.offer(with_ready(stored, ConditionStatus.FALSE, "AwaitingGenerator"))
        for stored in reactors:
            await asyncio.sleep(FIRST_HOLD_SECONDS / 8)
            around.writer.offer(with_ready(stored, ConditionStatus.TRUE, "Streaming"))
        await eventually(lambda: around.writer.idle)
    assert written == [stored.metadata.name for stored in reactors]


async def test_a_slow_object_holds_up_itself_alone(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = Surroundings(store, writers=2, batch=1)
    slow, quick = await around.add("bruce-1"), await around.add("bruce-2")
    replace_statuses = store.replace_statuses
    under_way: list[str] = []

    async def slowly(resources: Sequence[Reactor]) -> object:
        assert len(resources) == 1
        under_way.append(resources[0].metadata.name)
        if resources[0].metadata.name == "bruce-1":
            await asyncio.sleep(1.0)
        return await replace_statuses(resources)

    monkeypatch.setattr(store, "replace_statuses", slowly)
    async with writing(around.writer):
        around.writer.offer(with_ready(slow, ConditionStatus.TRUE, "Streaming"))
        await eventually(lambda: under_way == ["bruce-1"])
        around.writer.offer(with_ready(slow, ConditionStatus.TRUE, "Suspended"))
        around.writer.offer(with_ready(quick, ConditionStatus.TRUE, "Streaming"))
        await eventually(lambda: around.known("bruce-2").status.observed_generation == 1)
        assert around.known("bruce-1").status.observed_generation == 0
        assert under_way == ["bruce-1", "bruce-2"], "one object is never written twice at once"
        assert not around.writer.idle


async def test_without_the_lease_nothing_is_written(store: PostgresStore) -> None:
    may_write = True
    around = Surroundings(store, may_write=lambda: may_write)
    stored = await around.add("bruce-1")
    task = asyncio.create_task(around.writer.run())
    may_write = False
    around.writer.offer(with_ready(stored, ConditionStatus.TRUE, "Streaming"))
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(task, 5)
    assert caught.group_contains(NotLeading)
    assert await around.stored("bruce-1") == stored


class Told:
    """Remembers what a recorder is told."""

    def __init__(self) -> None:
        self.changes: list[tuple[int, int]] = []
        self.expired: list[str] = []
        self.kept: list[tuple[str, str]] = []
        self.refused: list[str] = []

    def record(self, before: Reactor | AnomalyScenario, after: Reactor | AnomalyScenario) -> None:
        assert before.metadata.uid == after.metadata.uid
        self.changes.append((before.status.observed_generation, after.status.observed_generation))

    def record_expiry(self, scenario: AnomalyScenario) -> None:
        self.expired.append(scenario.metadata.name)

    def record_kept(self, resource: Reactor | AnomalyScenario, problem: str) -> None:
        self.kept.append((resource.metadata.name, problem))

    def record_refusal(self, resource: Reactor | AnomalyScenario) -> None:
        self.refused.append(resource.metadata.name)

    def record_invalid(self, subject: Subject, problem: str) -> None:
        raise AssertionError(f"{subject.name}: {problem}")

    async def run(self) -> None:
        return


async def test_each_written_status_is_recorded_with_the_one_before(store: PostgresStore) -> None:
    told = Told()
    around = Surroundings(store, recorder=told)
    stored = await around.add("bruce-1")
    async with writing(around.writer):
        around.writer.offer(with_ready(stored, ConditionStatus.TRUE, "Streaming"))
        await eventually(lambda: bool(told.changes))
    assert told.changes == [(0, 1)]


async def test_a_watch_that_is_quicker_than_the_answer_takes_no_announcement_away(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    around = Surroundings(store, recorder=told)
    stored = await around.add("bruce-1")
    replace_statuses = store.replace_statuses

    async def told_first(resources: Sequence[Reactor]) -> Sequence[Reactor]:
        written = await replace_statuses(resources)
        for one in written:
            around.fleet.put_reactor(one)
        return written

    monkeypatch.setattr(store, "replace_statuses", told_first)
    async with writing(around.writer):
        around.writer.offer(with_ready(stored, ConditionStatus.TRUE, "Streaming"))
        await eventually(lambda: bool(told.changes))
    assert told.changes == [(0, 1)]


async def test_an_answer_that_is_lost_takes_no_announcement_away(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    around = Surroundings(store, recorder=told)
    stored = await around.add("bruce-1")
    replace_statuses = store.replace_statuses
    losses = 1

    async def unanswered(resources: Sequence[Reactor]) -> Sequence[Reactor]:
        nonlocal losses
        written = await replace_statuses(resources)
        if losses:
            losses -= 1
            raise StoreUnavailable("Postgres: connection reset")
        return written

    monkeypatch.setattr(store, "replace_statuses", unanswered)
    offered = with_ready(stored, ConditionStatus.TRUE, "Streaming")
    around.writer._replan = around.writer.withdraw
    async with writing(around.writer):
        around.writer.offer(offered)
        await eventually(lambda: around.writer.idle and bool(told.changes))
        around.writer.withdraw(WorkKey.of(stored))
    assert told.changes == [(0, 1)], "once"


async def test_of_what_never_was_stored_nothing_is_told(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    around = Surroundings(store, recorder=told)
    stored = await around.add("bruce-1")
    attempts = 0

    async def refuse(resources: Sequence[Reactor]) -> Sequence[Reactor]:
        nonlocal attempts
        attempts += 1
        raise StoreUnavailable("Postgres: connection refused")

    monkeypatch.setattr(store, "replace_statuses", refuse)
    async with writing(around.writer):
        around.writer.offer(with_ready(stored, ConditionStatus.TRUE, "Streaming"))
        await eventually(lambda: attempts > 0)
        around.writer.withdraw(WorkKey.of(stored))
        spec = stored.spec.model_copy(update={"power_setpoint_permille": 900})
        around.fleet.put_reactor(await store.replace(stored.model_copy(update={"spec": spec})))
        around.writer.withdraw(WorkKey.of(stored))
    assert told.changes == []


async def test_what_is_over_is_deleted_unless_it_is_another_by_now(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = Surroundings(store)
    over, replaced = await around.add("bruce-1"), await around.add("bruce-2")
    await store.delete(Reactor, "default", "bruce-2")
    again = await around.add("bruce-2")
    assert again.metadata.uid != replaced.metadata.uid
    delete = store.delete
    failures = 1

    async def flaky(*arguments: object, **named: object) -> object:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreUnavailable("Postgres: connection refused")
        return await delete(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "delete", flaky)
    around.writer.delete(over)
    around.writer.delete(replaced)
    assert not around.writer.idle
    async with writing(around.writer):
        await eventually(lambda: around.writer.idle)
    with pytest.raises(NotFound):
        await store.get(Reactor, "default", "bruce-1")
    assert (await around.stored("bruce-2")).metadata.uid == again.metadata.uid


async def test_what_became_urgent_while_a_write_was_under_way_is_written_right_after_it(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = Surroundings(store)
    stored = await around.add("bruce-1")
    replace_statuses = store.replace_statuses
    release, begun = asyncio.Event(), asyncio.Event()

    async def held(resources: Sequence[Reactor]) -> Sequence[Reactor]:
        written = await replace_statuses(resources)
        around.fleet.put_reactor(written[0])
        begun.set()
        await release.wait()
        return written

    monkeypatch.setattr(store, "replace_statuses", held)
    async with writing(around.writer):
        around.writer.offer(with_alarms(stored, 1))
        await begun.wait()
        around.writer.offer(with_alarms(around.known("bruce-1"), 2), urgent=True)
        began = time.monotonic()
        release.set()
        await eventually(lambda: around.known("bruce-1").status.open_alarms == 2)
        assert time.monotonic() - began < INTERVAL_SECONDS * 0.8


async def test_a_status_that_is_refused_is_told_and_not_tried_again_at_once_however_urgent(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    around = Surroundings(store, recorder=told, batch=1)
    stored = await around.add("bruce-1")
    attempts = 0

    async def refuse(resources: Sequence[Reactor]) -> Sequence[Reactor]:
        nonlocal attempts
        attempts += 1
        return []

    replace_statuses = store.replace_statuses
    monkeypatch.setattr(store, "replace_statuses", refuse)
    around.writer._replan = lambda key: around.writer.offer(
        with_alarms(around.fleet.reactors[key.name], 1), urgent=True
    )
    async with writing(around.writer):
        around.writer.offer(with_alarms(stored, 1), urgent=True)
        await eventually(lambda: attempts > 0)
        await asyncio.sleep(0.5)
        assert attempts == 1
        assert told.refused == ["bruce-1"]
        monkeypatch.setattr(store, "replace_statuses", replace_statuses)
        spec = stored.spec.model_copy(update={"power_setpoint_permille": 900})
        edited = await store.replace(stored.model_copy(update={"spec": spec}))
        around.fleet.put_reactor(edited)
        around.writer.offer(with_alarms(edited, 2))
        await eventually(lambda: around.known("bruce-1").status.open_alarms == 2)


@pytest.mark.parametrize("error", [Forbidden("no right"), Failed("500")], ids=["403", "500"])
async def test_an_object_that_cannot_be_written_holds_up_no_other(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, error: StoreUnavailable
) -> None:
    around = Surroundings(store, batch=1)
    barred = await around.add("bruce-0")
    others = [await around.add(f"unit-{number}") for number in range(20)]
    replace_statuses = store.replace_statuses
    attempts = 0
    is_barred = True

    async def sometimes(resources: Sequence[Reactor]) -> Sequence[Reactor]:
        nonlocal attempts
        if is_barred and resources[0].metadata.name == "bruce-0":
            attempts += 1
            raise error
        return await replace_statuses(resources)

    monkeypatch.setattr(store, "replace_statuses", sometimes)
    monkeypatch.setattr(patience, "FAILED_PAUSE_SECONDS", 0.4)
    async with writing(around.writer):
        for resource in (barred, *others):
            around.writer.offer(with_alarms(resource, 1))
        await eventually(
            lambda: all(around.known(f"unit-{n}").status.open_alarms for n in range(20))
        )
        assert attempts <= 3
        is_barred = False
        await eventually(lambda: around.known("bruce-0").status.open_alarms == 1)


async def test_two_that_write_one_status_are_noticed_and_the_fight_slows_down(
    around: Surroundings, caplog: pytest.LogCaptureFixture
) -> None:
    await around.add("bruce-1")

    async def ours(alarms: int) -> None:
        around.writer.offer(with_alarms(around.known("bruce-1"), alarms), urgent=True)
        await eventually(lambda: around.known("bruce-1").status.open_alarms == alarms)

    async def theirs() -> None:
        around.fleet.put_reactor(
            await around.store.replace_status(with_alarms(await around.stored("bruce-1"), 99))
        )

    for alarms in range(1, patience.OVERWRITTEN_TIMES + 1):
        await ours(alarms)
        await theirs()
    around.writer.offer(with_alarms(around.known("bruce-1"), 9))
    await asyncio.sleep(INTERVAL_SECONDS * 2)
    assert (await around.stored("bruce-1")).status.open_alarms == 99
    (line,) = [one for one in caplog.records if "keeps replacing" in one.getMessage()]
    assert "namespace default" in line.getMessage()
    await ours(10)
    await theirs()
    began = time.monotonic()
    await ours(11)
    assert time.monotonic() - began > INTERVAL_SECONDS * 0.8, "the urgent is written, but no race"


async def test_changes_of_users_are_no_fight(
    around: Surroundings, caplog: pytest.LogCaptureFixture
) -> None:
    await around.add("bruce-1")
    for alarms in range(1, patience.OVERWRITTEN_TIMES + 3):
        around.writer.offer(with_alarms(around.known("bruce-1"), alarms), urgent=True)
        await eventually(lambda: around.known("bruce-1").status.open_alarms == alarms)  # noqa: B023
        stored = await around.stored("bruce-1")
        labels = {"round": str(alarms)}
        metadata = stored.metadata.model_copy(update={"labels": labels})
        edited = await around.store.replace(stored.model_copy(update={"metadata": metadata}))
        around.fleet.put_reactor(edited)
    assert "keeps replacing" not in caplog.text


async def test_statuses_that_do_not_get_through_are_overdue(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = 0.0
    around = Surroundings(store, clock=lambda: time.monotonic() + ahead)
    stored = await around.add("bruce-1")
    is_away = True
    replace_statuses = store.replace_statuses

    async def sometimes(resources: Sequence[Reactor]) -> Sequence[Reactor]:
        if is_away:
            raise StoreUnavailable("Postgres: connection refused")
        return await replace_statuses(resources)

    monkeypatch.setattr(store, "replace_statuses", sometimes)
    async with writing(around.writer):
        around.writer.offer(with_alarms(stored, 1))
        await asyncio.sleep(0.1)
        assert around.writer.overdue() is None
        ahead = OVERDUE_SECONDS + 1
        problem = "Reactor default/bruce-1: not written for over 180 s"
        assert around.writer.overdue() == (problem, True)
        is_away = False
        await eventually(lambda: around.known("bruce-1").status.open_alarms == 1)
        assert around.writer.overdue() is None


async def test_what_cannot_be_deleted_holds_up_no_other_deletion(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    around = Surroundings(store, recorder=told)
    kept, failing, over = [await around.add(f"bruce-{number}") for number in (1, 2, 3)]
    delete = store.delete
    is_failing = True

    async def sometimes(kind: type[Reactor], namespace: str, name: str, **named: object) -> object:
        if name == "bruce-1":
            raise Forbidden("a policy forbids it")
        if name == "bruce-2" and is_failing:
            raise StoreUnavailable("500")
        return await delete(kind, namespace, name, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "delete", sometimes)
    for resource in (kept, failing, over):
        around.writer.delete(resource)
    async with writing(around.writer):
        async with asyncio.timeout(5):
            while "bruce-3" in {one.metadata.name for one in (await store.list(Reactor)).items}:
                await asyncio.sleep(0.02)
        assert told.kept == [("bruce-1", "a policy forbids it")]
        assert not around.writer.idle
        is_failing = False
        await eventually(lambda: around.writer.idle)
    assert [one.metadata.name for one in (await store.list(Reactor)).items] == ["bruce-1"]
