"""Live frames: from Kafka to a socket."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from reactorsync.bus.port import Producer
from reactorsync.signals import SIGNAL_INDEX, SIGNAL_NAMES
from reactorsync.wire.frame import Frame, FrameOrigin, reactor_column
from reactorsync_api.live import Feed
from reactorsync_api.live_socket import MOST_CHARACTERS
from tests.api.conftest import RunningApi, running_api


def frame(keys: list[str], *, tick_us: int, power: float = 100.0, shard: int = 0) -> Frame:
    readings = np.full((len(SIGNAL_NAMES), len(keys)), np.nan, np.float32)
    readings[SIGNAL_INDEX["neutron_power_percent"]] = power
    return Frame(
        tick_us=tick_us,
        origin=FrameOrigin(shard=shard, run="test", epoch=1, sequence=tick_us // 1_000_000),
        reactors=reactor_column(keys),
        trip_causes=np.zeros(len(keys), np.uint8),
        readings=readings,
    )


@pytest.fixture
async def api(database_url: str, broker: str) -> AsyncIterator[RunningApi]:
    """A server of the test's own: it remembers the newest frames."""
    async with running_api(database_url, broker) as running:
        yield running


@pytest.fixture
async def producer(api: RunningApi) -> AsyncIterator[Producer]:
    producer = api.bus.producer(client_id="test")
    await producer.start()
    yield producer
    await producer.stop()


async def publish(api: RunningApi, producer: Producer, sent: Frame) -> None:
    await producer.send(
        api.settings.topics.telemetry(sent.tick_us),
        sent.encode(),
        headers=sent.envelope(source="test").headers(),
        partition=sent.origin.shard,
    )


async def receive(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 10))
    return message


async def ready(api: RunningApi) -> None:
    deadline = time.monotonic() + 15
    while (await api.client.get("/readyz")).status_code != 200:
        assert time.monotonic() < deadline, (await api.client.get("/readyz")).text
        await asyncio.sleep(0.1)


async def subscribed(api: RunningApi, **subscription: Any) -> ClientConnection:
    socket = await connect(api.socket_url)
    assert (await receive(socket))["type"] == "hello"
    await socket.send(json.dumps({"subscribe": subscription}))
    assert (await receive(socket))["type"] == "subscribed"
    return socket


async def test_a_client_gets_the_reactors_and_signals_it_asked_for(
    api: RunningApi, producer: Producer
) -> None:
    await ready(api)
    async with await subscribed(
        api, reactors=["default/b"], signals=["neutron_power_percent", "primary_flow_kg_s"]
    ) as socket:
        sent = frame(["default/a", "default/b"], tick_us=1_700_000_000_000_000, power=99.5)
        await publish(api, producer, sent)

        message = await receive(socket)

    assert message["reactors"] == ["default/b"]
    assert message["values"] == [[99.5, None]]
    assert message["tick"] == "2023-11-14T22:13:20.000000Z"
    assert message["tripCauses"] == [None]


async def test_a_later_client_starts_with_the_newest_frame(
    api: RunningApi, producer: Producer
) -> None:
    await ready(api)
    async with await subscribed(api) as first:
        await publish(api, producer, frame(["default/a"], tick_us=2_000_000))
        await receive(first)
        async with await subscribed(api) as second:
            message = await receive(second)

    assert message["reactors"] == ["default/a"]


async def test_history_is_not_replayed_at_start(database_url: str, broker: str) -> None:
    async with running_api(database_url, broker) as api:
        producer = api.bus.producer(client_id="test")
        await producer.start()
        for second in range(1, 6):
            await publish(api, producer, frame(["default/a"], tick_us=second * 1_000_000))
        await producer.stop()
        await ready(api)

        async with await subscribed(api) as socket:
            message = await receive(socket)

    assert message["tick"].endswith("00:00:05.000000Z")


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "{}",
        '{"subscribe": {"signals": ["colour"]}}',
        '{"subscribe": {"all": true}}',
        b"\x00\xff",
        b'{"subscribe": {}}',
        json.dumps({"subscribe": {"reactors": ["x" * MOST_CHARACTERS]}}),
    ],
    ids=["no JSON", "empty", "unknown signal", "unknown field", "bytes", "binary JSON", "too long"],
)
async def test_a_message_that_cannot_be_read_is_answered_and_changes_nothing(
    api: RunningApi, producer: Producer, text: str | bytes
) -> None:
    await ready(api)
    async with await subscribed(api, signals=["neutron_power_percent"]) as socket:
        await socket.send(text)
        answer = await receive(socket)
        await publish(api, producer, frame(["default/a"], tick_us=3_000_000))
        message = await receive(socket)

    assert answer["type"] == "error"
    assert answer["detail"]
    assert message["signals"] == ["neutron_power_percent"]


async def test_a_trip_cause_of_a_later_version_is_shown_by_its_number(
    api: RunningApi, producer: Producer
) -> None:
    await ready(api)
    sent = frame(["default/a"], tick_us=5_000_000)
    later = dataclasses.replace(sent, trip_causes=np.array([200], np.uint8))
    async with await subscribed(api) as socket:
        await publish(api, producer, later)

        message = await receive(socket)

    assert message["tripCauses"] == ["Unknown200"]


async def test_an_undecodable_frame_is_skipped(api: RunningApi, producer: Producer) -> None:
    await ready(api)
    async with await subscribed(api) as socket:
        await producer.send(api.settings.topics.telemetry(0), b"no arrow", partition=0)
        await publish(api, producer, frame(["default/a"], tick_us=4_000_000))

        message = await receive(socket)

    assert message["reactors"] == ["default/a"]


async def test_a_slow_client_gets_the_newest_and_is_told_what_it_missed() -> None:
    feed = Feed()
    for second in range(5):
        feed.offer(frame(["default/a"], tick_us=second * 1_000_000))
    feed.offer(frame(["default/b"], tick_us=0, shard=1))

    taken = await feed.take()

    assert [(one.origin.shard, one.tick_us) for one in taken] == [(0, 4_000_000), (1, 0)]
    assert feed.skipped == 4


async def test_with_a_token_nobody_gets_in_without_it(database_url: str, broker: str) -> None:
    token = "a-token-of-some-length"
    async with running_api(database_url, broker, token=token) as api:
        anonymous = await api.client.get("/api/v1/reactors", headers={"Authorization": ""})
        probe = await api.client.get("/healthz", headers={"Authorization": ""})
        known = await api.client.get("/api/v1/reactors")
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            async with connect(api.socket_url) as socket:
                await socket.recv()
        async with connect(f"{api.socket_url}?token={token}") as socket:
            hello = await receive(socket)

    assert anonymous.status_code == 401
    assert anonymous.headers["www-authenticate"] == "Bearer"
    assert probe.status_code == 200
    assert known.status_code == 200
    assert hello["protocol"] == 1


async def test_a_page_from_elsewhere_cannot_use_the_loopback_api(api: RunningApi) -> None:
    from_a_page = await api.client.get(
        "/api/v1/reactors", headers={"Origin": "https://elsewhere.example"}
    )
    rebound = await api.client.get("/api/v1/reactors", headers={"Host": "elsewhere.example"})
    with pytest.raises(InvalidStatus):
        async with connect(api.socket_url, origin="https://elsewhere.example"):  # type: ignore[arg-type]
            pass

    assert from_a_page.status_code == 403
    assert rebound.status_code == 403
