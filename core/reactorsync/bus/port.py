"""The port: what every part may ask of a Kafka-compatible broker."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from reactorsync.wire.envelope import Headers
from reactorsync.wire.topics import TopicSpec


class BrokerUnavailable(Exception):
    """The broker cannot be reached, or did not answer in time; trying again later may help."""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A partition of a topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read, byte for byte. ``value`` is ``None`` for a tombstone."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


RebalanceCallback = Callable[[Collection[Partition]], Awaitable[None]]


class Producer(Protocol):
    """Sends records; a returned offset means that the broker has acknowledged the record."""

    async def start(self) -> None:
        """Connect. Raises :class:`BrokerUnavailable`."""

    async def stop(self) -> None:
        """Send what is buffered, within a deadline, and disconnect."""

    async def discard(self) -> None:
        """Disconnect at once; what is buffered is not sent, and each sender is told so."""

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> int:
        """Send one record and return its offset.

        Without ``partition`` the key decides, as Kafka's default partitioner does.

        Raises:
            BrokerUnavailable: it was not acknowledged in time. It may have been written all the
                same: readers must accept a record twice.
        """
        ...


class Consumer(Protocol):
    """Reads records, either as a member of a group or of partitions it names itself."""

    async def start(self) -> None:
        """Connect. Raises :class:`BrokerUnavailable`."""

    async def stop(self) -> None:
        """Leave the group, if any, and disconnect."""

    def subscribe(
        self,
        *,
        topics: Sequence[str] = (),
        pattern: re.Pattern[str] | None = None,
        on_assigned: RebalanceCallback,
        on_revoked: RebalanceCallback,
    ) -> None:
        """Join the group for ``topics``, or for every topic that matches ``pattern``.

        ``on_revoked`` is awaited before partitions go elsewhere, at :meth:`stop` too,
        ``on_assigned`` before the first poll that may return their records. Both get all partitions
        of the (eager) rebalance. ``on_assigned`` may take long: a later rebalance cancels it.
        What a callback raises, the next poll raises; then a failed ``on_assigned`` is called again.
        """

    def assign(self, partitions: Collection[Partition]) -> None:
        """Read exactly these partitions, without a group."""

    async def partitions_of(self, topic: str) -> set[Partition]:
        """Return the partitions of ``topic``, empty while it does not exist."""
        ...

    async def poll(self, *, timeout_seconds: float, max_records: int | None = None) -> list[Record]:
        """Return what has arrived, waiting up to ``timeout_seconds`` for the first record.

        Records of one partition come in order. Raises :class:`BrokerUnavailable` when the broker
        has been silent for some seconds; poll on, and reading goes on when it is back.
        """
        ...

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from ``offset``; -1 seeks to the start of the partition."""

    async def position(self, partition: Partition) -> int:
        """Return the offset of the next record to be read."""
        ...

    def high_watermark(self, partition: Partition) -> int | None:
        """Return the end of the partition as the last fetch saw it, ``None`` before the first.

        This is the only end offset to be trusted: some brokers answer ListOffsets wrongly.
        """
        ...

    def pause(self, partitions: Collection[Partition]) -> None:
        """Stop fetching these partitions; membership goes on."""

    def resume(self, partitions: Collection[Partition]) -> None:
        """Fetch these partitions again."""

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Tell the group how far this member is: a hint for tools, never the truth."""


class Bus(Protocol):
    """Connections to one broker."""

    async def cluster_id(self) -> str:
        """Return the id of the cluster: the incarnation of everything stored in it.

        A volatile broker gets a new id at each start, so a changed id says that offsets start
        again at 0. Raises :class:`BrokerUnavailable`.
        """
        ...

    async def ensure_topics(self, specs: Collection[TopicSpec]) -> None:
        """Create the topics that do not exist; leave the others alone. Safe to call at any time.

        Raises:
            BrokerUnavailable: the broker cannot be reached.
            TopicMismatch: a topic exists with another number of partitions.
        """

    async def list_topics(self) -> set[str]:
        """Return the names of all topics. Raises :class:`BrokerUnavailable`."""
        ...

    async def delete_topics(self, names: Collection[str]) -> None:
        """Delete topics; one that does not exist is no error. Raises :class:`BrokerUnavailable`."""

    async def committed(
        self, group: str, partitions: Collection[Partition]
    ) -> Mapping[Partition, int]:
        """Return the offsets that a group has committed, of those partitions where it has.

        Raises :class:`BrokerUnavailable`.
        """
        ...

    def producer(self, *, client_id: str) -> Producer:
        """Return a producer, not yet started."""
        ...

    def consumer(self, *, client_id: str, group: str | None = None) -> Consumer:
        """Return a consumer, not yet started; with ``group`` it may :meth:`Consumer.subscribe`."""
        ...

    async def close(self) -> None:
        """Close what the bus itself holds open."""


class TopicMismatch(Exception):
    """A topic exists with another number of partitions than this installation needs."""
