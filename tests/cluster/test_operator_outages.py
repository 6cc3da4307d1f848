"""The API server or the broker goes away and comes back; what was declared happens all the same."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from reactorsync.kube import KubeClient
from reactorsync.wire.events import FaultRecovered
from tests.cluster.conftest import OwnCluster
from tests.cluster_installation import ClusterInstallation
from tests.clusters import JsonObject, TestCluster
from tests.part_process import until
from tests.servers import FreshBroker

CANDU: JsonObject = {"design": "Candu6"}


def leak(*, seconds: int) -> JsonObject:
    return {
        "targets": {"selector": {}},
        "stages": [{"name": "leak", "fault": "PrimaryLeak", "durationSeconds": seconds}],
    }


@pytest.mark.parametrize(
    "away_seconds", [4, 14], ids=["shorter-than-the-lease", "until-the-lease-is-lost"]
)
async def test_a_run_ends_in_time_without_the_api_server_and_is_told_afterwards(
    own_cluster: OwnCluster, own_installation: ClusterInstallation, away_seconds: int
) -> None:
    installation = own_installation
    operator = installation.operator()
    await installation.apply("Reactor", "unit-1", CANDU)
    await installation.until_it_says("Reactor", "unit-1", "Ready", seconds=40)
    await installation.apply("AnomalyScenario", "leak", leak(seconds=5))
    scenario = await installation.until_it_says("AnomalyScenario", "leak", "Injected")
    end = datetime.fromisoformat(scenario["status"]["run"]["endTime"])

    async with installation.tapped() as tap:
        await own_cluster.stop_api_server()
        await asyncio.sleep(away_seconds)
        await own_cluster.start_api_server()
        if not operator.is_running:
            # As a kubelet would; without its lease it may do nothing, so it ends.
            installation.operator()

        scenario = await installation.until_it_says(
            "AnomalyScenario", "leak", "Recovered", seconds=60
        )
        (recovered,) = tap.of(FaultRecovered, scenario)
        assert 0 <= recovered.tick_us / 1e6 - end.timestamp() <= 1
    assert scenario["status"]["run"]["number"] == 1
    assert scenario["status"]["run"]["phase"] == "Completed"
    await installation.apply("Reactor", "unit-2", CANDU)
    await installation.until_it_says("Reactor", "unit-2", "Ready", seconds=30)


@pytest.fixture
async def lonely(
    kube: KubeClient,
    kube_namespace: str,
    test_cluster: TestCluster,
    fresh_broker: FreshBroker,
    tmp_path: Path,
) -> AsyncIterator[ClusterInstallation]:
    """An installation with a broker of its own, a generator and an operator."""
    installation = ClusterInstallation(
        kube,
        namespace=kube_namespace,
        kubeconfig=test_cluster.kubeconfig,
        bootstrap=fresh_broker.bootstrap,
        folder=tmp_path,
    )
    await installation.make_topics()
    installation.generator(generator_name="generator-0")
    installation.operator()
    yield installation
    await installation.stop()


async def test_a_broker_that_is_away_is_named_in_the_status(
    lonely: ClusterInstallation, fresh_broker: FreshBroker
) -> None:
    await lonely.apply("Reactor", "unit-1", CANDU)
    await lonely.until_it_says("Reactor", "unit-1", "Ready", seconds=40)

    await fresh_broker.stop()
    await lonely.apply("Reactor", "unit-1", {**CANDU, "powerSetpointPermille": 900})

    await lonely.until_it_says(
        "Reactor", "unit-1", "Ready", "False", reason="DeliveryUnavailable", seconds=60
    )
    fresh_broker.topics.update((spec.name, spec.partitions) for spec in lonely.topics.live(0))
    await fresh_broker.start()
    await lonely.until_it_says("Reactor", "unit-1", "Ready", seconds=60)

    async def it_is_all_there_again() -> bool:
        return await lonely.desired() == {f"{lonely.namespace}/unit-1"}

    await until(it_is_all_there_again)
