"""Noticing that the broker has become another one."""

from __future__ import annotations

import time
from typing import Final, Self

from reactorsync.bus.port import Bus

_LOOK_SECONDS: Final = 2.0


class Incarnation:
    """One life of a broker. A volatile one that is restarted begins another, and knows nothing."""

    def __init__(self, bus: Bus, cluster: str) -> None:
        self.cluster = cluster
        """The id of the cluster, as :meth:`Bus.cluster_id` returned it."""
        self._bus = bus
        self._looked = time.monotonic()

    @classmethod
    async def present(cls, bus: Bus) -> Self:
        """Return the present one. Raises ``BrokerUnavailable``."""
        return cls(bus, await bus.cluster_id())

    async def lasts(self) -> bool:
        """Return whether it goes on, to be asked in a loop: the broker is every two seconds.

        Raises:
            BrokerUnavailable: there is no broker now.
        """
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return True
        self._looked = time.monotonic()
        return await self._bus.cluster_id() == self.cluster
