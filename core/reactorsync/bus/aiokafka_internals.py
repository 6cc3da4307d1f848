"""What aiokafka knows of its own health and does not say: the only place that looks inside it.

A consumer can be alive and stuck, and a task of a client can die without a word
(aio-libs/aiokafka#1154). Each function here is held by a test against a real broker, so that an
upgrade that changes the inside is noticed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import ProducerClosed

log = logging.getLogger(__name__)


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


def known_positions(consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
    """Return the offset of the next record of each assigned partition, as far as it is known."""
    subscription = consumer._subscription.subscription  # noqa: SLF001
    if subscription is None or subscription.assignment is None:
        return {}
    states = {
        partition: subscription.assignment.state_value(partition)
        for partition in subscription.assignment.tps
    }
    return {
        partition: state.position for partition, state in states.items() if state.has_valid_position
    }


def consumer_is_dead(consumer: AIOKafkaConsumer) -> bool:
    """Return whether a background task of ``consumer`` has ended, so that it never will recover."""
    coordination = getattr(consumer._coordinator, "_coordination_task", None)  # noqa: SLF001
    fetcher = consumer._fetcher  # noqa: SLF001
    fetching = None if fetcher is None else fetcher.error_future
    return any(map(_has_ended, (coordination, fetching, _metadata_task(consumer._client))))  # noqa: SLF001


def producer_is_dead(producer: AIOKafkaProducer) -> bool:
    """Return whether a background task of ``producer`` has ended, so that it never will recover."""
    return any(map(_has_ended, (producer._sender.sender_task, _metadata_task(producer.client))))  # noqa: SLF001


async def close_consumer(consumer: AIOKafkaConsumer, *, timeout_seconds: float) -> None:
    """Stop ``consumer`` in order, or end its tasks when that takes too long or fails."""
    if await _ends(consumer.stop(), timeout_seconds):
        return
    coordinator, fetcher = consumer._coordinator, consumer._fetcher  # noqa: SLF001
    names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task")
    tasks = [getattr(coordinator, name, None) for name in names]
    if fetcher is not None:
        tasks += [fetcher.error_future, *fetcher._pending_tasks]  # noqa: SLF001
    await _cancel(*tasks)
    await consumer._client.close()  # noqa: SLF001


async def close_producer(producer: AIOKafkaProducer, *, timeout_seconds: float) -> None:
    """Send what ``producer`` holds and stop it, or drop it when that takes too long or fails."""
    if not await _ends(producer.stop(), timeout_seconds):
        await drop_producer(producer)


async def drop_producer(producer: AIOKafkaProducer) -> None:
    """End ``producer`` at once; what it holds is not sent."""
    producer._closed = True  # noqa: SLF001
    producer._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001
    await _cancel(producer._sender.sender_task)  # noqa: SLF001
    await producer.client.close()


async def close_admin(admin: AIOKafkaAdminClient, *, timeout_seconds: float) -> None:
    """Close ``admin``; what is not closed in time is left to the garbage collector."""
    await _ends(admin.close(), timeout_seconds)


async def _ends(stop: Coroutine[None, None, None], timeout_seconds: float) -> bool:
    """Return whether ``stop`` comes to a good end in time.

    In a task of its own: aiokafka lets the cancellation of its inner tasks through to the caller,
    and keeps one of the caller that comes meanwhile to itself.
    """
    task = asyncio.create_task(stop)
    await asyncio.wait([task], timeout=timeout_seconds)
    if task.done() and not task.cancelled() and task.exception() is None:
        return True
    log.warning("aiokafka did not stop in order within %g s; ending its tasks", timeout_seconds)
    await _cancel(task)
    return False


def _metadata_task(client: AIOKafkaClient) -> asyncio.Task[None] | None:
    task: asyncio.Task[None] | None = client._sync_task  # noqa: SLF001
    return task


def _has_ended(task: asyncio.Task[None] | None) -> bool:
    return task is not None and task.done()


async def _cancel(*tasks: asyncio.Task[None] | None) -> None:
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
