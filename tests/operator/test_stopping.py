"""An operator that is told to stop while something it needs is away."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import BrokerUnavailable
from reactorsync.kube import KubeClient
from reactorsync.service import Readiness
from reactorsync.store.postgres import PostgresStore
from reactorsync_operator.app import Operator
from reactorsync_operator.settings import OperatorSettings
from tests.cluster_installation import ClusterInstallation
from tests.clusters import TestCluster
from tests.part_process import until
from tests.servers import FreshBroker

STOP_SECONDS = 10.0


@pytest.fixture
async def installation(
    kube: KubeClient,
    kube_namespace: str,
    test_cluster: TestCluster,
    fresh_broker: FreshBroker,
    tmp_path: Path,
) -> AsyncIterator[ClusterInstallation]:
    """A namespace whose broker the test may stop; an operator is the test's to start."""
    installation = ClusterInstallation(
        kube,
        namespace=kube_namespace,
        kubeconfig=test_cluster.kubeconfig,
        bootstrap=fresh_broker.bootstrap,
        folder=tmp_path,
    )
    yield installation
    await installation.stop()


@pytest.mark.parametrize("away_seconds", [0, 3], ids=["at-that-moment", "for-a-while"])
async def test_without_a_broker_it_stops_in_time_and_gives_the_lease_back(
    installation: ClusterInstallation, fresh_broker: FreshBroker, away_seconds: int
) -> None:
    async def delivered() -> bool:
        return await installation.desired() == {f"{installation.namespace}/unit-1"}

    operator = installation.operator()
    await operator.ready()
    await installation.apply("Reactor", "unit-1", {"design": "Candu6"})
    await until(delivered)
    await fresh_broker.stop()
    await asyncio.sleep(away_seconds)
    operator.signal(signal.SIGTERM)
    assert await operator.ended(seconds=STOP_SECONDS) == 0
    assert await installation.leader() == ""


async def test_a_broker_that_goes_while_it_stops_does_not_hold_it_up(
    settings: OperatorSettings, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=2500)
    readiness, stopping = Readiness(), asyncio.Event()
    operator = Operator(settings, store=store, bus=bus, readiness=readiness)
    session = operator.publisher.session

    async def cut_off_at_the_end() -> None:
        try:
            await session()
        except asyncio.CancelledError as error:
            raise BrokerUnavailable("the connection was cut") from error

    monkeypatch.setattr(operator.publisher, "session", cut_off_at_the_end)
    task = asyncio.create_task(operator.run(stopping))
    async with asyncio.timeout(20):
        while not readiness.ready:
            await asyncio.sleep(0.05)
    stopping.set()
    done, _ = await asyncio.wait([task], timeout=STOP_SECONDS)
    assert done, "the broker's error must not hide that it is to stop"
    await bus.close()
