"""Whose status is written next: nobody's too often, and no half of an answer before the whole."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from itertools import islice
from typing import Final

from reactorsync.resources import AnomalyScenario, ConditionStatus, Reactor, condition_of
from reactorsync_operator.fleet import WorkKey
from reactorsync_operator.reconcile.conditions import READY, STALLED
from reactorsync_operator.reconcile.reasons import ReactorReason
from reactorsync_operator.wakeups import LONGEST_SLEEP_SECONDS, Timers

CHANGE_HOLD_SECONDS: Final = 0.25
"""How long the status of a changed spec waits for the generator's acknowledgement, which comes
within tens of milliseconds: then one write says that the change was seen and is in effect."""

FIRST_HOLD_SECONDS: Final = 2.0
"""How long the first status of a reactor waits for its generator's word, unless all is well: since
it was offered, and since generators were last asked for something, or had a word to say."""

LONGEST_FIRST_HOLD_SECONDS: Final = 60.0
"""How long it waits while generators are asked, or have their say on others."""


class Lacks(Enum):
    """What a status lacks that would make another write of it needless."""

    NOTHING = auto()
    FIRST_ANSWER = auto()
    """The reactor is new, and its generator has yet to say anything."""
    ACKNOWLEDGEMENT = auto()
    """The spec was changed, and the generator has yet to follow."""


_UNANSWERED: Final = frozenset({ReactorReason.AWAITING_GENERATOR, ReactorReason.GENERATOR_SILENT})


def lacks(offered: Reactor | AnomalyScenario, known: Reactor | AnomalyScenario | None) -> Lacks:
    """Return what the status of ``offered`` lacks, where that of ``known`` is written."""
    if known is None or not isinstance(offered, Reactor):
        return Lacks.NOTHING
    conditions = offered.status.conditions
    ready = condition_of(conditions, READY)
    if condition_of(conditions, STALLED) is not None or ready is None:
        return Lacks.NOTHING
    if ready.status is ConditionStatus.TRUE or ready.reason not in _UNANSWERED:
        return Lacks.NOTHING
    if known.status.observed_generation == 0:
        return Lacks.FIRST_ANSWER
    is_changed = offered.status.observed_generation > known.status.observed_generation
    is_asked = ready.reason == ReactorReason.AWAITING_GENERATOR
    return Lacks.ACKNOWLEDGEMENT if is_changed and is_asked else Lacks.NOTHING


class Turns:
    """Which objects wait for a write, and when each may have it.

    An object that is placed comes due once, by its own clock; the due ones are taken in the order
    in which they came due. What lacks a first answer comes after all others, ``at_once`` of them at
    a time, or among them when it has waited for long. ``all_asked`` says whether generators have
    been told the whole fleet, before which they do not answer. ``clock`` returns monotonic seconds.
    """

    def __init__(
        self, *, at_once: int, all_asked: Callable[[], bool], clock: Callable[[], float]
    ) -> None:
        self._at_once = at_once
        self._all_asked = all_asked
        self._clock = clock
        self._timers: Timers[WorkKey] = Timers(clock)
        self._ready: dict[WorkKey, None] = {}
        self._unanswered: dict[WorkKey, float] = {}
        self._answered_at = float("-inf")
        self._held_until: dict[WorkKey, float] = {}
        self._written_at: dict[WorkKey, float] = {}

    def place(
        self,
        key: WorkKey,
        *,
        every_seconds: float,
        not_before: float = float("-inf"),
        lacks: Lacks = Lacks.NOTHING,
    ) -> None:
        """Let an object wait for its turn, which may thereby be another than before.

        It comes ``every_seconds`` at most and ``not_before`` a moment; one that is due stays so.
        """
        if key in self._ready:
            return
        now, written_at = self._clock(), self._written_at.get(key)
        if lacks is Lacks.FIRST_ANSWER and written_at is None:
            self._unanswered.setdefault(key, now)
            self._timers.wake()
            return
        if self._unanswered.pop(key, None) is not None:
            self._answered_at = now
        due_at = max(
            not_before, float("-inf") if written_at is None else written_at + every_seconds
        )
        if lacks is Lacks.ACKNOWLEDGEMENT:
            due_at = max(due_at, self._held_until.setdefault(key, now + CHANGE_HOLD_SECONDS))
        else:
            self._held_until.pop(key, None)
        if due_at <= now:
            self._make_ready(key)
        else:
            self._timers.set(key, due_at)

    def wrote(self, key: WorkKey) -> None:
        """Note that the object was written now."""
        self._written_at[key] = self._clock()

    def drop(self, key: WorkKey) -> None:
        """Let an object wait no more."""
        self._timers.set(key, None)
        self._ready.pop(key, None)
        self._unanswered.pop(key, None)
        self._held_until.pop(key, None)

    def forget(self, key: WorkKey) -> None:
        """Drop an object that is gone, and when it was written."""
        self.drop(key)
        self._written_at.pop(key, None)

    async def wait(self) -> bool:
        """Wait until a turn has come; return whether that took waiting."""
        self._release()
        if self._ready:
            return False
        while not self._ready:
            await self._timers.wait(seconds=self._next_first_seconds())
            self._release()
        return True

    def take(self, most: int) -> list[WorkKey]:
        """Take the objects of one kind whose turn came first."""
        first = next(iter(self._ready), None)
        if first is None:
            return []
        keys = list(islice((key for key in self._ready if key.kind is first.kind), most))
        for key in keys:
            del self._ready[key]
        return keys

    def _make_ready(self, key: WorkKey) -> None:
        self._timers.set(key, None)
        self._held_until.pop(key, None)
        self._ready[key] = None
        self._timers.wake()

    def _release(self) -> None:
        for key in self._timers.due():
            self._make_ready(key)
        self._give_up_waiting()

    def _give_up_waiting(self) -> None:
        """Let as many unanswered ones be written as can be at once: the rest may be answered.

        Beside others only those that have waited longest, however much there is to write.
        """
        now = self._clock()
        if not self._all_asked():
            self._answered_at = now
        is_busy = bool(self._ready)
        oldest = list(islice(self._unanswered.items(), self._at_once))
        for key, since in oldest:
            until = since + LONGEST_FIRST_HOLD_SECONDS if is_busy else self._waits_until(since)
            if until <= now:
                del self._unanswered[key]
                self._make_ready(key)

    def _waits_until(self, since: float) -> float:
        """Return how long a status waits for a generator that has been waiting ``since``."""
        return min(
            max(since, self._answered_at) + FIRST_HOLD_SECONDS, since + LONGEST_FIRST_HOLD_SECONDS
        )

    def _next_first_seconds(self) -> float:
        """Return in how many seconds the longest unanswered one has waited enough."""
        since = next(iter(self._unanswered.values()), None)
        if since is None:
            return LONGEST_SLEEP_SECONDS
        return max(self._waits_until(since) - self._clock(), 0.0)
