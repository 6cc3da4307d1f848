"""Writes statuses: only what changed, not too often for one object, each as soon as it may be."""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from reactorsync.resources import (
    AnomalyScenario,
    ConditionStatus,
    Kind,
    Reactor,
    condition_of,
)
from reactorsync.service import Backoff, about
from reactorsync.store import (
    Conflict,
    NotFound,
    ResourceStore,
    StoreUnavailable,
    Unreadable,
)
from reactorsync.store.port import R, WrittenInPart
from reactorsync.wire.keys import reactor_key
from reactorsync_operator.durations import observe
from reactorsync_operator.fleet import Fleet, WorkKey
from reactorsync_operator.leadership import MayWrite, always, check
from reactorsync_operator.metrics import (
    DELETIONS,
    STATUS_PENDING,
    STATUS_SECONDS,
    STATUS_WRITES,
)
from reactorsync_operator.recorder import Recorder

log = logging.getLogger(__name__)

BATCH: Final = 500
GATHER_SECONDS: Final = 0.01
"""How long more statuses may join a batch, and newer ones take the place of those that wait."""

FIRST_HOLD_SECONDS: Final = 1.0
"""How long the first status of a reactor waits for its generator's word, unless all is well."""

REFUSED_PAUSE_SECONDS: Final = 30.0
"""How long an object is left alone whose status the store refused."""

_GRID_SECONDS: Final = 0.1
"""First statuses that wait come due together, so that they make one batch."""


