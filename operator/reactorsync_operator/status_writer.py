"""Writes statuses: only what changed, not too often for one object, each as soon as it may be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from reactorsync.resources import AnomalyScenario, Kind, Reactor, condition_of
from reactorsync.service import Backoff, OutageLog
from reactorsync.store import (
    Forbidden,
    NotFound,
    ResourceStore,
    StoreUnavailable,
    Unreadable,
)
from reactorsync.store.port import Failed, WrittenInPart
from reactorsync.wire.keys import reactor_key
from reactorsync_operator.deletions import Deletions
from reactorsync_operator.doubts import Doubts
from reactorsync_operator.durations import observe
from reactorsync_operator.fleet import Fleet, WorkKey
from reactorsync_operator.leadership import MayWrite, always, check
from reactorsync_operator.metrics import (
    STATUS_OLDEST,
    STATUS_PENDING,
    STATUS_SECONDS,
    STATUS_WRITES,
)
from reactorsync_operator.patience import TRUCE_SECONDS, Contention, Pauses
from reactorsync_operator.reconcile.conditions import READY
from reactorsync_operator.recorder import Recorder
from reactorsync_operator.turns import Turns, lacks

log = logging.getLogger(__name__)

BATCH: Final = 500
GATHER_SECONDS: Final = 0.01
"""How long more statuses may join a batch, and newer ones take the place of those that wait."""

OVERDUE_SECONDS: Final = 180.0
"""A status that waits for longer does not get through: longer than any pause that heals by itself,
and than a first status waits for its generator."""

_TELL_SECONDS: Final = 10.0
"""Least time between two lines of the log about objects that cannot be written now."""


class StatusWriter:
    """Keeps the newest status of each object until its turn (see :class:`Turns`) to be written.

    An object that changed in the meantime is not written: ``replan`` is called with its key, and
    the next plan offers a status again. One that the store refuses, or may not be written now, is
    left alone for a while of its own; so is one that somebody else keeps replacing. ``all_asked``
    is for :class:`Turns`. ``writers`` batches of up to ``batch`` objects are written at once; no
    object is in two of them. ``clock`` returns monotonic seconds. ``may_write`` is asked right
    before each write; where it says no, :class:`NotLeading` ends :meth:`run`.
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
        all_asked: Callable[[], bool] = always,
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
        self._turns = Turns(at_once=batch * writers, all_asked=all_asked, clock=clock)
        self._urgent: set[WorkKey] = set()
        self._writing: dict[WorkKey, bool] = {}
        self._withdrawn: set[WorkKey] = set()
        self._doubts = Doubts()
        self._offered_at: dict[WorkKey, float] = {}
        self._got_through_at = clock()
        self._told_at = float("-inf")
        self._pauses = Pauses(clock)
        self._contention = Contention(clock)
        self._deletions = Deletions(
            store, clock=clock, may_write=may_write, changed=self._read_again, recorder=recorder
        )
        self._backoff = Backoff()
        self._outage = OutageLog(log, "statuses", clock=clock)
        self._away_until = float("-inf")

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be written or deleted, and nothing is under way."""
        return not (self._pending or self._writing or self._deletions)

    def offer(self, resource: Reactor | AnomalyScenario, *, urgent: bool = False) -> None:
        """Write the status of ``resource``, which otherwise is as it was read, soon.

        An urgent one does not wait for the object's next turn.
        """
        key = _key(resource)
        known = None if key in self._writing else self._known(key)
        if known is not None:
            self._settle(key, known)
            self._contention.look(key, known)
        self._withdrawn.discard(key)
        self._pending[key] = resource
        self._offered_at.setdefault(key, self._clock())
        if urgent:
            self._urgent.add(key)
        if key not in self._writing:
            self._place(key, resource)

    def withdraw(self, key: WorkKey) -> None:
        """Write nothing for an object: its status is right, or it is gone.

        If one is being written, it may be right no longer then, and ``replan`` is called.
        """
        if key in self._writing:
            self._withdrawn.add(key)
        else:
            self._settle(key, self._known(key))
        self._pending.pop(key, None)
        self._turns.drop(key)
        self._offered_at.pop(key, None)
        self._urgent.discard(key)

    def forget(self, key: WorkKey) -> None:
        """Drop all that is known of an object that is gone."""
        self.withdraw(key)
        self._withdrawn.discard(key)
        self._doubts.forget(key)
        self._turns.forget(key)
        self._pauses.drop(key)
        self._contention.forget(key)
        self._deletions.forget(key)

    def delete(self, resource: Reactor | AnomalyScenario) -> None:
        """Delete an object whose time is over, unless it has become another one meanwhile."""
        self._deletions.want(_key(resource), resource)

    def overdue(self) -> tuple[str, bool] | None:
        """Return what to say of statuses that do not get through, ``None`` while all do.

        The other value is whether nothing at all gets through, although not the statuses themselves
        are refused.
        """
        now = self._clock()
        oldest = [key for key, since in self._offered_at.items() if now - since > OVERDUE_SECONDS]
        if not oldest:
            return None
        more = f" and {len(oldest) - 1} more" if len(oldest) > 1 else ""
        problem = f"{oldest[0].kind} {oldest[0].name}{more}: not written for over"
        is_stuck = now - self._got_through_at > OVERDUE_SECONDS and not all(
            self._pauses.is_refused(key) for key in oldest
        )
        return f"{problem} {OVERDUE_SECONDS:.0f} s", is_stuck

    async def run(self) -> None:
        """Write until cancelled. While the store is away, statuses wait."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deletions.run())
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

    def _place(self, key: WorkKey, resource: Reactor | AnomalyScenario) -> None:
        """Give a status its place among those that wait."""
        is_urgent = key in self._urgent
        if self._contention.is_fought_over(key):
            # The end of a run waits for no truce; nor may two operators race over it.
            every_seconds = self._interval_seconds if is_urgent else TRUCE_SECONDS
        else:
            every_seconds = 0.0 if is_urgent else self._interval_seconds
        self._turns.place(
            key,
            every_seconds=every_seconds,
            not_before=self._pauses.until(key, resource),
            lacks=lacks(resource, self._known(key)),
        )

    async def _wait(self) -> None:
        """Wait until a status may be written."""
        while (pause := self._away_until - self._clock()) > 0:
            await asyncio.sleep(pause)
        STATUS_PENDING.set(len(self._pending))
        since = next(iter(self._offered_at.values()), None)
        STATUS_OLDEST.set(0.0 if since is None else self._clock() - since)
        if await self._turns.wait() and self._batch > 1:
            await asyncio.sleep(GATHER_SECONDS)

    def _take(self) -> Sequence[Reactor | AnomalyScenario]:
        """Take the statuses of one kind that waited longest."""
        batch = []
        for key in self._turns.take(self._batch):
            resource = self._pending.pop(key)
            if self._is_current(resource):
                batch.append(resource)
                self._writing[key] = key in self._urgent
                self._urgent.discard(key)
            else:
                self._offered_at.pop(key, None)
                self._replan(key)
        return batch

    async def _write_batch(self, batch: Sequence[Reactor | AnomalyScenario]) -> None:
        unwritten = {_key(resource): resource for resource in batch}
        # From now: the watch may tell of a write before its answer is here.
        before = {key: self._known(key) for key in unwritten}
        try:
            check(self._may_write)
            kind = batch[0].kind
            with STATUS_SECONDS.labels(kind).time():
                self._take_in_written(await self._replace(batch), unwritten, before)
            for resource in list(unwritten.values()):
                STATUS_WRITES.labels(kind, "conflict", _reason(resource)).inc()
                await self._read_again(resource)
                del unwritten[_key(resource)]
        except StoreUnavailable as error:
            if isinstance(error, WrittenInPart):
                self._take_in_written(error.written, unwritten, before)
            if len(batch) == 1 and isinstance(error, Forbidden | Failed):
                self._put_off(batch[0], error)
            else:
                self._away(error, waiting=len(unwritten))
            for key, resource in unwritten.items():
                known = before[key]
                if known is not None:
                    self._doubts.note(known, resource)
                self._contention.forget(key)
                if key in self._withdrawn:
                    continue
                self._pending.setdefault(key, resource)
                if self._writing[key]:
                    self._urgent.add(key)
        else:
            self._backoff.reset()
            self._outage.works()
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
        self._writing.pop(key, None)
        if key in self._withdrawn:
            self._withdrawn.discard(key)
            self._replan(key)
        resource = self._pending.get(key)
        if resource is not None:
            self._place(key, resource)
        else:
            self._offered_at.pop(key, None)

    def _put_off(self, resource: Reactor | AnomalyScenario, error: StoreUnavailable) -> None:
        """Let one object wait: the store is there, and may take others."""
        key, now = _key(resource), self._clock()
        if self._pauses.failed(key, resource) and now - self._told_at > _TELL_SECONDS:
            self._told_at = now
            log.warning("a status waits to be written: %s", error, extra=key.about)

    def _away(self, error: StoreUnavailable, *, waiting: int) -> None:
        """Let all batches wait: one that failed tells for the others, too."""
        if self._away_until <= self._clock():
            pause = self._backoff.next_pause()
            self._away_until = self._clock() + pause
            self._outage.fails(f"{waiting + len(self._pending)} wait to be written: {error}")

    def _take_in_written(
        self,
        written: Sequence[Reactor | AnomalyScenario],
        unwritten: dict[WorkKey, Reactor | AnomalyScenario],
        before: Mapping[WorkKey, Reactor | AnomalyScenario | None],
    ) -> None:
        """Take in what was stored, drop it from what was not, and tell what it says anew."""
        now = self._clock()
        for resource in written:
            key = _key(resource)
            del unwritten[key]
            self._turns.wrote(key)
            self._got_through_at = now
            self._offered_at.pop(key, None)
            if key in self._pending:
                self._offered_at[key] = now
            self._pauses.drop(key)
            self._contention.wrote(key, resource)
            self._doubts.forget(key)
            STATUS_WRITES.labels(resource.kind, "written", _reason(resource)).inc()
            self._take_in(resource)
            known = before[key]
            if known is not None and known.metadata.uid == resource.metadata.uid:
                self._tell(known, resource)

    def _settle(self, key: WorkKey, known: Reactor | AnomalyScenario | None) -> None:
        """Tell of a status whose write got no answer, once it is seen to be stored."""
        before = self._doubts.settle(key, known)
        if before is not None and known is not None:
            self._tell(before, known)

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
            log.error("no status for what cannot be read: %s", error, extra=key.about)
            return
        if found.metadata.resource_version == metadata.resource_version:
            # Nobody changed it: the status itself was refused. The next one may be taken.
            is_news = self._pauses.refused(key, resource)
            if is_news and self._recorder is not None:
                self._recorder.record_refusal(resource)
        self._take_in(found)
        self._replan(key)

    def _take_in(self, resource: Reactor | AnomalyScenario) -> None:
        if isinstance(resource, Reactor):
            self._fleet.put_reactor(resource, own_write=True)
        else:
            self._fleet.put_scenario(resource, own_write=True)

    def _known(self, key: WorkKey) -> Reactor | AnomalyScenario | None:
        if key.kind is Kind.REACTOR:
            return self._fleet.reactors.get(key.name)
        return self._fleet.scenario(key.name)

    def _is_current(self, resource: Reactor | AnomalyScenario) -> bool:
        """Return whether the object is still the one that the status was planned for."""
        known = self._known(_key(resource))
        return (
            known is not None
            and known.metadata.resource_version == resource.metadata.resource_version
        )


def _reason(resource: Reactor | AnomalyScenario) -> str:
    ready = condition_of(resource.status.conditions, READY)
    return ready.reason if ready is not None else "None"


def _key(resource: Reactor | AnomalyScenario) -> WorkKey:
    metadata = resource.metadata
    return WorkKey(Kind(resource.kind), reactor_key(metadata.namespace, metadata.name))
