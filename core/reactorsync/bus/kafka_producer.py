"""The producer: one aiokafka producer, whose single sender batches what many coroutines send."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from reactorsync.bus.aiokafka_clients import RETRY_BACKOFF_MS, STOP_SECONDS, connected_producer
from reactorsync.bus.aiokafka_internals import close_producer, drop_producer, producer_is_dead
from reactorsync.bus.kafka_errors import broker_errors
from reactorsync.bus.port import BrokerUnavailable
from reactorsync.wire.envelope import Headers
from reactorsync.wire.topics import MAX_RECORD_BYTES

log = logging.getLogger(__name__)

_SEND_SECONDS: Final = 10.0
"""Bound on one record: to find its topic, to wait for room, two attempts at the request."""


class KafkaProducer:
    """Sends records and waits until all replicas have them.

    A repeated request may write a batch twice, though never in another order; readers tell by
    ``ce_id`` or by the tick.
    """

    def __init__(self, *, bootstrap: str, client_id: str) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._client: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Connect. Raises :class:`BrokerUnavailable`; it may then be called again."""
        async with self._lock:
            if self._client is None:
                self._client = await connected_producer(self._bootstrap, client_id=self._client_id)

    async def stop(self) -> None:
        """Send what is buffered, for at most five seconds, and disconnect."""
        async with self._lock:
            client, self._client = self._client, None
            if client is not None:
                await close_producer(client, timeout_seconds=STOP_SECONDS)

    async def discard(self) -> None:
        """Disconnect at once; :meth:`send` raises for what was not acknowledged by then."""
        async with self._lock:
            client, self._client = self._client, None
            if client is not None:
                await drop_producer(client)

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> int:
        """Send one record and return its offset; see :meth:`Producer.send`.

        A topic that does not exist is waited for, not created.

        Raises:
            BrokerUnavailable: not acknowledged within ten seconds.
            ValueError: the record is larger than :data:`MAX_RECORD_BYTES`, has neither key nor
                value, or names a partition that the topic does not have.
        """
        if key is None and value is None:
            raise ValueError("a record needs a key or a value")
        if len(key or b"") + len(value or b"") > MAX_RECORD_BYTES:
            raise ValueError(f"record is larger than {MAX_RECORD_BYTES} bytes")
        try:
            with broker_errors(f"cannot send to {topic}"):
                async with asyncio.timeout(_SEND_SECONDS):
                    client = await self._living()
                    partitions = await _partitions(client, topic)
                    if partition is not None and partition not in partitions:
                        raise ValueError(f"{topic} has no partition {partition}")
                    future = await client.send(
                        topic, value, key=key, partition=partition, headers=list(headers)
                    )
                    metadata = await future
        except BrokerUnavailable as error:
            if isinstance(error.__cause__, MessageSizeTooLargeError):
                raise ValueError(f"{topic} does not accept records of this size") from error
            raise
        return int(metadata.offset)

    async def _living(self) -> AIOKafkaProducer:
        """Return the client; replace it when a task of it has died."""
        client = self._client
        if client is not None and not producer_is_dead(client):
            return client
        async with self._lock:
            client = self._client
            if client is None:
                raise BrokerUnavailable("the producer is not started")
            if producer_is_dead(client):
                log.warning("producer %s has stopped by itself; connecting anew", self._client_id)
                await close_producer(client, timeout_seconds=STOP_SECONDS)
                self._client = client = await connected_producer(
                    self._bootstrap, client_id=self._client_id
                )
            return client


async def _partitions(client: AIOKafkaProducer, topic: str) -> set[int]:
    """Return the partitions of ``topic``, waiting for it to appear.

    Asking aiokafka to wait would name the topic to the broker, which may then create it with a
    number of partitions of its own; the metadata of all topics names none.
    """
    while not (partitions := client.client.cluster.partitions_for_topic(topic)):
        await client.client.force_metadata_update()
        if not client.client.cluster.partitions_for_topic(topic):
            await asyncio.sleep(RETRY_BACKOFF_MS / 1000)
    return set(partitions)
