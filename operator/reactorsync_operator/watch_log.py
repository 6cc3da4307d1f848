"""The newest alarms and diagnoses of one reactor, in bounded memory."""

from __future__ import annotations

import bisect
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from reactorsync_operator.reconcile.observed import AlarmReport, DiagnosisReport

ALARMS_KEPT: Final = 32
"""Alarms of one reactor; beyond that the oldest that do not stand are dropped."""

DIAGNOSES_KEPT: Final = 8


@dataclass(slots=True)
class WatchLog:
    """What whoever watches one reactor said of it; alarms by their id, as a number."""

    namespace: str
    alarms: dict[int, AlarmReport] = field(default_factory=dict)
    diagnoses: list[DiagnosisReport] = field(default_factory=list)

    @property
    def open_alarms(self) -> int:
        """How many alarms stand."""
        return sum(alarm.stands for alarm in self.alarms.values())

    def put_alarm(self, alarm_id: int, alarm: AlarmReport, *, needed_us: Collection[int]) -> bool:
        """Take an alarm in; return whether that is news.

        When there are too many, those that stand are kept before those that do not, and those
        raised at ``needed_us`` before all others.
        """
        if self.alarms.get(alarm_id) == alarm:
            return False
        self.alarms[alarm_id] = alarm
        if len(self.alarms) > ALARMS_KEPT:
            least = min(
                self.alarms.items(),
                key=lambda entry: (entry[1].raised_us in needed_us, entry[1].stands, _age(*entry)),
            )
            del self.alarms[least[0]]
        return alarm_id in self.alarms

    def put_diagnosis(self, diagnosis: DiagnosisReport) -> bool:
        """Take a diagnosis in; return whether it is the newest."""
        place = bisect.bisect_left(self.diagnoses, diagnosis)
        if place < len(self.diagnoses) and self.diagnoses[place] == diagnosis:
            return False
        self.diagnoses.insert(place, diagnosis)
        is_newest = place == len(self.diagnoses) - 1
        del self.diagnoses[:-DIAGNOSES_KEPT]
        return is_newest

    def drop_before(self, moment_us: int) -> None:
        """Drop the alarms that were over by ``moment_us``."""
        self.alarms = {
            alarm_id: alarm
            for alarm_id, alarm in self.alarms.items()
            if alarm.stands or _age(alarm_id, alarm)[0] >= moment_us
        }


def _age(alarm_id: int, alarm: AlarmReport) -> tuple[int, int]:
    """Return what puts alarms in order; ids break ties, so that it is the same order always."""
    return (max(alarm.raised_us or 0, alarm.cleared_us or 0), alarm_id)
