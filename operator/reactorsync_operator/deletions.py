"""Deletes what is over, each object as soon as the store lets it go."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.service import Backoff, about
from reactorsync.store import Conflict, Forbidden, NotFound, ResourceStore, Unreadable
from reactorsync.store.port import Invalid, R, StoreUnavailable
from reactorsync_operator.fleet import WorkKey
from reactorsync_operator.leadership import MayWrite, check
from reactorsync_operator.metrics import DELETIONS
from reactorsync_operator.recorder import Recorder
from reactorsync_operator.wakeups import Timers

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Deletion:
    resource: Reactor | AnomalyScenario
    backoff: Backoff = field(default_factory=Backoff)


class Deletions:
    """Deletes objects, unless they have become others, or have changed, meanwhile.

    Of one that changed, ``changed`` learns. One that must not be deleted is told to ``recorder``
    and left to its next plan; any other is tried again, with pauses of its own. ``clock`` returns
    monotonic seconds. ``may_write`` is asked right before each deletion.
    """

    def __init__(
        self,
        store: ResourceStore,
        *,
        clock: Callable[[], float],
        may_write: MayWrite,
        changed: Callable[[Reactor | AnomalyScenario], Awaitable[None]],
        recorder: Recorder | None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._may_write = may_write
        self._changed = changed
        self._recorder = recorder
        self._wanted: dict[WorkKey, _Deletion] = {}
        self._due: Timers[WorkKey] = Timers(clock)

    def __len__(self) -> int:
        return len(self._wanted)

    def want(self, key: WorkKey, resource: Reactor | AnomalyScenario) -> None:
        """Delete this object; what was wanted of one of that name before no longer counts."""
        known = self._wanted.get(key)
        if known is not None and known.resource.metadata.uid == resource.metadata.uid:
            known.resource = resource
            return
        self._wanted[key] = _Deletion(resource)
        self._due.set(key, self._clock())

    def forget(self, key: WorkKey) -> None:
        """Delete nothing of that name."""
        self._wanted.pop(key, None)
        self._due.set(key, None)

    async def run(self) -> None:
        """Delete, one after the other, until cancelled."""
        while True:
            key = await self._due.next()
            deletion = self._wanted[key]
            resource = deletion.resource
            check(self._may_write)
            try:
                if isinstance(resource, Reactor):
                    await self._delete(resource)
                else:
                    await self._delete(resource)
            except (Forbidden, Invalid) as error:
                log.warning("cannot be deleted: %s", error, extra=key.about)
                if self._recorder is not None:
                    self._recorder.record_kept(resource, str(error))
            except StoreUnavailable as error:
                pause = deletion.backoff.next_pause()
                log.warning("cannot be deleted now: %s", error, extra=key.about)
                if self._wanted.get(key) is deletion:
                    self._due.set(key, self._clock() + pause)
                continue
            if self._wanted.get(key) is deletion:
                del self._wanted[key]

    async def _delete(self, resource: R) -> None:
        metadata = resource.metadata
        try:
            await self._store.delete(
                type(resource),
                metadata.namespace,
                metadata.name,
                uid=metadata.uid,
                resource_version=metadata.resource_version,
            )
        except NotFound:
            return
        except Conflict:
            # Its user may want it to live on.
            await self._changed(resource)
            return
        except Unreadable:
            # There was no state to return; it is deleted all the same.
            pass
        DELETIONS.labels(resource.kind).inc()
        if self._recorder is not None and isinstance(resource, AnomalyScenario):
            self._recorder.record_expiry(resource)
        log.info(
            "deleted: its time was over",
            extra=about(resource.kind, metadata.namespace, metadata.name),
        )
