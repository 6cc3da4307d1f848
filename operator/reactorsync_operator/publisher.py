"""Publishes desired state: what changed, and to a broker that knows nothing, everything.

A session is the life with one incarnation of the broker. It begins by reading the topic to its end,
so that equal revisions are not published again, and reactors that no longer exist get a tombstone.
When the whole fleet has been acknowledged, a snapshot marker in each partition says so.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Collection, Coroutine, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from reactorsync.bus.port import Bus, Partition, Producer, Record
from reactorsync.bus.reading import read_to_end
from reactorsync.planning.wording import counted
from reactorsync.wire.desired import DesiredReactor, revision_of, tombstone_envelope
from reactorsync.wire.envelope import Envelope
from reactorsync.wire.errors import UndecodableRecord
from reactorsync.wire.keys import shard_of
from reactorsync.wire.snapshot import encode_snapshot, snapshot_envelope
from reactorsync.wire.topics import SNAPSHOT_KEY, Topics
from reactorsync_operator.leadership import MayWrite, always, check
from reactorsync_operator.metrics import PUBLISH_PENDING, PUBLISHED
from reactorsync_operator.reconcile.observed import Publication

log = logging.getLogger(__name__)

SOURCE: Final = "operator"
IN_FLIGHT: Final = 500
"""Records sent before the first of them is acknowledged."""

READ_BACK_SECONDS: Final = 120.0
"""Within this time the topic must have been read to its end."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    desired: DesiredReactor
    offered: Publication


