"""Writes statuses: only what changed, not too often for one object, each as soon as it may be."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final

from reactorsync.resources import (
    AnomalyScenario,
    ConditionStatus,
    Kind,
    Reactor,
    condition_of,
)
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
from reactorsync_operator.durations import observe
from reactorsync_operator.fleet import Fleet, WorkKey
from reactorsync_operator.leadership import MayWrite, always, check
from reactorsync_operator.metrics import (
    STATUS_OLDEST,
    STATUS_PENDING,
    STATUS_SECONDS,
    STATUS_WRITES,
    STATUSES_REPLACED,
)
from reactorsync_operator.patience import TRUCE_SECONDS, Contention, Pauses
from reactorsync_operator.reconcile.reasons import ReactorReason
from reactorsync_operator.recorder import Recorder

log = logging.getLogger(__name__)

BATCH: Final = 500
GATHER_SECONDS: Final = 0.01
"""How long more statuses may join a batch, and newer ones take the place of those that wait."""

FIRST_HOLD_SECONDS: Final = 2.0
"""How long the first status of a reactor waits for its generator's word, unless all is well: since
it was offered, and since generators were last asked for something, or had a word to say."""

LONGEST_FIRST_HOLD_SECONDS: Final = 60.0
"""How long it waits while generators are asked, or have their say on others."""

OVERDUE_SECONDS: Final = 180.0
"""A status that waits for longer does not get through: longer than any pause that heals by itself,
and than a first status waits for its generator."""

_TELL_SECONDS: Final = 10.0
"""Least time between two lines of the log about objects that cannot be written now."""


class StatusWriter:
    """Keeps the newest status of each object until it is written.

    An object that changed in the meantime is not written: ``replan`` is called with its key, and
    the next plan offers a status again. One that the store refuses, or may not be written now, is
    left alone for a while of its own; so is one that somebody else keeps replacing. What says only
    that a generator has yet to answer comes after everything else: when the answer is there in
    time, one write says it all. ``all_asked`` says whether generators have been told the whole
    fleet, before which they do not answer. ``writers`` batches of up to ``batch`` objects are
    written at once; no object is in two of them. ``clock`` returns monotonic seconds. ``may_write``
    is asked right before each write; where it says no, :class:`NotLeading` ends :meth:`run`.
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
        self._all_asked = all_asked
        self._recorder = recorder
        self._pending: dict[WorkKey, Reactor | AnomalyScenario] = {}
        self._due_at: dict[WorkKey, float] = {}
        self._waiting: list[tuple[float, int, WorkKey]] = []
        self._ready: dict[WorkKey, None] = {}
        self._unanswered: dict[WorkKey, float] = {}
        self._answered_at = float("-inf")
        self._urgent: set[WorkKey] = set()
        self._writing: dict[WorkKey, bool] = {}
        self._written_at: dict[WorkKey, float] = {}
        self._offered_at: dict[WorkKey, float] = {}
        self._got_through_at = clock()
        self._told_at = float("-inf")
        self._fought_over: set[str] = set()
        self._pauses = Pauses(clock)
        self._contention = Contention(clock)
        self._deletions = Deletions(
            store, clock=clock, may_write=may_write, changed=self._read_again, recorder=recorder
        )
        self._order = 0
        self._backoff = Backoff()
        self._outage = OutageLog(log, "statuses", clock=clock)
        self._away_until = float("-inf")
        self._changed = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be written or deleted, and nothing is under way."""
        return not (self._pending or self._writing or self._deletions)

    def offer(self, resource: Reactor | AnomalyScenario, *, urgent: bool = False) -> None:
        """Write the status of ``resource``, which otherwise is as it was read, soon.

        An urgent one does not wait for the object's next turn.
        """
        key = _key(resource)
        self._look_who_wrote(key)
        self._pending[key] = resource
        self._offered_at.setdefault(key, self._clock())
        if urgent:
            self._urgent.add(key)
        if key not in self._writing:
            self._place(key, resource)

    def withdraw(self, key: WorkKey) -> None:
        """Write nothing for an object: its status is right, or it is gone."""
        self._pending.pop(key, None)
        self._due_at.pop(key, None)
        self._ready.pop(key, None)
        self._unanswered.pop(key, None)
        self._offered_at.pop(key, None)
        self._urgent.discard(key)

    def forget(self, key: WorkKey) -> None:
        """Drop all that is known of an object that is gone."""
        self.withdraw(key)
        self._written_at.pop(key, None)
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
        now = self._clock()
        written_at = self._written_at.get(key)
        if key not in self._ready and self._is_unanswered(resource) and written_at is None:
            # It has just been published: its generator's word would be a second write.
            self._unanswered.setdefault(key, now)
            self._changed.set()
            return
        if self._unanswered.pop(key, None) is not None:
            self._answered_at = now
        due_at = now
        if written_at is not None:
            if self._contention.is_fought_over(key):
                due_at = written_at + TRUCE_SECONDS
            elif key not in self._urgent:
                due_at = written_at + self._interval_seconds
        self._schedule(key, max(due_at, self._pauses.until(key, resource)))

    def _look_who_wrote(self, key: WorkKey) -> None:
        """Notice when it was somebody else who wrote the status that is known."""
        known = None if key in self._writing else self._known(key)
        if known is None or not self._contention.is_replaced(key, known):
            return
        STATUSES_REPLACED.labels(key.kind).inc()
        namespace = known.metadata.namespace
        if self._contention.is_fought_over(key) and namespace not in self._fought_over:
            self._fought_over.add(namespace)
            log.error(
                "somebody else keeps replacing statuses in namespace %s, that of %s %s for one: "
                "is a second operator, with another lease, at work there? Such statuses are "
                "written once in %.0f s now",
                namespace,
                key.kind,
                key.name,
                TRUCE_SECONDS,
                extra=key.about,
            )

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
        if not self._ready:
            self._give_up_waiting(now)

    def _give_up_waiting(self, now: float) -> None:
        """Let as many unanswered ones be written as can be at once: the rest may be answered."""
        if not self._all_asked():
            self._answered_at = now
        oldest = list(islice(self._unanswered.items(), self._batch * self._writers))
        for key, since in oldest:
            if self._waits_until(since) <= now:
                del self._unanswered[key]
                self._ready[key] = None

    def _waits_until(self, since: float) -> float:
        """Return how long a status waits for a generator that has been waiting ``since``."""
        return min(
            max(since, self._answered_at) + FIRST_HOLD_SECONDS, since + LONGEST_FIRST_HOLD_SECONDS
        )

    def _next_due(self) -> float | None:
        moments = [self._waiting[0][0]] if self._waiting else []
        if self._unanswered:
            moments.append(self._waits_until(next(iter(self._unanswered.values()))))
        return min(moments, default=None)

    async def _wait(self) -> None:
        """Wait until a status may be written."""
        while (pause := self._away_until - self._clock()) > 0:
            await asyncio.sleep(pause)
        self._release_due()
        STATUS_PENDING.set(len(self._pending))
        since = next(iter(self._offered_at.values()), None)
        STATUS_OLDEST.set(0.0 if since is None else self._clock() - since)
        if self._ready:
            return
        while not self._ready:
            self._changed.clear()
            due_at = self._next_due()
            try:
                async with asyncio.timeout(None if due_at is None else due_at - self._clock()):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._release_due()
        if self._batch > 1:
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
                self._pending.setdefault(key, resource)
                self._contention.forget(key)
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
            self._written_at[key] = self._got_through_at = now
            self._offered_at.pop(key, None)
            if key in self._pending:
                self._offered_at[key] = now
            self._pauses.drop(key)
            self._contention.wrote(key, resource)
            STATUS_WRITES.labels(resource.kind, "written", _reason(resource)).inc()
            self._take_in(resource)
            known = before[key]
            if known is not None and known.metadata.uid == resource.metadata.uid:
                self._tell(known, resource)

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

    def _is_unanswered(self, resource: Reactor | AnomalyScenario) -> bool:
        """Return whether this would be a first status that has nothing to say as yet."""
        if not _waits_for_its_generator(resource):
            return False
        known = self._known(_key(resource))
        return known is not None and known.status.observed_generation == 0

    def _is_current(self, resource: Reactor | AnomalyScenario) -> bool:
        """Return whether the object is still the one that the status was planned for."""
        known = self._known(_key(resource))
        return (
            known is not None
            and known.metadata.resource_version == resource.metadata.resource_version
        )


def _waits_for_its_generator(resource: Reactor | AnomalyScenario) -> bool:
    if not isinstance(resource, Reactor):
        return False
    conditions = resource.status.conditions
    ready = condition_of(conditions, "Ready")
    if condition_of(conditions, "Stalled") is not None or ready is None:
        return False
    return ready.status is not ConditionStatus.TRUE and ready.reason in _UNANSWERED


_UNANSWERED: Final = frozenset({ReactorReason.AWAITING_GENERATOR, ReactorReason.GENERATOR_SILENT})


def _reason(resource: Reactor | AnomalyScenario) -> str:
    ready = condition_of(resource.status.conditions, "Ready")
    return ready.reason if ready is not None else "None"


def _key(resource: Reactor | AnomalyScenario) -> WorkKey:
    metadata = resource.metadata
    return WorkKey(Kind(resource.kind), reactor_key(metadata.namespace, metadata.name))
