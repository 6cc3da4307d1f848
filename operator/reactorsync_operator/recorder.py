"""Tells people what changed: as events of Kubernetes, or as lines of the log.

Nothing here holds up or fails reconciliation: ``record`` only notes what is to be told, and what
cannot be told is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from prometheus_client import Counter

from reactorsync.kube import ApiError, ApiUnavailable, KubeClient
from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.service import Backoff
from reactorsync_operator.event_body import Subject, event_body, event_series, events_path
from reactorsync_operator.leadership import MayWrite, always, check
from reactorsync_operator.rate_cap import RateCap
from reactorsync_operator.reconcile.announcements import (
    Announcement,
    announce,
    announce_expiry,
    announce_invalid,
    announce_kept,
    announce_refusal,
)
from reactorsync_operator.reconcile.event_kinds import EventType
from reactorsync_operator.wakeups import Timers

log = logging.getLogger(__name__)

QUEUED: Final = 1000
"""Events that may wait to be posted."""
SERIES_SECONDS: Final = 360.0
"""An event that comes again within this time is counted, not posted anew; as in client-go."""
UPDATE_SECONDS: Final = 30.0
"""Least time between two updates of an event's count."""

GIVE_UP_SECONDS: Final = 600.0
"""How long no event is posted in a namespace in which that is forbidden."""

ANNOUNCEMENTS = Counter(
    "reactorsync_operator_announcements_total",
    "Announcements: posted, counted in an event that is there, or dropped, and why.",
    ["outcome"],
)


class Recorder(Protocol):
    """Tells people what happened to objects."""

    def record(self, before: Reactor | AnomalyScenario, after: Reactor | AnomalyScenario) -> None:
        """Tell what the written status of ``after`` says that that of ``before`` did not."""

    def record_expiry(self, scenario: AnomalyScenario) -> None:
        """Tell that a finished scenario was deleted for its age."""

    def record_kept(self, resource: Reactor | AnomalyScenario, problem: str) -> None:
        """Tell that an object that is over cannot be deleted."""

    def record_refusal(self, resource: Reactor | AnomalyScenario) -> None:
        """Tell that the status of an object is refused."""

    def record_invalid(self, subject: Subject, problem: str) -> None:
        """Tell that the spec of ``subject`` is not valid, which its status now says."""

    async def run(self) -> None:
        """Tell until cancelled."""


class _Announcer(ABC):
    """A recorder that tells one announcement after the other."""

    def record(self, before: Reactor | AnomalyScenario, after: Reactor | AnomalyScenario) -> None:
        """See :class:`Recorder`."""
        for announcement in announce(before, after):
            self._tell(Subject.of(after), announcement)

    def record_expiry(self, scenario: AnomalyScenario) -> None:
        """See :class:`Recorder`."""
        self._tell(Subject.of(scenario), announce_expiry(scenario))

    def record_kept(self, resource: Reactor | AnomalyScenario, problem: str) -> None:
        """See :class:`Recorder`."""
        self._tell(Subject.of(resource), announce_kept(problem))

    def record_refusal(self, resource: Reactor | AnomalyScenario) -> None:
        """See :class:`Recorder`."""
        self._tell(Subject.of(resource), announce_refusal())

    def record_invalid(self, subject: Subject, problem: str) -> None:
        """See :class:`Recorder`."""
        self._tell(subject, announce_invalid(problem))

    @abstractmethod
    def _tell(self, subject: Subject, announcement: Announcement) -> None:
        """Tell one thing about one object, at once or soon."""


