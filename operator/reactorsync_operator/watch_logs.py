"""What whoever watches said of the reactors: their logs, and who had alarms at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Set
from typing import Final
from uuid import UUID

from reactorsync.wire.events import AlarmEvent, DiagnosisMade
from reactorsync_operator.reconcile.observed import AlarmReport, DiagnosisReport
from reactorsync_operator.watch_log import WatchLog

_ALARMS_KEPT_US: Final = 3_600_000_000
"""How long an alarm that is over is kept at least, counted from the newest one: an hour."""


class WatchLogs:
    """The log of each reactor of which anything was said, by its UID."""

    def __init__(self) -> None:
        self._logs: dict[UUID, WatchLog] = {}
        self._alarmed_in: defaultdict[str, set[UUID]] = defaultdict(set)
        self._newest_alarm_us = 0

    def alarms(self, reactor: UUID) -> Collection[AlarmReport]:
        """Return the newest alarms of a reactor."""
        log = self._logs.get(reactor)
        return log.alarms.values() if log is not None else ()

    def diagnoses(self, reactor: UUID) -> Collection[DiagnosisReport]:
        """Return the newest diagnoses of a reactor, oldest first."""
        log = self._logs.get(reactor)
        return log.diagnoses if log is not None else ()

    def alarmed_in(self, namespace: str) -> Set[UUID]:
        """Return the reactors of a namespace of which alarms are known."""
        return self._alarmed_in.get(namespace, frozenset())

    def reactors(self) -> Set[UUID]:
        """Return the reactors of which anything was said."""
        return self._logs.keys()

    def of(self, event: AlarmEvent | DiagnosisMade) -> WatchLog:
        """Return the log that an event belongs into, a new one if need be."""
        log = self._logs.get(event.uid)
        if log is None:
            log = self._logs[event.uid] = WatchLog(event.namespace)
        return log

    def note_alarm(self, event: AlarmEvent) -> None:
        """Note that the log of a reactor holds an alarm."""
        self._alarmed_in[event.namespace].add(event.uid)
        self._newest_alarm_us = max(self._newest_alarm_us, event.tick_us)

    def forget(self, reactor: UUID) -> str | None:
        """Drop the log of a reactor; return the namespace, ``None`` if nothing was ever said."""
        log = self._logs.pop(reactor, None)
        if log is None:
            return None
        self._note_alarmless(reactor, log)
        return log.namespace

    def drop_old(self, *, runs_since_us: int | None) -> None:
        """Drop the alarms that were over an hour ago, and before the first run that is known."""
        horizon_us = self._newest_alarm_us - _ALARMS_KEPT_US
        if runs_since_us is not None:
            horizon_us = min(horizon_us, runs_since_us)
        for reactor, log in list(self._logs.items()):
            log.drop_before(horizon_us)
            if not log.alarms:
                self._note_alarmless(reactor, log)
                if not log.diagnoses:
                    del self._logs[reactor]

    def _note_alarmless(self, reactor: UUID, log: WatchLog) -> None:
        alarmed = self._alarmed_in.get(log.namespace)
        if alarmed is not None:
            alarmed.discard(reactor)
            if not alarmed:
                del self._alarmed_in[log.namespace]
