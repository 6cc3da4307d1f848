"""Why an object is left alone for a while although its status has something new to say."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.service import Backoff
from reactorsync_operator.fleet import WorkKey

REFUSED_PAUSE_SECONDS: Final = 30.0
LONGEST_REFUSED_PAUSE_SECONDS: Final = 60.0
"""How long an object is left alone whose status is not valid to the store: at first, and at most.
Half of it may be taken away."""

FAILED_PAUSE_SECONDS: Final = 1.0
LONGEST_FAILED_PAUSE_SECONDS: Final = 20.0
"""The same of an object that the store does not let us write, or fails to."""

OVERWRITTEN_TIMES: Final = 3
OVERWRITTEN_WITHIN_SECONDS: Final = 120.0
"""A status that is replaced so often in that time is fought over."""

TRUCE_SECONDS: Final = 60.0
"""Least time between two writes of a status that is fought over."""

PEACE_SECONDS: Final = 300.0
"""How long nobody else may have replaced it for the fight to be over."""


@dataclass(slots=True)
class _Pause:
    """Of an object at one generation: another spec may fare better."""

    generation: int
    is_refusal: bool
    backoff: Backoff
    until: float = float("-inf")


class Pauses:
    """Objects that could not be written, each with a growing pause of its own.

    ``clock`` returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pauses: dict[WorkKey, _Pause] = {}

    def refused(self, key: WorkKey, resource: Reactor | AnomalyScenario) -> bool:
        """Note that the status itself was refused; return whether that is news."""
        return self._extend(key, resource, is_refusal=True)

    def failed(self, key: WorkKey, resource: Reactor | AnomalyScenario) -> bool:
        """Note that this object cannot be written now; return whether that is news."""
        return self._extend(key, resource, is_refusal=False)

    def until(self, key: WorkKey, resource: Reactor | AnomalyScenario) -> float:
        """Return when the object may be written."""
        pause = self._pauses.get(key)
        if pause is None or pause.generation != resource.metadata.generation:
            return float("-inf")
        return pause.until

    def is_refused(self, key: WorkKey) -> bool:
        """Return whether the store has refused the status, and not taken one since."""
        pause = self._pauses.get(key)
        return pause is not None and pause.is_refusal

    def drop(self, key: WorkKey) -> None:
        """Forget what was noted: the object was written, or is gone."""
        self._pauses.pop(key, None)

    def _extend(
        self, key: WorkKey, resource: Reactor | AnomalyScenario, *, is_refusal: bool
    ) -> bool:
        generation = resource.metadata.generation
        pause = self._pauses.get(key)
        is_news = pause is None or pause.generation != generation or pause.is_refusal != is_refusal
        if pause is None or is_news:
            backoff = (
                Backoff(REFUSED_PAUSE_SECONDS, LONGEST_REFUSED_PAUSE_SECONDS)
                if is_refusal
                else Backoff(FAILED_PAUSE_SECONDS, LONGEST_FAILED_PAUSE_SECONDS)
            )
            pause = self._pauses[key] = _Pause(generation, is_refusal, backoff)
        pause.until = self._clock() + pause.backoff.next_pause()
        return is_news


@dataclass(slots=True)
class _Own:
    """What was written last, and when others replaced what was written."""

    written: Reactor | AnomalyScenario
    replaced_at: deque[float] = field(default_factory=lambda: deque(maxlen=OVERWRITTEN_TIMES))
    is_fought_over: bool = False


class Contention:
    """Notices statuses that somebody else replaces again and again: another operator, most likely.

    ``clock`` returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._own: dict[WorkKey, _Own] = {}

    def wrote(self, key: WorkKey, resource: Reactor | AnomalyScenario) -> None:
        """Note what now stands in the store."""
        own = self._own.get(key)
        if own is None or own.written.metadata.uid != resource.metadata.uid:
            self._own[key] = _Own(resource)
        else:
            own.written = resource

    def forget(self, key: WorkKey) -> None:
        """Note that it is not known what was written last, or that the object is gone."""
        self._own.pop(key, None)

    def is_replaced(self, key: WorkKey, known: Reactor | AnomalyScenario) -> bool:
        """Return whether ``known`` tells, for the first time, of a status that others wrote."""
        own = self._own.get(key)
        if own is None or known.metadata.uid != own.written.metadata.uid:
            return False
        if known.metadata.resource_version == own.written.metadata.resource_version:
            return False
        is_replaced = known.status != own.written.status
        own.written = known
        if is_replaced:
            own.replaced_at.append(self._clock())
        return is_replaced

    def is_fought_over(self, key: WorkKey) -> bool:
        """Return whether others replace the status of an object as often as it is written."""
        own = self._own.get(key)
        if own is None or not own.replaced_at:
            return False
        now = self._clock()
        if now - own.replaced_at[-1] > PEACE_SECONDS:
            own.is_fought_over = False
        elif (
            len(own.replaced_at) == OVERWRITTEN_TIMES
            and own.replaced_at[-1] - own.replaced_at[0] <= OVERWRITTEN_WITHIN_SECONDS
        ):
            own.is_fought_over = True
        return own.is_fought_over