class Publisher:
    """Keeps the desired-state topic equal to what was offered.

    :meth:`offer` and :meth:`withdraw` may be called at any time; what they ask for is published as
    soon as a session allows it. What the topic holds of other than ``namespaces`` belongs to
    somebody else and is left alone; ``None`` stands for all. ``may_write`` is asked before each
    record.
    """

    def __init__(
        self,
        bus: Bus,
        topics: Topics,
        *,
        namespaces: Collection[str] | None = None,
        may_write: MayWrite = always,
    ) -> None:
        self._bus = bus
        self._topics = topics
        self._namespaces = frozenset(namespaces) if namespaces is not None else None
        self._may_write = may_write
        self._producer: Producer | None = None
        self._wanted: dict[str, _Wanted] = {}
        self._acknowledged: dict[str, Publication] = {}
        self._pending: dict[str, None] = {}
        self._changed = asyncio.Event()
        self.offered_all = asyncio.Event()
        """To be set once every reactor of the fleet has been offered."""
        self.read_back = asyncio.Event()
        """Set while a session lasts that has read the topic to its end."""
        self.complete = asyncio.Event()
        """Set while the broker holds the whole fleet and the markers that say so."""

    def offered(self, key: str) -> Publication | None:
        """Return what was last offered for a reactor, and since when it is the same."""
        wanted = self._wanted.get(key)
        return wanted.offered if wanted is not None else None

    def publication(self, key: str) -> Publication | None:
        """Return what the broker last acknowledged for a reactor."""
        return self._acknowledged.get(key)

    @property
    def idle(self) -> bool:
        """Whether the broker has acknowledged everything."""
        return self.complete.is_set() and not self._pending

    def offer(self, desired: DesiredReactor) -> None:
        """Make this the desired state of a reactor."""
        key, revision = desired.key, desired.revision
        before = self._wanted.get(key)
        if before is not None and before.offered.revision == revision:
            return
        self._wanted[key] = _Wanted(desired, Publication(revision, _now_us()))
        self._request(key)

    def withdraw(self, key: str) -> None:
        """Say that a reactor no longer exists."""
        if self._wanted.pop(key, None) is not None:
            self._request(key)

    async def session(self) -> None:
        """Serve one incarnation of the broker until cancelled.

        Raises:
            BrokerUnavailable: the broker is away; a new session goes on from where this one was.
            NotLeading: somebody else publishes now.
        """
        self.complete.clear()
        producer = self._bus.producer(client_id="reactorsync-operator")
        await producer.start()
        self._producer = producer
        try:
            self._acknowledged = await self._read_back()
            self.read_back.set()
            await self.offered_all.wait()
            self._compare()
            began = time.monotonic()
            count = len(self._pending)
            await self._flush()
            await self._mark_snapshot()
            log.info(
                "the broker holds the desired state of %s; %s sent in %.1f s",
                counted(len(self._wanted), "reactor"),
                counted(count, "record"),
                time.monotonic() - began,
            )
            self.complete.set()
            while True:
                self._changed.clear()
                await self._flush()
                await self._changed.wait()
        finally:
            self.read_back.clear()
            self.complete.clear()
            self._producer = None
            await producer.stop()

    async def _read_back(self) -> dict[str, Publication]:
        """Return the last record of each reactor of ours that the topic holds."""
        found: dict[str, Publication] = {}
        consumer = self._bus.consumer(client_id="reactorsync-operator-desired")
        await consumer.start()
        try:
            partitions = {
                Partition(self._topics.reactors, number) for number in range(self._topics.shards)
            }
            consumer.assign(partitions)
            async for record in read_to_end(
                consumer, partitions, timeout_seconds=READ_BACK_SECONDS
            ):
                if record.key is None or record.key == SNAPSHOT_KEY:
                    continue
                key = record.key.decode(errors="replace")
                if not self._is_ours(key):
                    continue
                if record.value is None:
                    found.pop(key, None)
                else:
                    found[key] = Publication(revision_of(record.value), _written_us(record))
        finally:
            await consumer.stop()
        return found

    def _is_ours(self, key: str) -> bool:
        return self._namespaces is None or key.partition("/")[0] in self._namespaces

    def _compare(self) -> None:
        """Note every difference between what is wanted and what the broker holds."""
        self._pending = {
            key: None
            for key in dict.fromkeys([*self._wanted, *self._acknowledged])
            if self._differs(key)
        }

    def _differs(self, key: str) -> bool:
        wanted, acknowledged = self._wanted.get(key), self._acknowledged.get(key)
        return (wanted and wanted.offered.revision) != (acknowledged and acknowledged.revision)

    def _request(self, key: str) -> None:
        self._pending[key] = None
        self._changed.set()

    async def _flush(self) -> None:
        """Publish what is pending now; what is asked for meanwhile waits for the next round."""
        keys = iter(list(self._pending))
        while batch := list(islice(keys, IN_FLIGHT)):
            PUBLISH_PENDING.set(len(self._pending))
            await _all(self._publish(key) for key in batch)
        PUBLISH_PENDING.set(len(self._pending))

    async def _publish(self, key: str) -> None:
        wanted = self._wanted.get(key)
        before = self._acknowledged.get(key)
        # Readers may drop what is older than what they know, so time never goes back for a key.
        time_us = max(_now_us(), before.time_us + 1 if before is not None else 0)
        if wanted is not None:
            value, envelope = (
                wanted.desired.encode(),
                wanted.desired.envelope(source=SOURCE, time_us=time_us),
            )
        else:
            value, envelope = None, tombstone_envelope(key, source=SOURCE, time_us=time_us)
        await self._send(
            key.encode(), value, envelope=envelope, partition=shard_of(key, self._topics.shards)
        )
        if wanted is None:
            self._acknowledged.pop(key, None)
            PUBLISHED.labels("tombstone").inc()
        else:
            self._acknowledged[key] = Publication(wanted.offered.revision, time_us)
            PUBLISHED.labels("desired").inc()
        if not self._differs(key):
            self._pending.pop(key, None)
        else:
            self._request(key)

    async def _mark_snapshot(self) -> None:
        shards = range(self._topics.shards)
        reactors = Counter(shard_of(key, self._topics.shards) for key in self._acknowledged)
        await _all(
            self._send(
                SNAPSHOT_KEY,
                encode_snapshot(reactors[shard]),
                envelope=snapshot_envelope(shard, source=SOURCE, time_us=_now_us()),
                partition=shard,
            )
            for shard in shards
        )
        PUBLISHED.labels("snapshot").inc(self._topics.shards)

    async def _send(
        self, key: bytes, value: bytes | None, *, envelope: Envelope, partition: int
    ) -> None:
        assert self._producer is not None  # noqa: S101 - only sessions send
        check(self._may_write)
        await self._producer.send(
            self._topics.reactors,
            value,
            key=key,
            headers=envelope.headers(),
            partition=partition,
        )


async def _all(coroutines: Iterable[Coroutine[None, None, None]]) -> None:
    """Await all; when one fails the others are cancelled and its error is raised as it is."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _written_us(record: Record) -> int:
    """Return when a record says that it was written, which the broker may have rounded."""
    try:
        return Envelope.from_headers(record.headers).time_us
    except UndecodableRecord:
        return record.timestamp_ms * 1000


def _now_us() -> int:
    return time.time_ns() // 1000
