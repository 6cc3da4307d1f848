"""Publishes desired state: what changed, and to a broker that knows nothing, everything.

A session is the life with one incarnation of the broker. It begins by reading the topic to its end,
so that equal revisions are not published again, and reactors that no longer exist get a tombstone.
When the whole fleet has been acknowledged, a snapshot marker in each partition says so.

Then it reads on: a process that led before, or was frozen between its last look at the lease and
what it sent, may still write. What is not of this session and not what is wanted is put right.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from reactorsync import clock
from reactorsync.bus.port import Bus, Consumer, Partition, Producer, Record
from reactorsync.bus.reading import read_to_end
from reactorsync.planning.wording import counted
from reactorsync.wire.desired import DesiredReactor, desired_envelope, tombstone_envelope
from reactorsync.wire.envelope import Envelope
from reactorsync.wire.keys import shard_of
from reactorsync.wire.snapshot import encode_snapshot, snapshot_envelope
from reactorsync.wire.topics import SNAPSHOT_KEY, Topics
from reactorsync_operator.leadership import MayWrite, always, check
from reactorsync_operator.metrics import (
    FOREIGN_REACTORS,
    OVERRULED,
    PUBLISH_PENDING,
    PUBLISHED,
)
from reactorsync_operator.reconcile.observed import Publication
from reactorsync_operator.righting import Righting
from reactorsync_operator.topic_content import PUBLISHER, TopicContent

log = logging.getLogger(__name__)

SOURCE: Final = "operator"
IN_FLIGHT: Final = 500
"""Records sent before the first of them is acknowledged."""

READ_BACK_SECONDS: Final = 120.0
"""Within this time the topic must have been read to its end."""

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class _Wanted:
    value: bytes
    offered: Publication


class Publisher:
    """Keeps the desired-state topic equal to what was offered.

    :meth:`offer` and :meth:`withdraw` may be called at any time; what they ask for is published as
    soon as a session allows it. What the topic holds of other than ``namespaces`` belongs to
    somebody else and is left alone; ``None`` stands for all. ``may_write`` is asked before each
    record. A reactor that was never offered, and of whose key ``leaves_alone`` says so, stays as
    the topic has it: there is one, though nobody can say what it should be.
    """

    def __init__(
        self,
        bus: Bus,
        topics: Topics,
        *,
        namespaces: Collection[str] | None = None,
        may_write: MayWrite = always,
        leaves_alone: Callable[[str], bool] = lambda _key: False,
    ) -> None:
        self._bus = bus
        self._topics = topics
        self._namespaces = frozenset(namespaces) if namespaces is not None else None
        self._may_write = may_write
        self._leaves_alone = leaves_alone
        self._producer: Producer | None = None
        self._wanted: dict[str, _Wanted] = {}
        self._content = self._nothing_known()
        self._own_mark = ("", b"")
        self._session = ""
        self._has_compared = False
        self._looks_again = False
        self._righting = Righting(self._request)
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
        return self._content.publications.get(key)

    @property
    def readings_per_second_elsewhere(self) -> float:
        """How many readings reactors of other namespaces make that share the topic."""
        return self._content.readings_per_second_elsewhere

    @property
    def idle(self) -> bool:
        """Whether the broker has acknowledged everything."""
        return self.complete.is_set() and not self._pending and not self._looks_again

    def offer(self, desired: DesiredReactor) -> None:
        """Make this the desired state of a reactor."""
        key, revision = desired.key, desired.revision
        before = self._wanted.get(key)
        if before is not None and before.offered.revision == revision:
            return
        self._wanted[key] = _Wanted(desired.encode(), Publication(revision, clock.now_us()))
        self._request(key)

    def withdraw(self, key: str) -> None:
        """Say that a reactor no longer exists."""
        was_wanted = self._wanted.pop(key, None) is not None
        # It may stand in the topic though it was never offered here: it was left alone.
        if was_wanted or (self._has_compared and self._is_wrong(key)):
            self._request(key)

    def look_again(self) -> None:
        """Compare once more with what the topic holds: what was left alone may be no longer."""
        self._looks_again = True
        self._changed.set()

    async def session(self) -> None:
        """Serve one incarnation of the broker until cancelled.

        Raises:
            BrokerUnavailable: the broker is away; a new session goes on from where this one was.
            NotLeading: somebody else publishes now.
        """
        self.complete.clear()
        self._has_compared = False
        self._session = secrets.token_hex(8)
        self._own_mark = (f"rs-{PUBLISHER}", self._session.encode())
        producer = self._bus.producer(client_id="reactorsync-operator")
        consumer = self._bus.consumer(client_id="reactorsync-operator-desired")
        async with AsyncExitStack() as closing:
            closing.push_async_callback(self._let_go, producer)
            await producer.start()
            self._producer = producer
            closing.push_async_callback(consumer.stop)
            closing.callback(self._end)
            await consumer.start()
            self._content = await self._read_back(consumer)
            self.read_back.set()
            await _all([self._publish_all(), self._follow(consumer)])

    async def _publish_all(self) -> None:
        await self.offered_all.wait()
        self._pending.clear()
        self._compare()
        await self._flush()
        await self._mark_snapshot()
        log.info("the broker holds the desired state of %s", counted(len(self._wanted), "reactor"))
        self.complete.set()
        while True:
            self._changed.clear()
            if self._looks_again:
                self._compare()
            await self._flush()
            await self._changed.wait()

    def _end(self) -> None:
        self.read_back.clear()
        self.complete.clear()
        self._producer = None
        self._righting.end()

    async def _let_go(self, producer: Producer) -> None:
        """Stop a producer; without the lease, what it still holds is no longer ours to say."""
        if self._may_write():
            await producer.stop()
        else:
            await producer.discard()

    async def _read_back(self, consumer: Consumer) -> TopicContent:
        """Return the last record of each reactor that the topic holds."""
        content = self._nothing_known()
        partitions = {
            Partition(self._topics.reactors, number) for number in range(self._topics.shards)
        }
        consumer.assign(partitions)
        async for record in read_to_end(consumer, partitions, timeout_seconds=READ_BACK_SECONDS):
            content.take(record)
        self._point_out(content.reactors_elsewhere)
        return content

    @staticmethod
    def _point_out(foreign: int) -> None:
        FOREIGN_REACTORS.set(foreign)
        if foreign:
            log.error(
                "the topic also holds %s of namespaces not served here: an operator of other "
                "namespaces should have a REACTORSYNC_TOPIC_PREFIX of its own",
                counted(foreign, "reactor"),
            )

    def _nothing_known(self) -> TopicContent:
        return TopicContent(shards=self._topics.shards, is_ours=self._is_ours)

    async def _follow(self, consumer: Consumer) -> None:
        """Read what is written now, by whomever, and put right what is not wanted."""
        while True:
            records = await consumer.poll(timeout_seconds=1.0, max_records=_BATCH)
            foreign = [key for record in records if (key := self._foreign(record)) is not None]
            if foreign:
                OVERRULED.inc(len(foreign))
                log.warning(
                    "somebody else wrote the desired state of %s, %s first: putting it right",
                    counted(len(foreign), "reactor"),
                    foreign[0],
                )
            for key in foreign:
                self._righting.put_right(key)
            FOREIGN_REACTORS.set(self._content.reactors_elsewhere)
            await asyncio.sleep(0)

    def _foreign(self, record: Record) -> str | None:
        """Take in a record; return its key if that is now other than it should be."""
        if self._own_mark in record.headers:
            self._content.come_to(record)
            return None
        key = self._content.take(record)
        # Before the fleet is known nobody can say what is wrong; then everything is compared.
        if key is None or not self._has_compared or not self._is_wrong(key):
            return None
        return key

    def _is_ours(self, key: str) -> bool:
        return self._namespaces is None or key.partition("/")[0] in self._namespaces

    def _compare(self) -> None:
        """Note every difference between what is wanted and what the broker holds."""
        for key in dict.fromkeys([*self._wanted, *self._content.publications]):
            if self._is_wrong(key):
                self._pending[key] = None
        self._has_compared = True
        self._looks_again = False

    def _is_wrong(self, key: str) -> bool:
        return self._differs(key) and (key in self._wanted or not self._leaves_alone(key))

    def _differs(self, key: str) -> bool:
        wanted, acknowledged = self._wanted.get(key), self.publication(key)
        return (wanted and wanted.offered.revision) != (acknowledged and acknowledged.revision)

    def _request(self, key: str) -> None:
        self._pending[key] = None
        self._changed.set()

    async def _flush(self) -> None:
        """Publish what is pending now; what is asked for meanwhile waits for the next round."""
        for key in [key for key in self._pending if not self._differs(key)]:
            # Changed, and changed back.
            del self._pending[key]
        keys = iter(list(self._pending))
        while batch := list(islice(keys, IN_FLIGHT)):
            PUBLISH_PENDING.set(len(self._pending))
            await _all(self._publish(key) for key in batch)
        PUBLISH_PENDING.set(len(self._pending))

    async def _publish(self, key: str) -> None:
        wanted = self._wanted.get(key)
        before = self.publication(key)
        # Readers may drop what is older than what they know, so time never goes back for a key.
        time_us = max(clock.now_us(), before.time_us + 1 if before is not None else 0)
        if wanted is not None:
            value: bytes | None = wanted.value
            envelope = desired_envelope(
                key, wanted.offered.revision, source=SOURCE, time_us=time_us
            )
        else:
            value, envelope = None, tombstone_envelope(key, source=SOURCE, time_us=time_us)
        offset = await self._send(
            key.encode(), value, envelope=envelope, partition=shard_of(key, self._topics.shards)
        )
        publication = Publication(wanted.offered.revision, time_us) if wanted is not None else None
        self._content.acknowledge(key, publication, offset=offset)
        PUBLISHED.labels("desired" if wanted is not None else "tombstone").inc()
        if not self._differs(key):
            self._pending.pop(key, None)
        else:
            self._request(key)

    async def _mark_snapshot(self) -> None:
        shards = range(self._topics.shards)
        reactors = Counter(shard_of(key, self._topics.shards) for key in self._content.publications)
        await _all(
            self._send(
                SNAPSHOT_KEY,
                encode_snapshot(reactors[shard]),
                envelope=snapshot_envelope(shard, source=SOURCE, time_us=clock.now_us()),
                partition=shard,
            )
            for shard in shards
        )
        PUBLISHED.labels("snapshot").inc(self._topics.shards)

    async def _send(
        self, key: bytes, value: bytes | None, *, envelope: Envelope, partition: int
    ) -> int:
        assert self._producer is not None  # noqa: S101 - only sessions send
        marked = replace(envelope, extensions={PUBLISHER: self._session})
        check(self._may_write)
        return await self._producer.send(
            self._topics.reactors,
            value,
            key=key,
            headers=marked.headers(),
            partition=partition,
        )


async def _all(coroutines: Iterable[Coroutine[None, None, object]]) -> None:
    """Await all; when one fails the others are cancelled and its error is raised as it is."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
