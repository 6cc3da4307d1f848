"""Says so in the status of an object that the API server took and this operator cannot read.

A CRD cannot hold every rule: whether a time zone is known, or a day is in the calendar. And an
operator of an older release may meet a newer CRD.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from reactorsync.kube import ApiError, ApiUnavailable, JsonObject, KubeClient
from reactorsync.resources import ConditionStatus, Kind
from reactorsync.resources.crd_presentation import PRESENTATIONS
from reactorsync.resources.meta import API_VERSION, GROUP, VERSION
from reactorsync.service import Backoff, OutageLog, about
from reactorsync.store import Unreadable
from reactorsync.wire.keys import reactor_key
from reactorsync_operator.event_body import Subject
from reactorsync_operator.leadership import MayWrite, check
from reactorsync_operator.reconcile.conditions import READY, RECONCILING, STALLED
from reactorsync_operator.reconcile.reasons import ScenarioReason

log = logging.getLogger(__name__)

REASON: Final = ScenarioReason.INVALID_SPEC.value
"""The same for both kinds."""

_PROBLEM_LENGTH: Final = 1024
_SUMMARY_LENGTH: Final = 256
_CHANGED: Final = frozenset({404, 409})
"""Answers that say that the object is not what it was: what it is now, the watch will tell."""


@dataclass(frozen=True, slots=True)
class _Invalid:
    """An object as it was read, and what is wrong with its spec."""

    body: Mapping[str, Any]
    problem: str

    @property
    def subject(self) -> Subject:
        metadata = self.body["metadata"]
        return Subject(
            kind=self.body["kind"],
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
        )

    @property
    def generation(self) -> int:
        return int(self.body["metadata"].get("generation", 0))

    @property
    def is_told(self) -> bool:
        """Whether the status says so already, for this generation."""
        status = self.body.get("status") or {}
        stalled = _condition(status, STALLED)
        return (
            status.get("observedGeneration") == self.generation
            and stalled.get("reason") == REASON
            and stalled.get("message") == self.problem
        )


class InvalidSpecs:
    """Writes the statuses of objects whose spec is not valid, each once for a generation.

    :meth:`refuse` and :meth:`accept` may be called at any time; what they ask for waits for
    :meth:`run`, and for ``may_write``. At most one status waits for each object. ``told`` is called
    after each write.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        may_write: MayWrite,
        told: Callable[[Subject, str], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._may_write = may_write
        self._told = told
        self._now = now
        self._keys: dict[str, str] = {}
        self._pending: dict[str, _Invalid] = {}
        self._changed = asyncio.Event()

    def has_reactor(self, key: str) -> bool:
        """Return whether ``namespace/name`` is a reactor that cannot be read."""
        return key in self._keys.values()

    def refuse(self, body: Mapping[str, Any], error: Unreadable) -> None:
        """Say in the status of an object what is wrong with it, unless that stands there."""
        metadata = body["metadata"]
        if body.get("kind") == Kind.REACTOR:
            self._keys[metadata["uid"]] = reactor_key(metadata["namespace"], metadata["name"])
        if error.field.partition(".")[0] == "status" or metadata.get("deletionTimestamp"):
            # What was not its author's fault is only logged.
            self._pending.pop(metadata["uid"], None)
            return
        invalid = _Invalid(body, f"{error.field}: {error.rule}"[:_PROBLEM_LENGTH])
        if invalid.is_told:
            self._pending.pop(metadata["uid"], None)
            return
        self._pending[metadata["uid"]] = invalid
        self._changed.set()

    def accept(self, uid: str) -> None:
        """Write nothing of the kind: the object is valid, or gone."""
        self._keys.pop(uid, None)
        self._pending.pop(uid, None)

    async def run(self) -> None:
        """Write until cancelled. While the API server is away, statuses wait.

        Raises:
            NotLeading: somebody else writes now.
        """
        backoff, outage = Backoff(), OutageLog(log, "statuses of invalid objects")
        while True:
            await self._changed.wait()
            self._changed.clear()
            for uid, invalid in list(self._pending.items()):
                try:
                    await self._write(invalid)
                except ApiUnavailable as error:
                    outage.fails(f"{len(self._pending)} wait to be written: {error}")
                    self._changed.set()
                    await asyncio.sleep(backoff.next_pause())
                    break
                backoff.reset()
                outage.works()
                if self._pending.get(uid) is invalid:
                    del self._pending[uid]

    async def _write(self, invalid: _Invalid) -> None:
        check(self._may_write)
        subject = invalid.subject
        extra = about(subject.kind, subject.namespace, subject.name)
        try:
            await self._client.apply(_path(subject), _document(invalid, self._now()))
        except ApiError as error:
            if error.code not in _CHANGED:
                log.error("no status for an invalid object: %s", error, extra=extra)
            return
        self._told(subject, invalid.problem)


def _path(subject: Subject) -> str:
    plural = PRESENTATIONS[Kind(subject.kind)].plural
    return f"/apis/{GROUP}/{VERSION}/namespaces/{subject.namespace}/{plural}/{subject.name}/status"


def _document(invalid: _Invalid, now: datetime) -> JsonObject:
    """Return what applies the status: all that stood there stays, for a valid spec to go on from.

    The run, that is: its clock goes on, and with a valid spec before its end its faults act again.
    """
    subject, before = invalid.subject, dict(invalid.body.get("status") or {})
    written = now.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def condition(type_: str, status: ConditionStatus) -> JsonObject:
        known = _condition(before, type_)
        is_same = known.get("status") == status.value
        return {
            "type": type_,
            "status": status.value,
            "observedGeneration": invalid.generation,
            "lastTransitionTime": known["lastTransitionTime"] if is_same else written,
            "reason": REASON,
            "message": invalid.problem,
        }

    others = [
        one
        for one in before.get("conditions") or ()
        if one.get("type") not in (READY, STALLED, RECONCILING)
    ]
    status: JsonObject = {
        **before,
        "observedGeneration": invalid.generation,
        "conditions": [
            condition(READY, ConditionStatus.FALSE),
            *others,
            condition(STALLED, ConditionStatus.TRUE),
        ],
    }
    if subject.kind == Kind.ANOMALY_SCENARIO:
        status["summary"] = f"Invalid, acts on nothing: {invalid.problem}"[:_SUMMARY_LENGTH]
    return {
        "apiVersion": API_VERSION,
        "kind": subject.kind,
        "metadata": {
            "name": subject.name,
            "namespace": subject.namespace,
            "uid": subject.uid,
            "resourceVersion": subject.resource_version,
        },
        "status": status,
    }


def _condition(status: Mapping[str, Any], type_: str) -> Mapping[str, Any]:
    conditions = status.get("conditions") or ()
    return next((one for one in conditions if one.get("type") == type_), {})
