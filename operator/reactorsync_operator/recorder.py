"""Tells people what changed: as events of Kubernetes, or as lines of the log.

Nothing here holds up or fails reconciliation: ``record`` only notes what is to be told, and what
cannot be told is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from prometheus_client import Counter
from pydantic import JsonValue

from reactorsync.kube import ApiError, ApiUnavailable, KubeClient
from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.service import Backoff
from reactorsync_operator.rate_cap import RateCap
from reactorsync_operator.reconcile.announcements import Announcement, announce, announce_expiry
from reactorsync_operator.reconcile.event_kinds import EventType

log = logging.getLogger(__name__)

CONTROLLER: Final = "reactorsync.dev/operator"
NOTE_BYTES: Final = 1024
"""Longest note that an API server takes."""
QUEUED: Final = 1000
"""Events that may wait to be posted."""
SERIES_SECONDS: Final = 360.0
"""An event that comes again within this time is counted, not posted anew; as in client-go."""
UPDATE_SECONDS: Final = 30.0
"""Least time between two updates of an event's count."""

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

    async def run(self) -> None:
        """Tell until cancelled."""


class LogRecorder:
    """Writes a line for each announcement. ``clock`` returns monotonic seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._cap = RateCap(clock=clock)

    def record(self, before: Reactor | AnomalyScenario, after: Reactor | AnomalyScenario) -> None:
        """See :class:`Recorder`."""
        for announcement in announce(before, after):
            self._tell(after, announcement)

    def record_expiry(self, scenario: AnomalyScenario) -> None:
        """See :class:`Recorder`."""
        self._tell(scenario, announce_expiry(scenario))

    async def run(self) -> None:
        """Return: lines are written at once."""

    def _tell(self, about: Reactor | AnomalyScenario, announcement: Announcement) -> None:
        kind, metadata = announcement.kind, about.metadata
        if not self._cap.allows(metadata.uid, kind.reason):
            ANNOUNCEMENTS.labels("dropped_rate").inc()
            return
        ANNOUNCEMENTS.labels("logged").inc()
        log.log(
            logging.WARNING if kind.type is EventType.WARNING else logging.INFO,
            "%s %s/%s: %s: %s",
            about.kind,
            metadata.namespace,
            metadata.name,
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

    regarding: Mapping[str, JsonValue]
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
        return str(self.regarding["namespace"])

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


class EventRecorder:
    """Posts events through ``client`` as ``instance``, the identity of this operator.

    A namespace in which that is forbidden is given up, with one warning. ``clock`` returns
    monotonic seconds, ``now`` the time in UTC.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        instance: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._instance = instance[:128]
        self._clock = clock
        self._now = now
        self._cap = RateCap(clock=clock)
        self._names = _Names()
        self._events: dict[_Key, _Event] = {}
        self._forbidden: set[str] = set()
        self._noted = asyncio.Event()

    def record(self, before: Reactor | AnomalyScenario, after: Reactor | AnomalyScenario) -> None:
        """See :class:`Recorder`."""
        for announcement in announce(before, after):
            self._note(after, announcement)

    def record_expiry(self, scenario: AnomalyScenario) -> None:
        """See :class:`Recorder`."""
        self._note(scenario, announce_expiry(scenario))

    async def run(self) -> None:
        """Post until cancelled. While the API server is away, events wait."""
        backoff = Backoff()
        while True:
            key = await self._next()
            try:
                await self._send(key, self._events[key])
            except ApiUnavailable as error:
                log.debug("events wait to be posted (%d): %s", self.waiting, error)
                await asyncio.sleep(backoff.next_pause())
            else:
                backoff.reset()

    @property
    def waiting(self) -> int:
        """How many events wait to be posted or counted up."""
        return sum(event.waits for event in self._events.values())

    def _note(self, about: Reactor | AnomalyScenario, announcement: Announcement) -> None:
        metadata, kind = about.metadata, announcement.kind
        if metadata.namespace in self._forbidden:
            ANNOUNCEMENTS.labels("dropped_forbidden").inc()
            return
        key = _Key(str(metadata.uid), kind.reason, announcement.note)
        known = self._events.get(key)
        if known is not None and self._clock() - known.seen_at < SERIES_SECONDS:
            known.count += 1
            known.last, known.seen_at = self._now(), self._clock()
            ANNOUNCEMENTS.labels("counted").inc()
            self._noted.set()
            return
        if not self._cap.allows(metadata.uid, kind.reason):
            ANNOUNCEMENTS.labels("dropped_rate").inc()
            return
        if len(self._events) >= QUEUED:
            self._forget_old()
        if len(self._events) >= QUEUED:
            ANNOUNCEMENTS.labels("dropped_full").inc()
            return
        now = self._now()
        self._events.pop(key, None)
        self._events[key] = _Event(_regarding(about), announcement, now, now, self._clock())
        self._noted.set()

    def _forget_old(self) -> None:
        """Make room: first what can no longer be counted up, then what was posted longest ago."""
        now = self._clock()
        posted = [key for key, event in self._events.items() if not event.waits]
        over = [key for key in posted if now - self._events[key].seen_at >= SERIES_SECONDS]
        for key in over or posted[: QUEUED // 10]:
            del self._events[key]

    async def _next(self) -> _Key:
        """Wait for the event that is due first."""
        while True:
            self._noted.clear()
            due = {key: event.due_at for key, event in self._events.items() if event.waits}
            if not due:
                await self._noted.wait()
                continue
            key = min(due, key=due.__getitem__)
            wait = due[key] - self._clock()
            if wait <= 0:
                return key
            try:
                async with asyncio.timeout(wait):
                    await self._noted.wait()
            except TimeoutError:
                pass

    async def _send(self, key: _Key, event: _Event) -> None:
        count = event.count
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

    async def _post(self, event: _Event) -> None:
        event.name = event.name or self._names.next(str(event.regarding["name"]))
        kind = event.announcement.kind
        body: dict[str, JsonValue] = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": event.name, "namespace": event.namespace},
            "eventTime": _micro_time(event.first),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "action": kind.action.value,
            "reason": kind.reason.value,
            "type": kind.type.value,
            "note": _shortened(event.announcement.note),
            "regarding": dict(event.regarding),
        }
        if event.count > 1:
            body["series"] = _series(event)
        try:
            await self._client.post(_path(event.namespace), body)
        except ApiError as error:
            if error.code != 409:  # else: posted by an attempt whose answer was lost
                raise
        ANNOUNCEMENTS.labels("posted").inc()

    async def _update(self, event: _Event) -> None:
        try:
            await self._client.merge_patch(
                f"{_path(event.namespace)}/{event.name}", {"series": _series(event)}
            )
        except ApiError as error:
            if error.code != 404:
                raise
            # The API server keeps events for an hour or so.
            event.name = ""
            await self._post(event)

    def _refused(self, key: _Key, event: _Event, error: ApiError) -> None:
        """Drop an event that the API server will not have, however often it is asked."""
        self._events.pop(key, None)
        ANNOUNCEMENTS.labels("refused").inc()
        if error.code == 403 and "being terminated" not in error.message:
            self._give_up(event.namespace, error)
        elif error.code not in (403, 404):
            log.warning("an event was refused: %s", error)

    def _give_up(self, namespace: str, error: ApiError) -> None:
        self._forbidden.add(namespace)
        log.warning("no more events are posted in namespace %s: %s", namespace, error)
        for key in [key for key, event in self._events.items() if event.namespace == namespace]:
            del self._events[key]
            ANNOUNCEMENTS.labels("dropped_forbidden").inc()


def _regarding(about: Reactor | AnomalyScenario) -> Mapping[str, JsonValue]:
    metadata = about.metadata
    return {
        "apiVersion": about.api_version,
        "kind": about.kind,
        "namespace": metadata.namespace,
        "name": metadata.name,
        "uid": str(metadata.uid),
        "resourceVersion": metadata.resource_version,
    }


def _series(event: _Event) -> dict[str, JsonValue]:
    return {"count": event.count, "lastObservedTime": _micro_time(event.last)}


def _path(namespace: str) -> str:
    return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"


def _micro_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _shortened(note: str) -> str:
    """Return the note, cut so that it fits; never within a character."""
    encoded = note.encode()
    if len(encoded) <= NOTE_BYTES:
        return note
    return encoded[: NOTE_BYTES - 3].decode(errors="ignore") + "…"
