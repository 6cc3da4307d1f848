"""Why an object is left alone for a while although its status has something new to say."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.service import Backoff
from reactorsync_operator.fleet import WorkKey
from reactorsync_operator.metrics import STATUSES_REPLACED

log = logging.getLogger(__name__)

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
    """Of an object at one generation: another spec, or object of that name, may fare better."""

    uid: UUID | None
    generation: int
    is_refusal: bool
    backoff: Backoff
    until: float = float("-inf")

    def is_of(self, resource: Reactor | AnomalyScenario) -> bool:
        """Return whether the pause is that of an object as it is now."""
        metadata = resource.metadata
        return (self.uid, self.generation) == (metadata.uid, metadata.generation)


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
        if pause is None:
            return float("-inf")
        if pause.uid != resource.metadata.uid:
            self.drop(key)
        return pause.until if pause.is_of(resource) else float("-inf")

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
        metadata = resource.metadata
        pause = self._pauses.get(key)
        is_news = pause is None or not pause.is_of(resource) or pause.is_refusal != is_refusal
        if pause is None or is_news:
            backoff = (
                Backoff(REFUSED_PAUSE_SECONDS, LONGEST_REFUSED_PAUSE_SECONDS)
                if is_refusal
                else Backoff(FAILED_PAUSE_SECONDS, LONGEST_FAILED_PAUSE_SECONDS)
            )
            pause = self._pauses[key] = _Pause(
                metadata.uid, metadata.generation, is_refusal, backoff
            )
        pause.until = self._clock() + pause.backoff.next_pause()
        return is_news


@dataclass(slots=True)
class _Own:
    """What was written last, and when others replaced what was written."""

    written: Reactor | AnomalyScenario
    replaced_at: tuple[float, ...] = ()
    is_fought_over: bool = False


class Contention:
    """Notices statuses that somebody else replaces again and again: another operator, most likely.

    ``clock`` returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._own: dict[WorkKey, _Own] = {}
        self._told_of: set[str] = set()

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

    def look(self, key: WorkKey, known: Reactor | AnomalyScenario) -> None:
        """Notice when others wrote the status of ``known``; of a fight tell once a namespace."""
        if not self._is_replaced(key, known):
            return
        STATUSES_REPLACED.labels(key.kind).inc()
        namespace = known.metadata.namespace
        if self.is_fought_over(key) and namespace not in self._told_of:
            self._told_of.add(namespace)
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

    def _is_replaced(self, key: WorkKey, known: Reactor | AnomalyScenario) -> bool:
        """Return whether ``known`` tells, for the first time, of a status that others wrote."""
        own = self._own.get(key)
        if own is None:
            return False
        if known.metadata.uid != own.written.metadata.uid:
            self.forget(key)
            return False
        if known.metadata.resource_version == own.written.metadata.resource_version:
            return False
        is_replaced = known.status != own.written.status
        own.written = known
        if is_replaced:
            own.replaced_at = (*own.replaced_at, self._clock())[-OVERWRITTEN_TIMES:]
        return is_replaced