class LogRecorder(_Announcer):
    """Writes a line for each announcement. ``clock`` returns monotonic seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._cap = RateCap(clock=clock)

    async def run(self) -> None:
        """Return: lines are written at once."""

    def _tell(self, subject: Subject, announcement: Announcement) -> None:
        kind = announcement.kind
        if not self._cap.allows(subject.uid, kind.reason):
            ANNOUNCEMENTS.labels("dropped_rate").inc()
            return
        ANNOUNCEMENTS.labels("logged").inc()
        log.log(
            logging.WARNING if kind.type is EventType.WARNING else logging.INFO,
            "%s %s/%s: %s: %s",
            subject.kind,
            subject.namespace,
            subject.name,
            kind.reason,
            announcement.note,
        )


@dataclass(frozen=True, slots=True)
class _Key:
    """What makes two announcements the same event."""

    uid: str
    reason: str
    note: str


@dataclass(slots=True)
class _Event:
    """An event to post, or posted and perhaps to be counted up.

    ``count`` occurrences are known here, ``posted_count`` of them to the API server; times in
    monotonic seconds, but ``first`` and ``last``, which people read.
    """

    subject: Subject
    announcement: Announcement
    first: datetime
    last: datetime
    seen_at: float
    count: int = 1
    name: str = ""
    posted_count: int = 0
    due_at: float = 0.0

    @property
    def namespace(self) -> str:
        return self.subject.namespace

    @property
    def waits(self) -> bool:
        return self.posted_count < self.count


@dataclass(slots=True)
class _Names:
    """Names of events, none twice: of the object, the start of the recorder and a number."""

    suffix: int = field(default_factory=time.time_ns)

    def next(self, of_object: str) -> str:
        self.suffix += 1
        return f"{of_object}.{self.suffix:x}"


class EventRecorder(_Announcer):
    """Posts events through ``client`` as ``instance``, the identity of this operator.

    A namespace in which that is forbidden is left alone for a while. ``may_write`` is asked right
    before each event; where it says no, :class:`NotLeading` ends :meth:`run`. ``clock`` returns
    monotonic seconds, ``now`` the time in UTC.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        instance: str,
        may_write: MayWrite = always,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._instance = instance[:128]
        self._may_write = may_write
        self._clock = clock
        self._now = now
        self._cap = RateCap(clock=clock)
        self._names = _Names()
        self._events: dict[_Key, _Event] = {}
        self._forbidden_until: dict[str, float] = {}
        self._due: Timers[_Key] = Timers(clock)

    async def run(self) -> None:
        """Post until cancelled. While the API server is away, events wait."""
        backoff = Backoff()
        while True:
            key = await self._due.next()
            event = self._events[key]
            try:
                await self._send(key, event)
            except ApiUnavailable as error:
                self._due.set(key, event.due_at)
                log.debug("events wait to be posted (%d): %s", self.waiting, error)
                await asyncio.sleep(backoff.next_pause())
            else:
                backoff.reset()

    @property
    def waiting(self) -> int:
        """How many events wait to be posted or counted up."""
        return sum(event.waits for event in self._events.values())

    def _tell(self, subject: Subject, announcement: Announcement) -> None:
        kind = announcement.kind
        if self._clock() < self._forbidden_until.get(subject.namespace, float("-inf")):
            ANNOUNCEMENTS.labels("dropped_forbidden").inc()
            return
        key = _Key(subject.uid, kind.reason, announcement.note)
        known = self._events.get(key)
        if known is not None and self._clock() - known.seen_at < SERIES_SECONDS:
            known.count += 1
            known.last, known.seen_at = self._now(), self._clock()
            ANNOUNCEMENTS.labels("counted").inc()
            self._due.set(key, known.due_at)
            return
        if not self._cap.allows(subject.uid, kind.reason):
            ANNOUNCEMENTS.labels("dropped_rate").inc()
            return
        if len(self._events) >= QUEUED:
            self._forget_old()
        if len(self._events) >= QUEUED:
            ANNOUNCEMENTS.labels("dropped_full").inc()
            return
        now = self._now()
        self._events.pop(key, None)
        self._events[key] = _Event(subject, announcement, now, now, self._clock())
        self._due.set(key, 0.0)

    def _forget_old(self) -> None:
        """Make room: first what can no longer be counted up, then what was posted longest ago."""
        now = self._clock()
        posted = [key for key, event in self._events.items() if not event.waits]
        over = [key for key in posted if now - self._events[key].seen_at >= SERIES_SECONDS]
        for key in over or posted[: QUEUED // 10]:
            del self._events[key]

    async def _send(self, key: _Key, event: _Event) -> None:
        count = event.count
        check(self._may_write)
        try:
            if event.posted_count:
                await self._update(event)
            else:
                await self._post(event)
        except ApiError as error:
            self._refused(key, event, error)
        else:
            event.posted_count = count
            event.due_at = self._clock() + UPDATE_SECONDS
            if event.waits and self._events.get(key) is event:
                self._due.set(key, event.due_at)

    async def _post(self, event: _Event) -> None:
        event.name = event.name or self._names.next(event.subject.name)
        body = event_body(
            event.subject,
            event.announcement,
            name=event.name,
            instance=self._instance,
            first=event.first,
        )
        if event.count > 1:
            body["series"] = event_series(event.count, event.last)
        try:
            await self._client.post(events_path(event.namespace), body)
        except ApiError as error:
            if error.code != 409:  # else: posted by an attempt whose answer was lost
                raise
        ANNOUNCEMENTS.labels("posted").inc()

    async def _update(self, event: _Event) -> None:
        try:
            await self._client.merge_patch(
                f"{events_path(event.namespace)}/{event.name}",
                {"series": event_series(event.count, event.last)},
            )
        except ApiError as error:
            if error.code != 404:
                raise
            # The API server keeps events for an hour or so.
            event.name = ""
            await self._post(event)

    def _refused(self, key: _Key, event: _Event, error: ApiError) -> None:
        """Drop an event that the API server will not have, however often it is asked."""
        self._drop(key)
        ANNOUNCEMENTS.labels("refused").inc()
        if error.code == 403 and "being terminated" not in error.message:
            self._give_up(event.namespace, error)
        elif error.code not in (403, 404):
            log.warning("an event was refused: %s", error)

    def _give_up(self, namespace: str, error: ApiError) -> None:
        self._forbidden_until[namespace] = self._clock() + GIVE_UP_SECONDS
        log.warning(
            "no events are posted in namespace %s for %.0f s: %s", namespace, GIVE_UP_SECONDS, error
        )
        for key in [key for key, event in self._events.items() if event.namespace == namespace]:
            self._drop(key)
            ANNOUNCEMENTS.labels("dropped_forbidden").inc()

    def _drop(self, key: _Key) -> None:
        self._events.pop(key, None)
        self._due.set(key, None)
