"""What aiokafka knows of its own health and does not say: the only place that looks inside it.

A consumer can be alive and stuck, and a task of a client can die without a word
(aio-libs/aiokafka#1154). Each function here is held by a test against a real broker, so that an
upgrade that changes the inside is noticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import ProducerClosed


def watch_all_topics(consumer: AIOKafkaConsumer) -> None:
    """Make ``consumer`` ask for the metadata of all topics instead of those it reads.

    aiokafka lets a broker create what it asks for by name: a topic that was deleted would come back
    with the wrong number of partitions.
    """
    consumer._client.set_topics([])  # noqa: SLF001


async def fresh_metadata(consumer: AIOKafkaConsumer) -> ClusterMetadata:
    """Return the cluster's metadata as it is now. Raises aiokafka's errors."""
    return await consumer._client.fetch_all_metadata()  # noqa: SLF001


def last_fetch_ms(consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> int:
    """Return when a fetch of one of ``partitions`` was last answered; 0 when none ever was."""
    subscription = consumer._subscription.subscription  # noqa: SLF001
    if subscription is None or subscription.assignment is None:
        return 0
    states = (subscription.assignment.state_value(partition) for partition in partitions)
    return max((state.timestamp or 0 for state in states if state is not None), default=0)


def consumer_is_dead(consumer: AIOKafkaConsumer) -> bool:
    """Return whether a background task of ``consumer`` has ended, so that it never will recover."""
    coordination = getattr(consumer._coordinator, "_coordination_task", None)  # noqa: SLF001
    fetcher = consumer._fetcher  # noqa: SLF001
    fetching = None if fetcher is None else fetcher.error_future
    return any(map(_has_ended, (coordination, fetching, _metadata_task(consumer._client))))  # noqa: SLF001


def producer_is_dead(producer: AIOKafkaProducer) -> bool:
    """Return whether a background task of ``producer`` has ended, so that it never will recover."""
    return any(map(_has_ended, (producer._sender.sender_task, _metadata_task(producer.client))))  # noqa: SLF001


async def abandon_consumer(consumer: AIOKafkaConsumer) -> None:
    """End the tasks of a consumer whose orderly stop did not come to an end."""
    coordinator = consumer._coordinator  # noqa: SLF001
    names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task")
    await _cancel(*(getattr(coordinator, name, None) for name in names))
    if consumer._fetcher is not None:  # noqa: SLF001
        await consumer._fetcher.close()  # noqa: SLF001
    await consumer._client.close()  # noqa: SLF001


async def abandon_producer(producer: AIOKafkaProducer) -> None:
    """End the tasks of a producer whose orderly stop did not come to an end."""
    producer._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001
    await _cancel(producer._sender.sender_task)  # noqa: SLF001
    await producer.client.close()


def _metadata_task(client: AIOKafkaClient) -> asyncio.Task[None] | None:
    task: asyncio.Task[None] | None = client._sync_task  # noqa: SLF001
    return task


def _has_ended(task: asyncio.Future[object] | None) -> bool:
    return task is not None and task.done()


async def _cancel(*tasks: asyncio.Task[object] | None) -> None:
    for task in tasks:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