class StatusWriter:
    """Keeps the newest status of each object until it is written.

    An object that changed in the meantime is not written: ``replan`` is called with its key, and
    the next plan offers a status again. ``writers`` batches of up to ``batch`` objects are written
    at once; no object is in two of them. ``clock`` returns monotonic seconds. ``may_write`` is
    asked right before each write; where it says no, :class:`NotLeading` ends :meth:`run`.
    """

    def __init__(
        self,
        store: ResourceStore,
        fleet: Fleet,
        *,
        replan: Callable[[WorkKey], None],
        interval_seconds: float,
        clock: Callable[[], float],
        batch: int = BATCH,
        writers: int = 1,
        may_write: MayWrite = always,
        recorder: Recorder | None = None,
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._replan = replan
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._batch = batch
        self._writers = writers
        self._may_write = may_write
        self._recorder = recorder
        self._pending: dict[WorkKey, Reactor | AnomalyScenario] = {}
        self._due_at: dict[WorkKey, float] = {}
        self._waiting: list[tuple[float, int, WorkKey]] = []
        self._ready: dict[WorkKey, None] = {}
        self._writing: set[WorkKey] = set()
        self._written_at: dict[WorkKey, float] = {}
        self._deletions: dict[WorkKey, Reactor | AnomalyScenario] = {}
        self._order = 0
        self._backoff = Backoff()
        self._away_until = float("-inf")
        self._changed = asyncio.Event()
        self._to_delete = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be written or deleted, and nothing is under way."""
        return not (self._pending or self._writing or self._deletions)

    def offer(self, resource: Reactor | AnomalyScenario, *, urgent: bool = False) -> None:
        """Write the status of ``resource``, which otherwise is as it was read, soon.

        An urgent one does not wait for the object's next turn.
        """
        key = _key(resource)
        self._pending[key] = resource
        if key not in self._writing:
            self._schedule(key, self._clock() if urgent else self._turn_of(key, resource))

    def withdraw(self, key: WorkKey) -> None:
        """Write nothing for an object: its status is right, or it is gone."""
        self._pending.pop(key, None)
        self._due_at.pop(key, None)
        self._ready.pop(key, None)

    def forget(self, key: WorkKey) -> None:
        """Drop all that is known of an object that is gone."""
        self.withdraw(key)
        self._written_at.pop(key, None)

    def delete(self, resource: Reactor | AnomalyScenario) -> None:
        """Delete an object whose time is over, unless it has become another one meanwhile."""
        self._deletions[_key(resource)] = resource
        self._to_delete.set()

    async def run(self) -> None:
        """Write until cancelled. While the store is away, statuses wait."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._delete_all())
            free = asyncio.Semaphore(self._writers)
            while True:
                await self._wait()
                await free.acquire()
                batch = self._take()
                if not batch:
                    free.release()
                    continue
                task = group.create_task(self._write_batch(batch))
                task.add_done_callback(lambda _: free.release())

    def _turn_of(self, key: WorkKey, resource: Reactor | AnomalyScenario) -> float:
        """Return when it is an object's turn."""
        now = self._clock()
        written_at = self._written_at.get(key)
        if written_at is not None:
            return written_at + self._interval_seconds
        if self._is_first(resource) and _waits_for_its_generator(resource):
            # It has just been published: its generator's word would be a second write.
            until = math.ceil((now + FIRST_HOLD_SECONDS) / _GRID_SECONDS) * _GRID_SECONDS
            return min(self._due_at.get(key, float("inf")), until)
        return now

    def _schedule(self, key: WorkKey, due_at: float) -> None:
        if key in self._ready:
            return
        if due_at <= self._clock():
            self._due_at.pop(key, None)
            self._ready[key] = None
        elif self._due_at.get(key) != due_at:
            self._due_at[key] = due_at
            self._order += 1
            heapq.heappush(self._waiting, (due_at, self._order, key))
        self._changed.set()

    def _release_due(self) -> None:
        now = self._clock()
        while self._waiting and self._waiting[0][0] <= now:
            due_at, _, key = heapq.heappop(self._waiting)
            if self._due_at.get(key) == due_at:
                del self._due_at[key]
                self._ready[key] = None

    async def _wait(self) -> None:
        """Wait until a status may be written."""
        while (pause := self._away_until - self._clock()) > 0:
            await asyncio.sleep(pause)
        self._release_due()
        STATUS_PENDING.set(len(self._pending))
        if self._ready:
            return
        while not self._ready:
            self._changed.clear()
            remaining = self._waiting[0][0] - self._clock() if self._waiting else None
            try:
                async with asyncio.timeout(remaining):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._release_due()
        await asyncio.sleep(GATHER_SECONDS)

    def _take(self) -> Sequence[Reactor | AnomalyScenario]:
        """Take the statuses of one kind that waited longest."""
        first = next(iter(self._ready), None)
        if first is None:
            return ()
        keys = list(islice((key for key in self._ready if key.kind is first.kind), self._batch))
        batch = []
        for key in keys:
            del self._ready[key]
            resource = self._pending.pop(key)
            if self._is_current(resource):
                batch.append(resource)
                self._writing.add(key)
            else:
                self._replan(key)
        return batch

    async def _write_batch(self, batch: Sequence[Reactor | AnomalyScenario]) -> None:
        unwritten = {_key(resource): resource for resource in batch}
        try:
            check(self._may_write)
            kind = batch[0].kind
            with STATUS_SECONDS.labels(kind).time():
                self._take_in_written(await self._replace(batch), unwritten)
            for resource in list(unwritten.values()):
                STATUS_WRITES.labels(kind, "conflict", _reason(resource)).inc()
                await self._read_again(resource)
                del unwritten[_key(resource)]
        except StoreUnavailable as error:
            if isinstance(error, WrittenInPart):
                self._take_in_written(error.written, unwritten)
            self._away(error, waiting=len(unwritten))
            for key, resource in unwritten.items():
                self._pending.setdefault(key, resource)
        else:
            self._backoff.reset()
        finally:
            for resource in batch:
                self._written(_key(resource))

    async def _replace(
        self, batch: Sequence[Reactor | AnomalyScenario]
    ) -> Sequence[Reactor | AnomalyScenario]:
        if isinstance(batch[0], Reactor):
            return await self._store.replace_statuses(
                [one for one in batch if isinstance(one, Reactor)]
            )
        return await self._store.replace_statuses(
            [one for one in batch if isinstance(one, AnomalyScenario)]
        )

    def _written(self, key: WorkKey) -> None:
        """Let an object be written again, when there is something newer."""
        self._writing.discard(key)
        resource = self._pending.get(key)
        if resource is not None:
            self._schedule(key, self._turn_of(key, resource))

    def _away(self, error: StoreUnavailable, *, waiting: int) -> None:
        """Let all batches wait: one that failed tells for the others, too."""
        if self._away_until <= self._clock():
            pause = self._backoff.next_pause()
            self._away_until = self._clock() + pause
            log.warning("statuses wait to be written (%d): %s", waiting + len(self._pending), error)

    def _take_in_written(
        self,
        written: Sequence[Reactor | AnomalyScenario],
        unwritten: dict[WorkKey, Reactor | AnomalyScenario],
    ) -> None:
        """Take in what was stored, and drop it from what was not."""
        now = self._clock()
        for resource in written:
            key = _key(resource)
            del unwritten[key]
            self._written_at[key] = now
            STATUS_WRITES.labels(resource.kind, "written", _reason(resource)).inc()
            before = self._known(resource)
            self._take_in(resource)
            if before is not None and before.metadata.uid == resource.metadata.uid:
                self._tell(before, resource)

    def _tell(self, before: Reactor | AnomalyScenario, after: Reactor | AnomalyScenario) -> None:
        if isinstance(before, AnomalyScenario) and isinstance(after, AnomalyScenario):
            observe(before, after)
        if self._recorder is not None:
            self._recorder.record(before, after)

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
            log.error("no status for what cannot be read: %s", error, extra=_about(key))
            return
        if found.metadata.resource_version == metadata.resource_version:
            # Nobody changed it: the status itself was refused. The next one may be taken.
            self._written_at[key] = self._clock() + REFUSED_PAUSE_SECONDS
        self._take_in(found)
        self._replan(key)

    def _take_in(self, resource: Reactor | AnomalyScenario) -> None:
        if isinstance(resource, Reactor):
            self._fleet.put_reactor(resource, own_write=True)
        else:
            self._fleet.put_scenario(resource, own_write=True)

    def _known(self, resource: Reactor | AnomalyScenario) -> Reactor | AnomalyScenario | None:
        name = _key(resource).name
        if isinstance(resource, Reactor):
            return self._fleet.reactors.get(name)
        return self._fleet.scenario(name)

    def _is_first(self, resource: Reactor | AnomalyScenario) -> bool:
        known = self._known(resource)
        return known is not None and known.status.observed_generation == 0

    def _is_current(self, resource: Reactor | AnomalyScenario) -> bool:
        """Return whether the object is still the one that the status was planned for."""
        known = self._known(resource)
        return (
            known is not None
            and known.metadata.resource_version == resource.metadata.resource_version
        )

    async def _delete_all(self) -> None:
        """Delete what is to be deleted, one after the other, until cancelled."""
        backoff = Backoff()
        while True:
            await self._to_delete.wait()
            self._to_delete.clear()
            for key, resource in list(self._deletions.items()):
                check(self._may_write)
                try:
                    if isinstance(resource, Reactor):
                        await self._delete(resource)
                    else:
                        await self._delete(resource)
                except StoreUnavailable as error:
                    log.warning("cannot delete %s now: %s", key.name, error, extra=_about(key))
                    self._to_delete.set()
                    await asyncio.sleep(backoff.next_pause())
                    break
                backoff.reset()
                del self._deletions[key]

    async def _delete(self, resource: R) -> None:
        metadata = resource.metadata
        try:
            await self._store.delete(
                type(resource), metadata.namespace, metadata.name, uid=metadata.uid
            )
        except (NotFound, Conflict):
            return
        except Unreadable:
            # There was no state to return; it is deleted all the same.
            pass
        DELETIONS.labels(resource.kind).inc()
        if self._recorder is not None and isinstance(resource, AnomalyScenario):
            self._recorder.record_expiry(resource)
        log.info("deleted: its time was over", extra=_about(_key(resource)))


def _waits_for_its_generator(resource: Reactor | AnomalyScenario) -> bool:
    if not isinstance(resource, Reactor):
        return False
    ready = condition_of(resource.status.conditions, "Ready")
    is_settled = condition_of(resource.status.conditions, "Stalled") is not None or (
        ready is not None and ready.status is ConditionStatus.TRUE
    )
    return not is_settled


def _reason(resource: Reactor | AnomalyScenario) -> str:
    ready = condition_of(resource.status.conditions, "Ready")
    return ready.reason if ready is not None else "None"


def _key(resource: Reactor | AnomalyScenario) -> WorkKey:
    metadata = resource.metadata
    return WorkKey(Kind(resource.kind), reactor_key(metadata.namespace, metadata.name))


def _about(key: WorkKey) -> dict[str, str]:
    namespace, _, name = key.name.partition("/")
    return about(key.kind, namespace, name)
