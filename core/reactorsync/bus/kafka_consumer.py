"""The consumer: aiokafka's, made to keep the port's promises and to recover by itself.

Three things differ from plain aiokafka. ``on_assigned`` runs beside the group's heartbeats, with
the partitions paused, so it may take its time. Silence is an error: :meth:`KafkaConsumer.poll`
raises when the broker has not answered for some seconds. And a consumer that is dead or stuck
while the broker answers is replaced (aio-libs/aiokafka#1154).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.structs import ConsumerRecord

from reactorsync.bus.aiokafka_internals import (
    abandon_consumer,
    consumer_is_dead,
    fresh_metadata,
    last_fetch_ms,
    watch_all_topics,
)
from reactorsync.bus.kafka_errors import (
    METADATA_MAX_AGE_MS,
    REQUEST_TIMEOUT_MS,
    RETRY_BACKOFF_MS,
    broker_errors,
)
from reactorsync.bus.port import BrokerUnavailable, Partition, RebalanceCallback, Record
from reactorsync.wire.topics import MAX_RECORD_BYTES

log = logging.getLogger(__name__)

_FETCH_WAIT_MS: Final = 200
"""The embedded broker needs at least its own listing time, some tens of ms, to find anything."""

_FETCH_BYTES: Final = 2 * MAX_RECORD_BYTES
_SILENCE_SECONDS: Final = 5.0
"""Without an answer to a fetch for so long, the broker is asked whether it is there at all."""

_STUCK_SECONDS: Final = 15.0
"""A consumer that gets nothing for so long, from a broker that answers, is replaced."""

_STOP_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Subscription:
    pattern: re.Pattern[str]
    on_assigned: RebalanceCallback
    on_revoked: RebalanceCallback


@dataclass(slots=True)
class _Silence:
    """How long nothing has been heard of the broker, or of the partitions, in monotonic seconds."""

    heard: float = field(default_factory=time.monotonic)
    moved: float = field(default_factory=time.monotonic)
    newest_fetch_ms: int = 0

    def note_fetch(self, fetch_ms: int) -> None:
        """A fetch was answered at ``fetch_ms`` (0 for none)."""
        if fetch_ms > self.newest_fetch_ms:
            self.newest_fetch_ms = fetch_ms
            self.heard = self.moved = time.monotonic()


class KafkaConsumer:
    """A consumer of one group, or of partitions it names itself."""

    def __init__(
        self, *, bootstrap: str, client_id: str, group: str | None, session_timeout_ms: int
    ) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._group = group
        self._session_timeout_ms = session_timeout_ms
        self._client: AIOKafkaConsumer | None = None
        self._subscription: _Subscription | None = None
        self._owned: frozenset[Partition] = frozenset()
        self._paused: set[Partition] = set()
        self._settled = True
        self._settling: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._silence = _Silence()

    async def start(self) -> None:
        """Connect. Raises :class:`BrokerUnavailable`; it may then be called again."""
        if self._client is None:
            self._client = await self._connected()

    async def stop(self) -> None:
        """Give the partitions back (``on_revoked`` is awaited), leave the group and disconnect."""
        client, self._client = self._client, None
        if client is None:
            return
        await self._lose()
        await _close(client)

    def subscribe(
        self,
        *,
        topics: Sequence[str] = (),
        pattern: re.Pattern[str] | None = None,
        on_assigned: RebalanceCallback,
        on_revoked: RebalanceCallback,
    ) -> None:
        """Join the group; see :meth:`Consumer.subscribe`. Before or after :meth:`start`."""
        if self._group is None:
            raise ValueError("a consumer without a group cannot subscribe")
        if (pattern is None) == (not topics):
            raise ValueError("give either topics or a pattern")
        if pattern is None:
            pattern = re.compile(f"^({'|'.join(map(re.escape, topics))})$")
        self._subscription = _Subscription(pattern, on_assigned, on_revoked)
        if self._client is not None:
            self._apply_subscription(self._client)

    def assign(self, partitions: Collection[Partition]) -> None:
        """Read exactly these partitions from their start, before or after :meth:`start`."""
        self._owned = frozenset(partitions)
        self._paused.clear()
        if self._client is not None:
            self._apply_assignment(self._client)

    async def partitions_of(self, topic: str) -> set[Partition]:
        """Return the partitions of ``topic``, empty while it does not exist."""
        with broker_errors(f"cannot ask for the partitions of {topic}"):
            metadata = await fresh_metadata(self._running())
        return {Partition(topic, number) for number in metadata.partitions_for_topic(topic) or ()}

    async def poll(self, *, timeout_seconds: float, max_records: int | None = None) -> list[Record]:
        """Return what has arrived; see :meth:`Consumer.poll`.

        Raises:
            BrokerUnavailable: the broker has not answered for some seconds; polling on is right,
                the consumer recovers by itself.
            Exception: whatever a rebalance callback raised, once.
        """
        client = self._running()
        self._raise_failure()
        if consumer_is_dead(client):
            client = await self._replace("a task of it has ended")
        batches: Mapping[TopicPartition, Sequence[ConsumerRecord]] = {}
        with broker_errors(f"cannot read from {self._bootstrap}"):
            # During a rebalance getmany waits for the assignment, however long that takes.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds + 0.05):
                    batches = await client.getmany(
                        timeout_ms=int(timeout_seconds * 1000), max_records=max_records
                    )
        self._raise_failure()
        records = [_record(found) for batch in batches.values() for found in batch]
        records = [record for record in records if record.partition in self._owned]
        if not records:
            await self._check_silence(client)
        return records

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from ``offset``; -1 seeks to the start.

        Nothing happens for a partition that has gone elsewhere. An offset beyond the end of the
        partition is not noticed by every broker: the embedded one waits until the partition has
        grown past it. So offsets must be kept together with :meth:`Bus.cluster_id`.
        """
        if partition in self._owned:
            # Below the first offset the reset policy takes over, which is "earliest".
            self._running().seek(_theirs(partition), max(offset, 0))

    async def position(self, partition: Partition) -> int:
        """Return the offset of the next record to be read.

        Raises:
            LookupError: the partition is not, or no longer, assigned.
            BrokerUnavailable: the position is not known yet and the broker does not answer.
        """
        if partition not in self._owned:
            raise LookupError(f"{partition} is not assigned")
        with broker_errors(f"cannot tell the position in {partition.topic}"):
            async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000):
                return int(await self._running().position(_theirs(partition)))

    def high_watermark(self, partition: Partition) -> int | None:
        """Return the end of the partition as the last fetch saw it, ``None`` before the first."""
        client = self._client
        if client is None or _theirs(partition) not in client.assignment():
            return None
        end: int | None = client.highwater(_theirs(partition))
        return end

    def pause(self, partitions: Collection[Partition]) -> None:
        """Stop fetching those of ``partitions`` that are assigned."""
        chosen = self._owned.intersection(partitions)
        self._paused |= chosen
        self._running().pause(*map(_theirs, chosen))

    def resume(self, partitions: Collection[Partition]) -> None:
        """Fetch those of ``partitions`` that are assigned."""
        chosen = self._owned.intersection(partitions)
        self._paused -= chosen
        if self._settled:
            self._running().resume(*map(_theirs, chosen))

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Tell the group how far this member is; partitions that have gone are left out."""
        known = {_theirs(part): offset for part, offset in offsets.items() if part in self._owned}
        if known:
            with broker_errors("cannot commit"):
                async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000):
                    await self._running().commit(known)

    def _running(self) -> AIOKafkaConsumer:
        if self._client is None:
            raise BrokerUnavailable("the consumer is not connected")
        return self._client

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    # --- Connecting ---------------------------------------------------------------------------

    async def _connected(self) -> AIOKafkaConsumer:
        session = self._session_timeout_ms
        client = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            group_id=self._group,
            session_timeout_ms=session,
            heartbeat_interval_ms=max(400, min(session // 6, 3000)),
            # The broker holds a join back until all members have come, at most for a session.
            request_timeout_ms=max(REQUEST_TIMEOUT_MS, 2 * session),
            # A class of its own, because the assignor keeps what it remembers in its class.
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
            with broker_errors(f"cannot connect to {self._bootstrap}"):
                await client.start()
            self._silence = _Silence()
            if self._subscription is not None:
                self._apply_subscription(client)
            elif self._owned:
                self._apply_assignment(client)
        except BaseException:
            await _close(client)
            raise
        return client

    def _apply_subscription(self, client: AIOKafkaConsumer) -> None:
        assert self._subscription is not None  # noqa: S101 - the callers have checked
        # By a pattern even for fixed topics: aiokafka then asks for no topic by name.
        client.subscribe(pattern=self._subscription.pattern, listener=_Listener(self))

    def _apply_assignment(self, client: AIOKafkaConsumer) -> None:
        client.assign([_theirs(partition) for partition in self._owned])
        watch_all_topics(client)

    async def _replace(self, reason: str) -> AIOKafkaConsumer:
        """Connect anew; positions of named partitions are kept. Raises BrokerUnavailable."""
        log.warning("consumer %s is replaced: %s", self._client_id, reason)
        old = self._running()
        positions = {} if self._subscription else _positions(old, self._owned)
        if self._subscription is not None:
            await self._lose()
        await _close(old)
        ...
        return old

    # --- Rebalancing --------------------------------------------------------------------------
