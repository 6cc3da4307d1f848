"""The operator as a whole, over a real Postgres and a real broker."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from reactorsync.bus.kafka import KafkaBus
from reactorsync.resources import (
    AnomalyScenario,
    ConditionStatus,
    ObjectMeta,
    Reactor,
    ReactorSpec,
    condition_of,
)
from reactorsync.resources.scenario import AnomalyScenarioSpec
from reactorsync.resources.scenario_status import Run, RunPhase
from reactorsync.service import Readiness
from reactorsync.store import Invalid, NotFound, StoreUnavailable
from reactorsync.store.postgres import PostgresStore
from reactorsync.wire.events import ReactorRestarted
from reactorsync_operator.app import Operator
from reactorsync_operator.reconcile.observed import ObservedReactor
from reactorsync_operator.reconcile.reactor import ReactorPlan, plan_reactor
from reactorsync_operator.reconciler import Reconciler
from reactorsync_operator.settings import OperatorSettings
from reactorsync_operator.status_writer import StatusWriter
from reactorsync_operator.vitals import LOOK_SECONDS
from tests.operator.plant import Plants, simulated
from tests.servers import FreshBroker


@asynccontextmanager
async def operating(
    settings: OperatorSettings, store: PostgresStore, *, readiness: Readiness | None = None
) -> AsyncIterator[Operator]:
    """An operator that is killed, without a chance to tidy up, when the context ends."""
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=2500)
    operator = Operator(settings, store=store, bus=bus, readiness=readiness or Readiness())
    task = asyncio.create_task(operator.run(asyncio.Event()))
    try:
        yield operator
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await bus.close()


@pytest.fixture
async def plants(settings: OperatorSettings) -> AsyncIterator[Plants]:
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=2500)
    async with simulated(bus, settings.topics) as plants:
        yield plants
    await bus.close()


async def eventually(condition: Callable[[], bool], *, seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def at_rest(operator: Operator) -> None:
    await eventually(lambda: operator.idle)


async def add_fleet(store: PostgresStore, count: int) -> None:
    for number in range(1, count + 1):
        spec = ReactorSpec.model_validate({"design": "Candu6"})
        await store.create(Reactor(metadata=ObjectMeta(name=f"bruce-{number}"), spec=spec))


async def add_leak(store: PostgresStore, *, duration: int = 60, **spec: Any) -> None:
    leak = {"name": "leak", "fault": "PrimaryLeak", "durationSeconds": duration}
    declared = AnomalyScenarioSpec.model_validate(
        {"targets": {"selector": {}}, "stages": [leak], **spec}
    )
    await store.create(AnomalyScenario(metadata=ObjectMeta(name="leak"), spec=declared))


async def change_leak(store: PostgresStore, **spec: Any) -> None:
    stored = await store.get(AnomalyScenario, "default", "leak")
    changed = AnomalyScenarioSpec.model_validate({**stored.spec.to_json(), **spec})
    # Whatever status is written meanwhile.
    unversioned = stored.metadata.model_copy(update={"resource_version": ""})
    await store.replace(stored.model_copy(update={"spec": changed, "metadata": unversioned}))


async def run_of(store: PostgresStore) -> Run | None:
    return (await store.get(AnomalyScenario, "default", "leak")).status.run


def saying(
    store: PostgresStore,
    kind: type[Reactor] | type[AnomalyScenario],
    name: str,
    conditions: Mapping[str, ConditionStatus],
) -> Callable[[], Awaitable[bool]]:
    """Whether all these conditions of an object have these statuses."""

    async def says() -> bool:
        found: Reactor | AnomalyScenario
        if kind is Reactor:
            found = await store.get(Reactor, "default", name)
        else:
            found = await store.get(AnomalyScenario, "default", name)
        return all(
            (one := condition_of(found.status.conditions, type_)) is not None
            and one.status is status
            for type_, status in conditions.items()
        )

    return says


def faulty(plants: Plants) -> set[str]:
    return {state.name for state in plants.desired.values() if state.faults}


async def test_a_fleet_and_a_scenario_reach_the_generators_and_what_happens_comes_back(
    settings: OperatorSettings, store: PostgresStore, plants: Plants
) -> None:
    await add_fleet(store, 3)
    true = ConditionStatus.TRUE
    async with operating(settings, store):
        await eventually(lambda: len(plants.desired) == 3)
        await eventually(lambda: sorted(plants.markers) == [0, 1, 2, 3])
        await until(saying(store, Reactor, "bruce-1", {"Ready": true, "Nominal": true}))
        await add_leak(store, duration=2, targets={"selector": {}, "count": 2})
        await eventually(lambda: len(faulty(plants)) == 2)
        await until(saying(store, AnomalyScenario, "leak", {"Injected": true, "Ready": true}))
        one = min(faulty(plants))
        (fault,) = (await store.get(Reactor, "default", one)).status.active_faults
        assert (fault.scenario, fault.stage) == ("leak", "leak")
        await until(saying(store, AnomalyScenario, "leak", {"Succeeded": true, "Recovered": true}))
        assert faulty(plants) == set()
        await until(saying(store, Reactor, one, {"Nominal": true}))
    run = await run_of(store)
    assert run is not None
    assert (run.number, run.phase) == (1, RunPhase.COMPLETED)


async def test_killed_in_the_middle_of_a_run_it_goes_on_with_the_same_run(
    settings: OperatorSettings, store: PostgresStore, plants: Plants
) -> None:
    await add_fleet(store, 3)
    await add_leak(store, duration=6)
    async with operating(settings, store):
        await until(
            saying(store, AnomalyScenario, "leak", {"Injected": ConditionStatus.TRUE}),
        )
    before, records = await run_of(store), len(plants.records)
    assert before is not None
    for _ in range(3):
        async with operating(settings, store) as operator:
            await at_rest(operator)
            assert faulty(plants) == {"bruce-1", "bruce-2", "bruce-3"}
    assert await run_of(store) == before
    assert len(plants.records) == records, "equal revisions are not published again"
    async with operating(settings, store):
        await until(
            saying(store, AnomalyScenario, "leak", {"Succeeded": ConditionStatus.TRUE}),
        )
    after = await run_of(store)
    assert after is not None
    assert (after.number, after.start_time) == (1, before.start_time)
    assert after.injected_time == before.injected_time
    starts = {fault.start_us for _, state in plants.records if state for fault in state.faults}
    assert len(starts) == 1


async def test_what_happened_while_it_was_down_is_made_good(
    settings: OperatorSettings, store: PostgresStore, plants: Plants
) -> None:
    await add_fleet(store, 3)
    await add_leak(store)
    async with operating(settings, store):
        await eventually(lambda: len(faulty(plants)) == 3)
    await store.delete(AnomalyScenario, "default", "leak")
    await store.delete(Reactor, "default", "bruce-3")
    async with operating(settings, store):
        await eventually(lambda: set(plants.desired) == {"default/bruce-1", "default/bruce-2"})
        await eventually(lambda: faulty(plants) == set())


async def test_a_reactor_without_a_plan_at_the_start_stays_as_it_was_published(
    settings: OperatorSettings,
    store: PostgresStore,
    plants: Plants,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await add_fleet(store, 2)
    async with operating(settings, store) as operator:
        await eventually(lambda: len(plants.desired) == 2)
        await at_rest(operator)

    def fail(observed: ObservedReactor, now: datetime) -> ReactorPlan:
        if observed.reactor.metadata.name == "bruce-1":
            raise ValueError("a fault of the operator's")
        return plan_reactor(observed, now)

    monkeypatch.setattr("reactorsync_operator.reconciler.plan_reactor", fail)
    async with operating(settings, store) as operator:
        await eventually(operator.publisher.complete.is_set)
        operator.publisher.look_again()
        await eventually(lambda: operator.publisher.idle)
        assert operator.publisher.publication("default/bruce-1") is not None
        await store.delete(Reactor, "default", "bruce-1")
        await eventually(lambda: set(plants.desired) == {"default/bruce-2"})


async def test_suspend_resume_abort(
    settings: OperatorSettings, store: PostgresStore, plants: Plants
) -> None:
    await add_fleet(store, 2)
    await add_leak(store)
    async with operating(settings, store):
        await eventually(lambda: len(faulty(plants)) == 2)
        await change_leak(store, state="Suspended")
        await eventually(lambda: not faulty(plants))
        await change_leak(store, state="Active")
        await eventually(lambda: len(faulty(plants)) == 2)
        await change_leak(store, state="Aborted")
        await eventually(lambda: not faulty(plants))
        await until(
            saying(
                store,
                AnomalyScenario,
                "leak",
                {"Succeeded": ConditionStatus.FALSE, "Recovered": ConditionStatus.TRUE},
            )
        )
        await change_leak(store, state="Active", runToken="again")
        await eventually(lambda: len(faulty(plants)) == 2)
    run = await run_of(store)
    assert run is not None
    assert (run.number, run.token) == (2, "again")


async def test_at_rest_nothing_is_written(
    settings: OperatorSettings, store: PostgresStore, plants: Plants
) -> None:
    await add_fleet(store, 5)
    await add_leak(store)
    async with operating(settings, store) as operator:
        await until(
            saying(store, AnomalyScenario, "leak", {"Injected": ConditionStatus.TRUE}),
        )
        await asyncio.sleep(1.0)
        await eventually(lambda: operator.idle)
        before = (await store.list(Reactor)).resource_version
        records = len(plants.records)
        await asyncio.sleep(3.0)
        assert (await store.list(Reactor)).resource_version == before
        assert len(plants.records) == records


async def test_a_broker_that_forgot_everything_is_told_everything_again(
    settings: OperatorSettings, store: PostgresStore, fresh_broker: FreshBroker
) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": fresh_broker.bootstrap})
    readiness = Readiness()
    await add_fleet(store, 3)
    await add_leak(store)
    async with operating(settings, store, readiness=readiness) as operator:
        await eventually(lambda: operator.idle and readiness.ready)
        await until(lambda: _has_run(store))
        run = await run_of(store)
        await fresh_broker.stop()
        await eventually(lambda: not readiness.ready)
        assert not operator.publisher.read_back.is_set(), "the next session has to read again"
        await fresh_broker.start()
        await eventually(lambda: readiness.ready, seconds=30)
        assert operator.publisher.read_back.is_set()
        await eventually(lambda: operator.idle)
        bus = KafkaBus(fresh_broker.bootstrap, session_timeout_ms=2500)
        async with simulated(bus, settings.topics) as plants:
            await eventually(lambda: len(faulty(plants)) == 3)
            await eventually(lambda: sorted(plants.markers) == [0, 1, 2, 3])
            await until(
                saying(store, AnomalyScenario, "leak", {"Injected": ConditionStatus.TRUE}),
                seconds=20,
            )
        await bus.close()
        again = await run_of(store)
        assert run is not None
        assert again is not None
        assert (again.number, again.start_time) == (run.number, run.start_time)


async def test_without_a_broker_it_waits_and_says_so(
    settings: OperatorSettings,
    store: PostgresStore,
    fresh_broker: FreshBroker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reactorsync_operator.broker_sessions.GRACE_SECONDS", 0.5)
    await fresh_broker.stop()
    settings = settings.model_copy(update={"kafka_bootstrap": fresh_broker.bootstrap})
    readiness = Readiness()
    await add_fleet(store, 1)
    async with operating(settings, store, readiness=readiness) as operator:
        await until(saying(store, Reactor, "bruce-1", {"Ready": ConditionStatus.FALSE}), seconds=20)
        await eventually(lambda: readiness.report()["store"] == "ok")
        assert readiness.report()["broker"] != "ok"
        await fresh_broker.start()
        await eventually(lambda: readiness.ready and operator.idle, seconds=30)


async def test_a_broker_that_accepts_and_stays_silent_is_away(
    settings: OperatorSettings, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reactorsync_operator.broker_sessions.GRACE_SECONDS", 0.5)
    monkeypatch.setattr("reactorsync.bus.kafka.REQUEST_TIMEOUT_MS", int(1500 * LOOK_SECONDS))
    readiness = Readiness()
    await add_fleet(store, 1)

    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    settings = settings.model_copy(update={"kafka_bootstrap": f"{host}:{port}"})
    async with server, operating(settings, store, readiness=readiness):
        await until(saying(store, Reactor, "bruce-1", {"Ready": ConditionStatus.FALSE}), seconds=12)
        assert readiness.report()["broker"] not in ("ok", "not yet reached")


async def test_while_the_store_is_away_faults_stay_and_readiness_says_so(
    settings: OperatorSettings,
    store: PostgresStore,
    plants: Plants,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await add_fleet(store, 2)
    await add_leak(store)
    readiness = Readiness()
    async with operating(settings, store, readiness=readiness):
        await eventually(lambda: len(faulty(plants)) == 2 and readiness.ready)

        async def refuse(*_: object, **__: object) -> None:
            raise StoreUnavailable("Postgres: connection refused")

        with monkeypatch.context() as outage:
            outage.setattr(store, "ping", refuse)
            outage.setattr(store, "list", refuse)
            outage.setattr(store, "replace_statuses", refuse)
            await eventually(lambda: not readiness.ready)
            assert readiness.report()["store"] == "Postgres: connection refused"
            assert len(faulty(plants)) == 2
        await eventually(lambda: readiness.ready)
        await change_leak(store, state="Aborted")
        await eventually(lambda: not faulty(plants))


async def test_whatever_the_store_answers_when_asked_for_a_sign_of_life_it_is_away(
    settings: OperatorSettings, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    readiness = Readiness()
    async with operating(settings, store, readiness=readiness):
        await eventually(lambda: readiness.ready)

        async def refuse() -> None:
            raise Invalid("version", "418 I'm a teapot")

        with monkeypatch.context() as outage:
            outage.setattr(store, "ping", refuse)
            await eventually(lambda: not readiness.ready)
            assert readiness.report()["store"] == "version: 418 I'm a teapot"
        await eventually(lambda: readiness.ready)


async def test_statuses_that_do_not_get_through_are_noted_and_when_none_does_it_is_not_ready(
    settings: OperatorSettings, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    readiness = Readiness()
    overdue: tuple[str, bool] | None = None
    monkeypatch.setattr(StatusWriter, "overdue", lambda _: overdue)
    async with operating(settings, store, readiness=readiness):
        await eventually(lambda: readiness.ready)
        overdue = ("Reactor default/bruce-1: not written for over 180 s", False)
        await eventually(lambda: "statuses" in readiness.report())
        assert readiness.ready
        overdue = (overdue[0], True)
        await eventually(lambda: not readiness.ready)
        overdue = None
        await eventually(lambda: readiness.ready and "statuses" not in readiness.report())


async def test_a_sweep_heals_what_the_watch_missed(
    settings: OperatorSettings,
    store: PostgresStore,
    plants: Plants,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings.model_copy(update={"sweep_seconds": 1.0})
    await add_fleet(store, 2)

    async def deaf(*_: object, **__: object) -> AsyncIterator[None]:
        await asyncio.sleep(3600)
        yield

    monkeypatch.setattr(store, "watch", deaf)
    async with operating(settings, store):
        await eventually(lambda: len(plants.desired) == 2)
        await store.delete(Reactor, "default", "bruce-2")
        await add_leak(store)
        await eventually(lambda: list(plants.desired) == ["default/bruce-1"])
        await eventually(lambda: faulty(plants) == {"bruce-1"})


async def test_the_generator_pool_follows_the_fleet(
    settings: OperatorSettings, store: PostgresStore, tmp_path: Path
) -> None:
    pool = tmp_path / "generators.json"
    settings = settings.model_copy(update={"generator_pool_file": pool, "generator_capacity": 2})

    def size() -> int | None:
        return json.loads(pool.read_text())["replicas"] if pool.exists() else None

    async with operating(settings, store):
        await eventually(lambda: size() == 1)
        await add_fleet(store, 5)
        await eventually(lambda: size() == 3)


async def _has_run(store: PostgresStore) -> bool:
    try:
        return await run_of(store) is not None
    except NotFound:
        return False


async def test_an_object_that_waits_too_long_for_its_plan_is_a_reason_to_restart(
    settings: OperatorSettings,
    store: PostgresStore,
    plants: Plants,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings.model_copy(update={"queue_limit_seconds": 0.3})
    readiness = Readiness()
    await add_fleet(store, 1)
    async with operating(settings, store, readiness=readiness) as operator:
        await at_rest(operator)
        assert readiness.liveness.problems() == {}
        with monkeypatch.context() as stuck:
            stuck.setattr(operator._reconciler, "work", lambda *, seconds: None)
            await add_leak(store)
            await eventually(lambda: "queue" in readiness.liveness.problems())
        await eventually(lambda: readiness.liveness.problems() == {})


async def test_what_happens_in_namespaces_not_served_is_not_taken_in(
    settings: OperatorSettings, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    monkeypatch.setattr(
        Reconciler, "take_event", lambda _self, event, _time_us: taken.append(event.subject)
    )
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=2500)
    served = settings.model_copy(update={"namespaces": ("west",)})
    operator = Operator(served, store=store, bus=bus, readiness=Readiness())
    for namespace in ("east", "west"):
        operator._take_event(
            ReactorRestarted(namespace=namespace, name="bruce-1", uid=UUID(int=1), tick_us=0), 0
        )
    await bus.close()
    assert taken == ["west/bruce-1"]
