"""Statuses that were sent and never answered: whether one was stored, the next look tells."""

from __future__ import annotations

from dataclasses import dataclass

from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync_operator.fleet import WorkKey


@dataclass(frozen=True, slots=True)
class _Doubt:
    """What was known when statuses were sent, and those that were sent on top of it."""

    before: Reactor | AnomalyScenario
    sent: tuple[Reactor | AnomalyScenario, ...]


class Doubts:
    """Remembers statuses whose write got no answer, so that what they say anew can be told."""

    def __init__(self) -> None:
        self._doubts: dict[WorkKey, _Doubt] = {}

    def note(self, before: Reactor | AnomalyScenario, sent: Reactor | AnomalyScenario) -> None:
        """Note that ``sent`` may have been stored instead of ``before``."""
        key = WorkKey.of(sent)
        known = self._doubts.get(key)
        is_another = known is not None and known.before.metadata == before.metadata
        # Had the first been stored, all others would be refused; after a refusal it is looked.
        first = known.sent[:1] if known is not None and is_another else ()
        self._doubts[key] = _Doubt(before, (*first, sent))

    def settle(
        self, key: WorkKey, known: Reactor | AnomalyScenario | None
    ) -> Reactor | AnomalyScenario | None:
        """Return what was there before a status that turns out to have been stored.

        ``known`` is the object as it is known now: that it is as before tells nothing yet.
        """
        doubt = self._doubts.get(key)
        if doubt is None or known is None:
            return None
        is_same = known.metadata.uid == doubt.before.metadata.uid
        if is_same and known.metadata.resource_version == doubt.before.metadata.resource_version:
            return None
        del self._doubts[key]
        is_stored = is_same and any(known.status == sent.status for sent in doubt.sent)
        return doubt.before if is_stored else None

    def forget(self, key: WorkKey) -> None:
        """Doubt nothing of an object: its status was written, or it is gone."""
        self._doubts.pop(key, None)
