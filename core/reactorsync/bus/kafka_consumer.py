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
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.structs import ConsumerRecord

from reactorsync.bus.aiokafka_clients import (
    REQUEST_TIMEOUT_MS,
    STOP_SECONDS,
    connected_consumer,
)
from reactorsync.bus.aiokafka_internals import (
    close_consumer,
    consumer_is_dead,
    fresh_metadata,
    known_positions,
    last_fetch_ms,
    watch_all_topics,
)
from reactorsync.bus.aiokafka_records import from_aiokafka, to_aiokafka, to_record
from reactorsync.bus.kafka_errors import broker_errors
from reactorsync.bus.port import BrokerUnavailable, Partition, RebalanceCallback, Record
from reactorsync.bus.silence import Silence

log = logging.getLogger(__name__)

_SILENCE_SECONDS: Final = 5.0
"""Without an answer to a fetch for so long, the broker is asked whether it is there at all."""

_STUCK_SECONDS: Final = 15.0
"""A consumer that gets no answer for so long, from a broker that is there, is replaced."""


@dataclass(frozen=True, slots=True)
class _Subscription:
    pattern: re.Pattern[str]
    on_assigned: RebalanceCallback
    on_revoked: RebalanceCallback


class KafkaConsumer:
    """A member of a group, or a reader of partitions it names itself. For one task at a time."""

    def __init__(
        self, *, bootstrap: str, client_id: str, group: str | None, session_timeout_ms: int
    ) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._group = group
        self._session_timeout_ms = session_timeout_ms
        self._client: AIOKafkaConsumer | None = None
        self._started = False
        self._subscription: _Subscription | None = None
        self._joined = False
        self._owned: frozenset[Partition] = frozenset()
        self._paused: set[Partition] = set()
        self._resume_at: dict[Partition, int] = {}
        self._settled = True
        self._settling: asyncio.Task[None] | None = None
        self._losing = asyncio.Lock()
        self._failure: Exception | None = None
        self._silence = Silence()

    async def start(self) -> None:
        """Connect. Raises :class:`BrokerUnavailable`; it may then be called again."""
        if self._client is None:
            await self._connect()
        self._started = True

    async def stop(self) -> None:
        """Give the partitions back (``on_revoked`` is awaited), leave the group and disconnect."""
        self._started = False
        await self._disconnect()

    def subscribe(
        self,
        *,
        topics: Sequence[str] = (),
        pattern: re.Pattern[str] | None = None,
        on_assigned: RebalanceCallback,
        on_revoked: RebalanceCallback,
    ) -> None:
        """Join the group, now or at :meth:`start`; see :meth:`Consumer.subscribe`.

        When ``on_assigned`` raises, so does :meth:`poll`; the next poll calls it again. A rebalance
        cancels an ``on_assigned`` that still runs, then awaits ``on_revoked``.
        """
        if self._group is None:
            raise ValueError("a consumer without a group cannot subscribe")
        if (pattern is None) == (not topics):
            raise ValueError("give either topics or a pattern")
        if pattern is None:
            pattern = re.compile(f"^({'|'.join(map(re.escape, topics))})$")
        self._subscription = _Subscription(pattern, on_assigned, on_revoked)
        if self._client is not None:
            self._join(self._client, self._subscription)

    def assign(self, partitions: Collection[Partition]) -> None:
        """Read exactly these partitions, from their start unless :meth:`seek` says otherwise."""
        self._owned = frozenset(partitions)
        self._paused.clear()
        self._resume_at.clear()
        if self._client is not None:
            self._take(self._client)

    async def partitions_of(self, topic: str) -> set[Partition]:
        """Return the partitions of ``topic``, empty while it does not exist."""
        with broker_errors(f"cannot ask for the partitions of {topic}"):
            metadata = await fresh_metadata(self._connected())
        return {Partition(topic, number) for number in metadata.partitions_for_topic(topic) or ()}

    async def poll(self, *, timeout_seconds: float, max_records: int | None = None) -> list[Record]:
        """Return what has arrived; see :meth:`Consumer.poll`.

        Raises:
            BrokerUnavailable: the broker has not answered for some seconds. Polling on is right:
                the consumer recovers by itself.
            Exception: what a rebalance callback raised, once.
        """
        client = await self._living()
        self._raise_failure()
        self._settle_again()
        started = time.monotonic()
        batches: Mapping[TopicPartition, Sequence[ConsumerRecord]] = {}
        with (
            broker_errors(f"cannot read from {self._bootstrap}"),
            contextlib.suppress(TimeoutError),
        ):
            # The bound is for rebalances: getmany waits for their end, however long that takes.
            async with asyncio.timeout(timeout_seconds + 0.05):
                batches = await client.getmany(
                    timeout_ms=int(timeout_seconds * 1000), max_records=max_records
                )
        records = [to_record(found) for batch in batches.values() for found in batch]
        records = [record for record in records if record.partition in self._owned]
        if not self._settled or not records:
            self._raise_failure()
            await self._check_silence(client, time.monotonic() - started)
            return []
        return records

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from ``offset``; -1 seeks to the start of the partition.

        Nothing happens for a partition that has gone elsewhere. An offset beyond the end is not
        noticed by every broker: the embedded one waits until the partition has grown past it. So
        keep offsets together with :meth:`Bus.cluster_id`, and compare with :meth:`high_watermark`.
        """
        if partition not in self._owned:
            return
        # Below the first offset the reset policy ("earliest") takes over.
        offset = max(offset, 0)
        if self._subscription is None:
            self._resume_at[partition] = offset
        for client, chosen in self._assigned({partition}):
            client.seek(to_aiokafka(chosen), offset)

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
                return int(await self._connected().position(to_aiokafka(partition)))

    def high_watermark(self, partition: Partition) -> int | None:
        """Return the end of the partition as the last fetch saw it, ``None`` before the first."""
        ends: list[int | None] = [
            client.highwater(to_aiokafka(chosen)) for client, chosen in self._assigned({partition})
        ]
        return ends[0] if ends else None

    def pause(self, partitions: Collection[Partition]) -> None:
        """Stop fetching those of ``partitions`` that are assigned."""
        self._paused |= self._owned.intersection(partitions)
        for client, chosen in self._assigned(partitions):
            client.pause(to_aiokafka(chosen))

    def resume(self, partitions: Collection[Partition]) -> None:
        """Fetch those of ``partitions`` that are assigned."""
        self._paused -= set(partitions)
        if self._settled:
            for client, chosen in self._assigned(partitions):
                client.resume(to_aiokafka(chosen))

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Tell the group how far this member is; partitions that have gone are left out."""
        known = {
            to_aiokafka(part): offset for part, offset in offsets.items() if part in self._owned
        }
        if known:
            with broker_errors("cannot commit"):
                async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000):
                    await self._connected().commit(known)

    def _connected(self) -> AIOKafkaConsumer:
        if self._client is None:
            raise BrokerUnavailable(f"not connected to {self._bootstrap}")
        return self._client

    def _assigned(
        self, partitions: Iterable[Partition]
    ) -> list[tuple[AIOKafkaConsumer, Partition]]:
        """Return those of ``partitions`` that aiokafka holds, each with the client."""
        client = self._client
        if client is None:
            return []
        held = client.assignment()
        return [(client, partition) for partition in partitions if to_aiokafka(partition) in held]

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    # Connecting, and connecting anew

    async def _connect(self) -> AIOKafkaConsumer:
        client = await connected_consumer(
            self._bootstrap,
            client_id=self._client_id,
            group=self._group,
            session_timeout_ms=self._session_timeout_ms,
        )
        self._client = client
        self._silence = Silence()
        if self._subscription is not None:
            self._join(client, self._subscription)
        elif self._owned:
            self._take(client)
        return client

    def _join(self, client: AIOKafkaConsumer, subscription: _Subscription) -> None:
        # By a pattern even for fixed topics: aiokafka then asks for no topic by name.
        client.subscribe(pattern=subscription.pattern, listener=_Listener(self, client))

    def _take(self, client: AIOKafkaConsumer) -> None:
        client.assign([to_aiokafka(partition) for partition in self._owned])
        watch_all_topics(client)
        for partition, offset in self._resume_at.items():
            client.seek(to_aiokafka(partition), offset)
        client.pause(*map(to_aiokafka, self._paused))

    async def _disconnect(self) -> None:
        client = self._client
        if client is None:
            return
        if self._subscription is None:
            self._resume_at |= {
                from_aiokafka(theirs): offset for theirs, offset in known_positions(client).items()
            }
        await self.lose()
        self._client = None
        await close_consumer(client, timeout_seconds=STOP_SECONDS)

    async def _living(self) -> AIOKafkaConsumer:
        """Return the client, after connecting anew if it is dead."""
        if not self._started:
            raise BrokerUnavailable("the consumer is not started")
        if self._client is not None and consumer_is_dead(self._client):
            log.warning("consumer %s has stopped by itself; connecting anew", self._client_id)
            await self._disconnect()
        return self._client or await self._connect()

    async def _check_silence(self, client: AIOKafkaConsumer, seconds: float) -> None:
        """After ``seconds`` in vain: raise when the broker is silent, and leave a stuck client."""
        fetching = self._owned - self._paused if self._settled else frozenset()
        silence = self._silence
        silence.listened(seconds, newest_fetch_ms=last_fetch_ms(client, map(to_aiokafka, fetching)))
        if not fetching and (self._joined or self._subscription is None):
            silence.nothing_to_fetch()
        if silence.broker_seconds < _SILENCE_SECONDS:
            return
        with broker_errors(f"{self._bootstrap} does not answer"):
            async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000):
                await fresh_metadata(client)
        silence.broker_answered()
        joining_seconds = 0 if self._subscription is None else 6 * self._session_timeout_ms / 1000
        if silence.fetch_seconds > max(_STUCK_SECONDS, joining_seconds):
            log.warning("consumer %s hears nothing; connecting anew", self._client_id)
            await self._disconnect()

    # Rebalancing

    def gain(self, client: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> None:
        """Take over what the group has assigned; hold it back until ``on_assigned`` is done."""
        if client is not self._client:
            return
        self._joined = True
        self._owned = frozenset(map(from_aiokafka, partitions))
        self._settled = False
        for holder, partition in self._assigned(self._owned):
            holder.pause(to_aiokafka(partition))
        self._settling = asyncio.create_task(self._settle())

    async def lose(self) -> None:
        """Give everything back: end a running ``on_assigned``, await ``on_revoked``."""
        if self._subscription is None:
            return
        async with self._losing:
            self._joined = False
            if self._settling is not None:
                self._settling.cancel()
                await asyncio.wait([self._settling])
                self._settling = None
            self._settled = False
            if self._owned:
                try:
                    await self._subscription.on_revoked(sorted(self._owned))
                except Exception as error:  # noqa: BLE001 - the next poll raises it
                    self._failure = error
            self._owned = frozenset()
            self._paused.clear()
            self._settled = True

    async def _settle(self) -> None:
        assert self._subscription is not None  # noqa: S101 - only groups come here
        try:
            await self._subscription.on_assigned(sorted(self._owned))
        except Exception as error:  # noqa: BLE001 - the next poll raises it
            self._failure = error
            return
        self._settled = True
        for client, partition in self._assigned(self._owned - self._paused):
            client.resume(to_aiokafka(partition))

    def _settle_again(self) -> None:
        if not self._settled and self._settling is not None and self._settling.done():
            self._settling = asyncio.create_task(self._settle())


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    def __init__(self, consumer: KafkaConsumer, client: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._client = client

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._consumer.lose()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._consumer.gain(self._client, assigned)
