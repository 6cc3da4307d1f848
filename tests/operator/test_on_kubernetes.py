"""The whole operator on a real API server with a real broker."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any

import pytest
from pydantic import JsonValue

from reactorsync.bus.kafka import KafkaBus
from reactorsync.kube import Cluster, JsonObject, KubeClient
from reactorsync.resources import (
    ConditionStatus,
    ObjectMeta,
    Reactor,
    ReactorSpec,
    condition_of,
)
from reactorsync.service import Readiness
from reactorsync.store.kubernetes import KubernetesStore
from reactorsync_operator.app import Operator
from reactorsync_operator.lease import LeadershipLost
from reactorsync_operator.main import FIELD_MANAGER, operate_on_kubernetes
from reactorsync_operator.settings import OperatorSettings
from tests.operator.plant import Plants, simulated

_PREFIXES = count(1)


@pytest.fixture
def kube_settings(broker: str, kube_namespace: str) -> OperatorSettings:
    return OperatorSettings(
        control_plane="kubernetes",
        kafka_bootstrap=broker,
        topic_prefix=f"kubernetes{next(_PREFIXES)}",
        shards=4,
        namespaces=(kube_namespace,),
        lease_namespace=kube_namespace,
    )


@asynccontextmanager
async def operating(
    settings: OperatorSettings, cluster: Cluster, *, readiness: Readiness | None = None
) -> AsyncIterator[Operator]:
    """An operator that is asked to stop when the context ends."""
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=2500)
    stopping = asyncio.Event()
    made: asyncio.Future[Operator] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        operate_on_kubernetes(
            settings,
            stopping,
            readiness or Readiness(),
            bus=bus,
            cluster=cluster,
            made=made.set_result,
        )
    )
    try:
        yield await made
    finally:
        stopping.set()
        try:
            async with asyncio.timeout(15):
                await task
        finally:
            await bus.close()


@pytest.fixture
async def plants(kube_settings: OperatorSettings) -> AsyncIterator[Plants]:
    bus = KafkaBus(kube_settings.kafka_bootstrap, session_timeout_ms=2500)
    async with simulated(bus, kube_settings.topics) as plants:
        yield plants
    await bus.close()


async def until(met: Callable[[], bool], *, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.02)


def reactor(namespace: str, name: str) -> Reactor:
    spec = ReactorSpec.model_validate({"design": "Candu6"})
    return Reactor(metadata=ObjectMeta(name=name, namespace=namespace), spec=spec)


async def is_ready(store: KubernetesStore, namespace: str, name: str) -> bool:
    found = await store.get(Reactor, namespace, name)
    ready = condition_of(found.status.conditions, "Ready")
    return ready is not None and ready.status is ConditionStatus.TRUE


async def test_a_reactor_from_its_creation_to_its_deletion(
    kube: KubeClient,
    kube_cluster: Cluster,
    kube_namespace: str,
    kube_settings: OperatorSettings,
    plants: Plants,
) -> None:
    store = KubernetesStore(kube, namespaces=[kube_namespace])
    readiness = Readiness()
    async with operating(kube_settings, kube_cluster, readiness=readiness) as operator:
        await store.create(reactor(kube_namespace, "bruce-1"))
        async with asyncio.timeout(20):
            while f"{kube_namespace}/bruce-1" not in plants.desired:
                await asyncio.sleep(0.02)
            while not await is_ready(store, kube_namespace, "bruce-1"):
                await asyncio.sleep(0.02)
            while not (readiness.ready and operator.idle):
                await asyncio.sleep(0.02)
        path = f"/apis/reactorsync.dev/v1alpha1/namespaces/{kube_namespace}/reactors/bruce-1"
        document = await kube.get(path)
        assert isinstance(document["metadata"], dict)
        owners = document["metadata"]["managedFields"]
        assert isinstance(owners, list)
        assert {
            (owner["manager"], owner["operation"], owner.get("subresource"))
            for owner in owners
            if isinstance(owner, dict) and owner["manager"] == FIELD_MANAGER
        } == {(FIELD_MANAGER, "Apply", "status")}
        assert "finalizers" not in document["metadata"]
        assert "annotations" not in document["metadata"]
        assert readiness.liveness.problems() == {}
        await store.delete(Reactor, kube_namespace, "bruce-1")
        async with asyncio.timeout(20):
            while plants.desired:
                await asyncio.sleep(0.02)
        assert plants.records[-1] == (f"{kube_namespace}/bruce-1", None)


async def test_the_second_stands_by_and_takes_over(
    kube: KubeClient,
    kube_cluster: Cluster,
    kube_namespace: str,
    kube_settings: OperatorSettings,
    plants: Plants,
) -> None:
    store = KubernetesStore(kube, namespaces=[kube_namespace])
    await store.create(reactor(kube_namespace, "bruce-1"))
    second_readiness = Readiness()
    async with AsyncExitStack() as stack:
        first = AsyncExitStack()
        leader = await first.enter_async_context(operating(kube_settings, kube_cluster))
        await until(lambda: leader.idle)
        standby = await stack.enter_async_context(
            operating(kube_settings, kube_cluster, readiness=second_readiness)
        )
        await until(lambda: second_readiness.ready)
        assert f"{kube_namespace}/bruce-1" in standby.fleet.reactors, "it knows the fleet"
        assert second_readiness.report() == {"store": "ok"}, "and has no business with the broker"
        assert not standby.publisher.read_back.is_set()
        records, before = len(plants.records), await store.get(Reactor, kube_namespace, "bruce-1")
        began = time.monotonic()
        await first.aclose()
        await until(standby.publisher.complete.is_set)
        assert time.monotonic() - began < 10
        await until(lambda: standby.idle and second_readiness.ready)
        assert len(plants.records) == records, "nothing changed, nothing is published"
        assert await store.get(Reactor, kube_namespace, "bruce-1") == before


async def test_a_lost_lease_ends_it_at_once(
    kube: KubeClient,
    kube_cluster: Cluster,
    kube_namespace: str,
    kube_settings: OperatorSettings,
    plants: Plants,
) -> None:
    store = KubernetesStore(kube, namespaces=[kube_namespace])
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{kube_namespace}/leases"
    lease = f"{leases}/{kube_settings.lease_name}"

    async def deposed() -> None:
        async with operating(kube_settings, kube_cluster) as leader:
            await until(lambda: leader.idle)
            await kube.merge_patch(lease, {"spec": {"holderIdentity": "somebody-else"}})
            await until(lambda: not leader.publisher.read_back.is_set())
            await store.create(reactor(kube_namespace, "bruce-1"))
            await asyncio.sleep(1.0)

    with pytest.raises(BaseExceptionGroup) as caught:
        await deposed()
    assert caught.group_contains(LeadershipLost)
    assert (await store.get(Reactor, kube_namespace, "bruce-1")).status.observed_generation == 0
    assert plants.desired == {}
    held = await kube.get(lease)
    assert isinstance(held["spec"], dict)
    assert held["spec"]["holderIdentity"] == "somebody-else", "what is not ours is not released"


async def test_an_invalid_edit_is_told_and_a_valid_one_goes_on_from_where_it_was(
    kube: KubeClient,
    kube_cluster: Cluster,
    kube_namespace: str,
    kube_settings: OperatorSettings,
    plants: Plants,
) -> None:
    store = KubernetesStore(kube, namespaces=[kube_namespace])
    await store.create(reactor(kube_namespace, "bruce-1"))
    path = f"/apis/reactorsync.dev/v1alpha1/namespaces/{kube_namespace}/anomalyscenarios/leak"

    async def apply(**start: JsonValue) -> None:
        stage: JsonValue = {"name": "leak", "fault": "PrimaryLeak", "durationSeconds": 600}
        document: JsonObject = {
            "apiVersion": "reactorsync.dev/v1alpha1",
            "kind": "AnomalyScenario",
            "metadata": {"name": "leak"},
            "spec": {"targets": {"selector": {}}, "stages": [stage], **start},
        }
        await kube.apply(path, document)

    async def until_it_says(type_: str, reason: str | None) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while True:
                status: dict[str, Any] = dict(await kube.get(path)).get("status") or {}  # type: ignore[assignment]
                reasons = {one["type"]: one["reason"] for one in status.get("conditions", [])}
                if reasons.get(type_) == reason and reasons:
                    return status
                await asyncio.sleep(0.05)

    async def events(reason: str) -> list[JsonObject]:
        found = await kube.get(f"/apis/events.k8s.io/v1/namespaces/{kube_namespace}/events")
        assert isinstance(found["items"], list)
        return [one for one in found["items"] if isinstance(one, dict) and one["reason"] == reason]

    def faults() -> int:
        desired = plants.desired.get(f"{kube_namespace}/bruce-1")
        return len(desired.faults) if desired is not None else 0

    async with operating(kube_settings, kube_cluster) as operator:
        await apply()
        before = await until_it_says("Injected", "AllInjected")
        assert faults() == 1

        await apply(state="Aborted", schedule={"cron": "0 0 30 2 *"})

        refused = await until_it_says("Stalled", "InvalidSpec")
        await asyncio.sleep(1.0)
        assert faults() == 0, "what cannot be read acts on nothing"
        assert refused["run"]["number"] == before["run"]["number"]
        await until(lambda: operator.idle)
        (event,) = await events("InvalidSpec")
        assert event["type"] == "Warning"
        assert str(event["note"]).startswith("spec.schedule.cron: ")

        await apply()

        after = await until_it_says("Stalled", None)
        assert after["run"]["number"] == before["run"]["number"], "it is the same run"
        await until(lambda: faults() == 1)
        await until(lambda: operator.idle)
        async with asyncio.timeout(10):
            while not (repaired := await events("SpecRepaired")):
                await asyncio.sleep(0.05)
        assert "run 1 goes on, and its faults act again" in str(repaired[0]["note"])
