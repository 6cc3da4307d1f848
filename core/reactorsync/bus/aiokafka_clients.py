"""How aiokafka's clients are set up: sizes, waiting times, and what a volatile broker needs."""

from __future__ import annotations

from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from reactorsync.bus.aiokafka_internals import close_consumer, close_producer
from reactorsync.bus.kafka_errors import broker_errors
from reactorsync.wire.topics import MAX_RECORD_BYTES

REQUEST_TIMEOUT_MS: Final = 5000
"""How long the broker may take to answer one request."""

RETRY_BACKOFF_MS: Final = 100
"""Pause of the client before it repeats a request."""

METADATA_MAX_AGE_MS: Final = 3000
"""How soon a client notices a topic that is new, or gone."""

STOP_SECONDS: Final = 5.0
"""How long an orderly stop may take; then the client is dropped."""

_FETCH_WAIT_MS: Final = 50
"""The embedded broker sleeps a share of this between two looks at an empty partition: what is sent
arrives after 15 ms (40 ms with 200), and eight idle clients cost it a tenth of a core."""

_FETCH_BYTES: Final = 2 * MAX_RECORD_BYTES
_LINGER_MS: Final = 5
_BATCH_BYTES: Final = 1 << 20
_ENVELOPE_BYTES: Final = 1 << 16


async def connected_producer(bootstrap: str, *, client_id: str) -> AIOKafkaProducer:
    """Return a producer that waits for all replicas. Raises ``BrokerUnavailable``.

    It is not idempotent: aiokafka would then never give a batch up, and the embedded broker refuses
    the version of the request that it sends.
    """
    client = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        acks="all",
        enable_idempotence=False,
        linger_ms=_LINGER_MS,
        max_batch_size=_BATCH_BYTES,
        max_request_size=MAX_RECORD_BYTES + _ENVELOPE_BYTES,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        retry_backoff_ms=RETRY_BACKOFF_MS,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
    )
    try:
        with broker_errors(f"cannot connect to {bootstrap}"):
            await client.start()
    except BaseException:
        await close_producer(client, timeout_seconds=STOP_SECONDS)
        raise
    return client


async def connected_consumer(
    bootstrap: str, *, client_id: str, group: str | None, session_timeout_ms: int
) -> AIOKafkaConsumer:
    """Return a consumer that has nothing to read yet. Raises ``BrokerUnavailable``."""
    client = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        group_id=group,
        session_timeout_ms=session_timeout_ms,
        heartbeat_interval_ms=max(400, min(session_timeout_ms // 6, 3000)),
        # The broker answers a join when all members have come, at most a session later.
        request_timeout_ms=max(REQUEST_TIMEOUT_MS, 2 * session_timeout_ms),
        # A class of its own, because this assignor keeps its memory in the class.
        partition_assignment_strategy=(type("Sticky", (StickyPartitionAssignor,), {}),),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        fetch_max_bytes=_FETCH_BYTES,
        max_partition_fetch_bytes=_FETCH_BYTES,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
        retry_backoff_ms=RETRY_BACKOFF_MS,
    )
    try:
        with broker_errors(f"cannot connect to {bootstrap}"):
            await client.start()
    except BaseException:
        await close_consumer(client, timeout_seconds=STOP_SECONDS)
        raise
    return client
