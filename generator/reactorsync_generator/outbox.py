"""Sends events: many at a time, bounded, and never more than the newest of what repeats itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from reactorsync.bus.port import BrokerUnavailable, Producer
from reactorsync.service import Backoff
from reactorsync.wire.events import Event, ReactorApplied, ReactorObserved, ShardHeartbeat
from reactorsync.wire.topics import Topics
from reactorsync_generator.lease import Lease
from reactorsync_generator.metrics import EVENTS_DROPPED, EVENTS_PRODUCED, EVENTS_REFUSED

log = logging.getLogger(__name__)

_AT_ONCE = 256
_LATEST_ONLY = (ReactorApplied, ReactorObserved, ShardHeartbeat)

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Outgoing:
    event: Event
    time_us: int


class EventOutbox:
    """Events on their way to the topic of the moment.

    While the broker is away, of acknowledgements, observations and heartbeats only the newest per
    subject is kept. When more than ``capacity`` events wait all the same, all are dropped, and
    :attr:`on_overflow` is called when the broker takes events again: time to tell all that holds.
    """

    def __init__(
        self,
        producer: Producer,
        lease: Lease,
        *,
        topics: Topics,
        now_us: Callable[[], int],
        source: str,
        capacity: int,
    ) -> None:
        self.on_overflow: Callable[[], None] = lambda: None
        self._producer = producer
        self._lease = lease
        self._topics = topics
        self._now_us = now_us
        self._source = source
        self._capacity = capacity
        self._waiting: dict[_Key, _Outgoing] = {}
        self._sending = 0
        self._overflowed = False
        self._changed = asyncio.Event()

    def post(self, events: Iterable[Event], *, time_us: int) -> None:
        """Queue events that were found at ``time_us``."""
        for event in events:
            key = _replaces(event, time_us)
            self._waiting.pop(key, None)
            self._waiting[key] = _Outgoing(event, time_us)
        if len(self._waiting) > self._capacity:
            EVENTS_DROPPED.inc(len(self._waiting))
            self._waiting.clear()
            self._overflowed = True
        self._changed.set()

    async def drained(self) -> None:
        """Wait until everything is acknowledged."""
        while self._waiting or self._sending:
            self._changed.clear()
            await self._changed.wait()

    async def run(self) -> None:
        """Send until cancelled."""
        backoff = Backoff(first_seconds=0.1, limit_seconds=5.0)
        while True:
            while not self._waiting:
                self._changed.clear()
                await self._changed.wait()
            await self._lease.held()
            if await self._send_some():
                backoff.reset()
                if self._overflowed:
                    self._overflowed = False
                    self.on_overflow()
            else:
                await asyncio.sleep(backoff.next_pause())
            self._changed.set()

    async def _send_some(self) -> bool:
        """Send the oldest events; return whether all are done with, and keep the others."""
        chosen = {key: self._waiting.pop(key) for key in list(self._waiting)[:_AT_ONCE]}
        self._sending = len(chosen)
        try:
            outcomes = await asyncio.gather(*(self._send(each) for each in chosen.values()))
        finally:
            self._sending = 0
        kept = {
            key: outgoing
            for (key, outgoing), done in zip(chosen.items(), outcomes, strict=True)
            if not done
        }
        self._waiting = {**kept, **self._waiting}
        return not kept

    async def _send(self, outgoing: _Outgoing) -> bool:
        """Return whether the event is done with: taken, or refused for good."""
        event = outgoing.event
        envelope = event.envelope(source=self._source, time_us=outgoing.time_us)
        try:
            await self._producer.send(
                self._topics.events(self._now_us()),
                event.encode(),
                key=event.subject.encode(),
                headers=envelope.headers(),
            )
        except BrokerUnavailable:
            return False
        except ValueError as error:
            log.error("event %s of %s is refused: %s", event.type, event.subject, error)
            EVENTS_REFUSED.inc()
            return True
        EVENTS_PRODUCED.inc()
        return True


def _replaces(event: Event, time_us: int) -> _Key:
    """Return the key under which a later event takes the place of ``event``."""
    if isinstance(event, _LATEST_ONLY):
        return event.type, event.subject, ""
    return event.type, event.subject, event.identity or str(time_us)
