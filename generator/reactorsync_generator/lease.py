"""Whether this process may still speak for its shards."""

from __future__ import annotations

import asyncio
import logging

from reactorsync_generator.clock import Clock
from reactorsync_generator.metrics import MEMBERSHIP_DOUBTS

log = logging.getLogger(__name__)


class Lease:
    """Guards against zombies: processes that go on while the group has given their shards away.

    The lease is in doubt when this process stood still for longer than the session timeout, which
    the wall clock tells, and when a rebalance has taken longer than :attr:`rebalance_limit_us`, so
    that the group may have gone on without this member. While in doubt nothing is published, until
    the group has confirmed the membership. Looking is cheap: it is done before every sending.
    """

    def __init__(self, clock: Clock, *, session_timeout_us: int) -> None:
        self._clock = clock
        self._session_timeout_us = session_timeout_us
        self._looked_us = clock.now_us()
        self._deadline_us: int | None = None
        self._held = asyncio.Event()
        self._held.set()
        self._doubted = asyncio.Event()

    @property
    def rebalance_limit_us(self) -> int:
        """How long a member goes on publishing without hearing the outcome of a rebalance."""
        return 2 * self._session_timeout_us

    def look(self) -> bool:
        """Return whether publishing is allowed, after comparing the clock with the last look."""
        now_us = self._clock.now_us()
        stood_still_us, self._looked_us = now_us - self._looked_us, now_us
        if stood_still_us > self._session_timeout_us:
            self._doubt(f"this process stood still for {stood_still_us / 1e6:.1f} s")
        if self._deadline_us is not None and now_us > self._deadline_us:
            self._doubt("the group did not say in time who owns the shards now")
        return self._held.is_set()

    def rebalancing(self) -> None:
        """The group is about to assign anew; until it has, this member goes on for a while."""
        self._deadline_us = self._clock.now_us() + self.rebalance_limit_us

    def confirm(self) -> None:
        """The group has just confirmed the membership."""
        self._looked_us = self._clock.now_us()
        self._deadline_us = None
        self._doubted.clear()
        self._held.set()

    async def held(self) -> None:
        """Wait until publishing is allowed."""
        while not self.look():
            await self._held.wait()

    async def doubted(self) -> None:
        """Wait until the membership has to be confirmed."""
        await self._doubted.wait()

    def _doubt(self, reason: str) -> None:
        if self._held.is_set():
            log.warning("%s: nothing is published until the group confirms", reason)
            MEMBERSHIP_DOUBTS.inc()
            self._held.clear()
            self._doubted.set()
