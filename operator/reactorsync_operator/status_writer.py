"""Writes statuses: only what changed, not too often for one object, many in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from reactorsync.resources import AnomalyScenario, Kind, Reactor
from reactorsync.service import Backoff
from reactorsync.store import NotFound, ResourceStore, StoreUnavailable, Unreadable
from reactorsync.store.port import R
from reactorsync.wire.keys import reactor_key
from reactorsync_operator.fleet import Fleet, WorkKey
from reactorsync_operator.metrics import STATUS_PENDING, STATUS_WRITES

log = logging.getLogger(__name__)

BATCH: Final = 500
GATHER_SECONDS: Final = 0.02
"""How long more statuses may join a batch."""


class StatusWriter:
    """Keeps the newest status of each object until it is written.

    An object that changed in the meantime is not written: ``replan`` is called with its key, and
    the next plan offers a status again. ``clock`` returns monotonic seconds.
    """

    def __init__(
        self,
        store: ResourceStore,
        fleet: Fleet,
        *,
        replan: Callable[[WorkKey], None],
        interval_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._replan = replan
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._pending: dict[WorkKey, Reactor | AnomalyScenario] = {}
        self._urgent: set[WorkKey] = set()
        self._written_at: dict[WorkKey, float] = {}
        self._offered = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be written."""
        return not self._pending

    def offer(self, resource: Reactor | AnomalyScenario, *, urgent: bool = False) -> None:
        """Write the status of ``resource``, which otherwise is as it was read, soon.

        An urgent one does not wait for the object's next turn.
        """
        key = _key(resource)
        self._pending[key] = resource
        if urgent:
            self._urgent.add(key)
        self._offered.set()

    def withdraw(self, key: WorkKey) -> None:
        """Write nothing for an object: its status is right, or it is gone."""
        self._pending.pop(key, None)
        self._urgent.discard(key)

    def forget(self, key: WorkKey) -> None:
        """Drop all that is known of an object that is gone."""
        self.withdraw(key)
        self._written_at.pop(key, None)

    async def run(self) -> None:
        """Write until cancelled. While the store is away, statuses wait."""
        backoff = Backoff()
        while True:
            await self._wait()
            due = self._due()
            STATUS_PENDING.set(len(self._pending))
            try:
                await self._write([one for one in due if isinstance(one, AnomalyScenario)])
                await self._write([one for one in due if isinstance(one, Reactor)])
            except StoreUnavailable as error:
                log.warning("statuses wait to be written (%d): %s", len(due), error)
                for resource in due:
                    self._pending.setdefault(_key(resource), resource)
                await asyncio.sleep(backoff.next_pause())
            else:
                backoff.reset()

    async def _wait(self) -> None:
        """Wait until a status is due."""
        self._offered.clear()
        if not self._pending:
            await self._offered.wait()
        next_at = min(map(self._due_at, self._pending), default=self._clock())
        try:
            async with asyncio.timeout(max(next_at - self._clock(), 0.0)):
                await self._offered.wait()
        except TimeoutError:
            pass
        await asyncio.sleep(GATHER_SECONDS)

    def _due_at(self, key: WorkKey) -> float:
        if key in self._urgent:
            return 0.0
        return self._written_at.get(key, float("-inf")) + self._interval_seconds

    def _due(self) -> list[Reactor | AnomalyScenario]:
        """Take the statuses that may be written now."""
        now = self._clock()
        keys = [key for key in self._pending if self._due_at(key) <= now]
        self._urgent.difference_update(keys)
        return [self._pending.pop(key) for key in keys]

    async def _write(self, resources: Sequence[R]) -> None:
        current = []
        for resource in resources:
            if self._is_current(resource):
                current.append(resource)
            else:
                self._replan(_key(resource))
        for start in range(0, len(current), BATCH):
            await self._write_batch(current[start : start + BATCH])

    async def _write_batch(self, batch: Sequence[R]) -> None:
        kind = batch[0].kind
        written = await self._store.replace_statuses(batch)
        now = self._clock()
        missed = {_key(resource): resource for resource in batch}
        for resource in written:
            missed.pop(_key(resource), None)
            self._written_at[_key(resource)] = now
            self._take_in(resource)
        STATUS_WRITES.labels(kind, "written").inc(len(written))
        STATUS_WRITES.labels(kind, "conflict").inc(len(missed))
        for resource in missed.values():
            await self._read_again(resource)

    async def _read_again(self, resource: Reactor | AnomalyScenario) -> None:
        """Learn what became of an object that was changed or deleted in between."""
        key, metadata = _key(resource), resource.metadata
        try:
            found: Reactor | AnomalyScenario
            if isinstance(resource, Reactor):
                found = await self._store.get(Reactor, metadata.namespace, metadata.name)
            else:
                found = await self._store.get(AnomalyScenario, metadata.namespace, metadata.name)
        except NotFound:
            # The watch will say so too, and then it is dropped everywhere.
            return
        except Unreadable as error:
            log.error("no status for what cannot be read: %s", error)
            return
        self._take_in(found)
        self._replan(key)

    def _take_in(self, resource: Reactor | AnomalyScenario) -> None:
        if isinstance(resource, Reactor):
            self._fleet.put_reactor(resource, own_write=True)
        else:
            self._fleet.put_scenario(resource, own_write=True)

    def _is_current(self, resource: Reactor | AnomalyScenario) -> bool:
        """Return whether the object is still the one that the status was planned for."""
        name = _key(resource).name
        known: Reactor | AnomalyScenario | None
        if isinstance(resource, Reactor):
            known = self._fleet.reactors.get(name)
        else:
            known = self._fleet.scenario(name)
        return (
            known is not None
            and known.metadata.resource_version == resource.metadata.resource_version
        )


def _key(resource: Reactor | AnomalyScenario) -> WorkKey:
    metadata = resource.metadata
    return WorkKey(Kind(resource.kind), reactor_key(metadata.namespace, metadata.name))
