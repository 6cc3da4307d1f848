"""Sends telemetry frames: in order within a shard, bounded, retried under the same id."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from reactorsync.bus.port import BrokerUnavailable, Producer
from reactorsync.service import Backoff
from reactorsync_generator.lease import Lease
from reactorsync_generator.metrics import FRAME_BYTES, FRAMES_LOST, FRAMES_PRODUCED
from reactorsync_generator.production import EncodedFrame

log = logging.getLogger(__name__)

OVERFLOW = "overflow"
"""The broker was away for longer than the queue could bridge."""

GONE_ELSEWHERE = "gone-elsewhere"
"""The shard has another owner, whose frames stand for the same ticks."""

STOPPED = "stopped"
"""The process ended while the broker was away."""

REFUSED = "refused"
"""The broker does not accept the record at all."""


class FrameLane:
    """The way of one shard's frames to the broker.

    At most ``capacity`` frames wait; beyond, the oldest give way to the newest and are counted as
    lost. One frame is in flight at a time, so that the order of ticks is the order of offsets.
    ``on_health`` hears of every success (``None``) and every problem.
    """

    def __init__(
        self,
        producer: Producer,
        lease: Lease,
        *,
        capacity: int,
        on_health: Callable[[str | None], None],
    ) -> None:
        self._producer = producer
        self._lease = lease
        self._capacity = capacity
        self._on_health = on_health
        self._waiting: deque[EncodedFrame] = deque()
        self._in_flight: EncodedFrame | None = None
        self._changed = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Frames that are not acknowledged."""
        return len(self._waiting) + (self._in_flight is not None)

    def offer(self, frame: EncodedFrame) -> None:
        """Queue a frame to be sent."""
        if len(self._waiting) >= self._capacity:
            self._waiting.popleft()
            FRAMES_LOST.labels(OVERFLOW).inc()
        self._waiting.append(frame)
        self._changed.set()

    def discard(self, reason: str) -> None:
        """Give up what waits."""
        if self._waiting:
            FRAMES_LOST.labels(reason).inc(len(self._waiting))
        self._waiting.clear()

    async def drained(self) -> None:
        """Wait until every frame is acknowledged, or given up."""
        while self.waiting:
            self._changed.clear()
            await self._changed.wait()

    async def run(self) -> None:
        """Send until cancelled."""
        backoff = Backoff(first_seconds=0.1, limit_seconds=2.0)
        while True:
            while not self._waiting:
                self._changed.clear()
                await self._changed.wait()
            await self._lease.held()
            if not self._waiting:
                continue
            frame = self._in_flight = self._waiting.popleft()
            try:
                delivered = await self._send(frame)
            finally:
                self._in_flight = None
            if delivered:
                backoff.reset()
            else:
                self._put_back(frame)
                await asyncio.sleep(backoff.next_pause())
            self._changed.set()

    async def _send(self, frame: EncodedFrame) -> bool:
        """Return whether the frame is done with."""
        try:
            await self._producer.send(
                frame.topic, frame.value, headers=frame.headers, partition=frame.shard
            )
        except BrokerUnavailable as error:
            self._on_health(str(error))
            return False
        except ValueError as error:
            log.error("frame of shard %d at %d is refused: %s", frame.shard, frame.tick_us, error)
            FRAMES_LOST.labels(REFUSED).inc()
            return True
        self._on_health(None)
        FRAMES_PRODUCED.inc()
        FRAME_BYTES.observe(len(frame.value))
        return True

    def _put_back(self, frame: EncodedFrame) -> None:
        if len(self._waiting) >= self._capacity:
            FRAMES_LOST.labels(OVERFLOW).inc()
        else:
            self._waiting.appendleft(frame)
