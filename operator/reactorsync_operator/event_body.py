"""Events as an API server takes them (``events.k8s.io/v1``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydantic import JsonValue

from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.resources.meta import API_VERSION
from reactorsync_operator.reconcile.announcements import Announcement

CONTROLLER: Final = "reactorsync.dev/operator"
NOTE_BYTES: Final = 1024
"""Longest note that an API server takes."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The object that something is told of, at the version at which it was so."""

    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str

    @classmethod
    def of(cls, resource: Reactor | AnomalyScenario) -> Subject:
        """Return a resource as the subject of an event."""
        metadata = resource.metadata
        return cls(
            kind=resource.kind,
            namespace=metadata.namespace,
            name=metadata.name,
            uid=str(metadata.uid),
            resource_version=metadata.resource_version,
        )


def event_body(
    subject: Subject, announcement: Announcement, *, name: str, instance: str, first: datetime
) -> dict[str, JsonValue]:
    """Return an event that was ``first`` seen then, as the operator ``instance`` posts it."""
    kind = announcement.kind
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": subject.namespace},
        "eventTime": _micro_time(first),
        "reportingController": CONTROLLER,
        "reportingInstance": instance,
        "action": kind.action.value,
        "reason": kind.reason.value,
        "type": kind.type.value,
        "note": _shortened(announcement.note),
        "regarding": _regarding(subject),
    }


def event_series(count: int, last: datetime) -> dict[str, JsonValue]:
    """Return how often an event has come so far, and when last."""
    return {"count": count, "lastObservedTime": _micro_time(last)}


def events_path(namespace: str) -> str:
    """Return the path of a namespace's events."""
    return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"


def _regarding(subject: Subject) -> dict[str, JsonValue]:
    return {
        "apiVersion": API_VERSION,
        "kind": subject.kind,
        "namespace": subject.namespace,
        "name": subject.name,
        "uid": subject.uid,
        "resourceVersion": subject.resource_version,
    }


def _micro_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _shortened(note: str) -> str:
    """Return the note, cut so that it fits; never within a character."""
    encoded = note.encode()
    if len(encoded) <= NOTE_BYTES:
        return note
    return encoded[: NOTE_BYTES - 3].decode(errors="ignore") + "…"
