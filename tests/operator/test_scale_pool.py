"""The generator pool as a workload of the cluster."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import kmock as kmocks
import pytest

from reactorsync.kube import Cluster, KubeClient
from reactorsync_operator.leadership import NotLeading
from reactorsync_operator.pool import (
    LONGEST_PAUSE_SECONDS,
    PoolUnavailable,
    ScalePool,
    generators_for,
    keep_pool,
)

pytestmark = pytest.mark.kmock(cls=kmocks.RawHandler)

SCALE = "/apis/apps/v1/namespaces/plant/statefulsets/generator/scale"


@pytest.fixture
async def client(kmock: kmocks.RawHandler) -> AsyncIterator[KubeClient]:
    cluster = Cluster(server=str(kmock.url).rstrip("/"))
    async with KubeClient(cluster, field_manager="tests", timeout_seconds=1.0) as client:
        yield client


@pytest.fixture
def pool(client: KubeClient) -> ScalePool:
    return ScalePool(client, namespace="plant", workload="statefulset/generator")


def refusal(reason: str) -> dict[str, str]:
    return {"kind": "Status", "reason": reason, "message": "said the server"}


async def test_the_scale_is_patched_when_it_is_another(
    kmock: kmocks.RawHandler, pool: ScalePool
) -> None:
    kmock[f"get {SCALE}"] << {"spec": {"replicas": 2}}
    kmock[f"patch {SCALE}"] << {"spec": {"replicas": 3}}
    await pool.resize(3)
    (request,) = kmock["patch"]
    assert request.data == {"spec": {"replicas": 3}}
    await pool.resize(2)
    assert len(kmock["patch"]) == 1


async def test_a_size_that_somebody_else_has_set_meanwhile_is_not_overwritten(
    kmock: kmocks.RawHandler, pool: ScalePool
) -> None:
    read = {"metadata": {"name": "generator", "resourceVersion": "7"}, "spec": {"replicas": 2}}
    kmock[f"get {SCALE}"] << read
    kmock[f"patch {SCALE}"] << 409 << refusal("Conflict")
    with pytest.raises(PoolUnavailable) as caught:
        await pool.resize(3)
    (request,) = kmock["patch"]
    assert request.data == {"metadata": {"resourceVersion": "7"}, "spec": {"replicas": 3}}
    assert caught.value.reason == "Conflict"


async def test_none_are_written_as_nothing(kmock: kmocks.RawHandler, pool: ScalePool) -> None:
    kmock[f"get {SCALE}"] << {"spec": {}}
    await pool.resize(0)
    assert len(kmock["patch"]) == 0


@pytest.mark.parametrize(
    ("code", "reason", "says"),
    [
        (404, "NotFound", "there is no statefulset/generator in namespace plant"),
        (403, "Forbidden", "no right to get and patch the scale of statefulset/generator"),
    ],
)
async def test_what_is_in_the_way_is_said(
    kmock: kmocks.RawHandler, pool: ScalePool, code: int, reason: str, says: str
) -> None:
    kmock[f"get {SCALE}"] << code << refusal(reason)
    with pytest.raises(PoolUnavailable, match=says) as caught:
        await pool.resize(3)
    assert caught.value.reason == reason


async def test_without_the_lease_nothing_is_patched(
    kmock: kmocks.RawHandler, client: KubeClient
) -> None:
    kmock[f"get {SCALE}"] << {"spec": {"replicas": 2}}
    pool = ScalePool(
        client, namespace="plant", workload="statefulset/generator", may_write=lambda: False
    )
    with pytest.raises(NotLeading):
        await pool.resize(3)
    assert len(kmock["patch"]) == 0


async def test_attempts_in_vain_grow_rare(
    kmock: kmocks.RawHandler, pool: ScalePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kmock[f"get {SCALE}"] << 403 << refusal("Forbidden")
    monkeypatch.setattr("reactorsync_operator.pool.LOOK_SECONDS", 0.01)
    began = time.monotonic()

    def fast() -> float:
        return (time.monotonic() - began) * 1000

    task = asyncio.create_task(keep_pool(pool, lambda: 3, clock=fast))
    await asyncio.sleep(1.0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    thousand_seconds_of_longest_pauses = 1000 / (LONGEST_PAUSE_SECONDS / 2)
    assert 2 <= len(kmock["get"]) <= thousand_seconds_of_longest_pauses + 16


@pytest.mark.parametrize(("readings", "generators"), [(0, 2), (2500, 3), (100_000, 6), (20_000, 6)])
def test_the_bounds_hold(readings: float, generators: int) -> None:
    found = generators_for(readings, capacity=1000, shards=8, at_least=2, at_most=6)
    assert found == generators


def test_there_are_never_more_than_shards() -> None:
    assert generators_for(0, capacity=1000, shards=4, at_least=6, at_most=9) == 4
