"""Keeps the topics in existence, and notices when the broker has become another one."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from reactorsync.bus.port import BrokerUnavailable, Bus, TopicMismatch
from reactorsync.wire.topics import Topics, TopicSpec
from reactorsync_generator.clock import Clock
from reactorsync_generator.health import BrokerHealth

log = logging.getLogger(__name__)

_SOURCE: Final = "topics"


class BrokerWatch:
    """Looks at the broker now and then.

    A volatile broker that was restarted has another cluster id and has forgotten everything:
    ``on_new_broker`` is awaited when the topics exist again.
    """

    def __init__(
        self,
        bus: Bus,
        topics: Topics,
        clock: Clock,
        health: BrokerHealth,
        *,
        on_new_broker: Callable[[], Awaitable[None]],
    ) -> None:
        self._bus = bus
        self._topics = topics
        self._clock = clock
        self._health = health
        self._on_new_broker = on_new_broker
        self._cluster: str | None = None
        self._ensured: tuple[TopicSpec, ...] = ()

    async def look(self) -> bool:
        """Create the topics that are missing; return whether the broker can be worked with."""
        try:
            cluster = await self._bus.cluster_id()
            wanted = self._topics.live(self._clock.now_us())
            is_new = cluster != self._cluster
            if is_new or wanted != self._ensured:
                await self._bus.ensure_topics(wanted)
        except (BrokerUnavailable, TopicMismatch) as error:
            self._health.report(_SOURCE, str(error))
            return False
        self._health.report(_SOURCE, None)
        before, self._cluster, self._ensured = self._cluster, cluster, wanted
        if is_new and before is not None:
            log.warning("the broker was %s and is %s: it has forgotten everything", before, cluster)
            await self._on_new_broker()
        return True
