"""Sends events to the topic of the moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from reactorsync import clock
from reactorsync.bus.port import Bus
from reactorsync.wire.events import Event
from reactorsync.wire.topics import Topics
from reactorsync_historian import metrics

SOURCE: Final = "historian"
"""``ce_source`` of all that the historian tells, whichever process of it tells it."""


class EventSender:
    """A producer of its own for one task, so that nobody waits for another one's events."""

    def __init__(self, *, bus: Bus, topics: Topics, client_id: str) -> None:
        self._producer = bus.producer(client_id=client_id)
        self._topics = topics

    async def start(self) -> None:
        """Connect; connected already, do nothing. Raises :class:`BrokerUnavailable`."""
        await self._producer.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._producer.stop()

    async def send(self, events: Sequence[Event]) -> None:
        """Send events; those of one reactor arrive in order.

        Raises:
            BrokerUnavailable: some were not acknowledged; they may have arrived all the same.
        """
        by_subject: dict[str, list[Event]] = {}
        for event in events:
            by_subject.setdefault(event.subject, []).append(event)
        outcomes = await asyncio.gather(
            *(self._send_in_order(several) for several in by_subject.values()),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _send_in_order(self, events: Sequence[Event]) -> None:
        for event in events:
            now_us = clock.now_us()
            await self._producer.send(
                self._topics.events(now_us),
                event.encode(),
                key=event.subject.encode(),
                headers=event.envelope(source=SOURCE, time_us=now_us).headers(),
            )
            metrics.EVENTS_SENT.labels(type(event).__name__).inc()
