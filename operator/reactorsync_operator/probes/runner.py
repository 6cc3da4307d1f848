"""Looks at the probes of all runs: at telemetry, alarms, diagnoses and addresses."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

from reactorsync.bus.port import Bus
from reactorsync.planning.targets import Candidate
from reactorsync.planning.timeline import SECOND_US, Window
from reactorsync.resources import AnomalyScenario
from reactorsync.resources.scenario_status import Run
from reactorsync.wire.topics import Topics
from reactorsync_operator.metrics import HTTP_ASKS, OPEN_PROBES
from reactorsync_operator.probes.checks import (
    AlarmCheck,
    DiagnosisCheck,
    FrameCheck,
    SightingCheck,
    TargetCheck,
)
from reactorsync_operator.probes.http_asker import HttpAsker, Refused
from reactorsync_operator.probes.port import Sightings
from reactorsync_operator.probes.telemetry_reader import TelemetryReader
from reactorsync_operator.probes.watch import LAG_US, Entry, Question, Watch
from reactorsync_operator.reconcile.observed import ProbeOutcome
from reactorsync_operator.reconcile.probing import PlacedProbe, is_over, place_probes

if TYPE_CHECKING:
    from reactorsync.wire.frame import Frame

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.25
"""How often alarms and diagnoses are looked at while a probe asks for them."""

ASK_SECONDS: Final = 1.0
"""How often an address is asked while a probe is open."""

TELL_US: Final = SECOND_US
"""How often progress of a probe that is still open is told at most."""

_LEAD_US: Final = 3 * SECOND_US
"""How long before a window opens its telemetry is read, to find the end of the partitions."""

_LOOK_AFTER_US: Final = 30 * SECOND_US


class ProbeRunner:
    """Implements :class:`~reactorsync_operator.probes.port.Probes`.

    ``mark`` is called with the UID of a scenario when an outcome of its probes changed, ``exists``
    tells whether a scenario is still there. What a restart loses is what single targets had shown
    of a telemetry probe that was still open: those have to show it again within its time.
    """

    def __init__(
        self,
        bus: Bus,
        topics: Topics,
        *,
        sightings: Sightings,
        mark: Callable[[UUID], None],
        exists: Callable[[UUID], bool],
        http_hosts: Collection[str] = (),
        now_us: Callable[[], int],
    ) -> None:
        self._shard_count = topics.shards
        self._sightings = sightings
        self._mark = mark
        self._exists = exists
        self._now_us = now_us
        self._asker = HttpAsker(http_hosts)
        self._watches: dict[UUID, Watch] = {}
        self._changed = asyncio.Event()
        self._looked_after_us = 0
        self.telemetry = TelemetryReader(
            bus,
            topics,
            take=self.take,
            shards=self._shards,
            idle_until_us=self._next_opening_us,
            now_us=now_us,
        )

    def want(
        self, scenario: AnomalyScenario, run: Run | None, targets: Collection[Candidate]
    ) -> None:
        """Look at the probes of ``run``; see :meth:`Probes.want`."""
        uid, spec = scenario.metadata.uid, scenario.spec
        if uid is None:
            return
        watch = self._watches.get(uid)
        if run is None or not (spec.probes or spec.abort_when):
            self._stop(uid)
            return
        if watch is None or watch.run.number != run.number:
            self._stop(uid)
            watch = self._watches[uid] = Watch(uid, spec, run)
        elif watch.spec is spec and watch.run == run and watch.targets is targets:
            return
        self._update(watch, scenario, run, targets)
        self._changed.set()
        self.telemetry.wake()

    def outcomes(self, uid: UUID, run: int) -> Mapping[str, ProbeOutcome]:
        """Return what is known of the probes of a run, by name."""
        watch = self._watches.get(uid)
        if watch is None or watch.run.number != run:
            return {}
        return {name: entry.outcome for name, entry in watch.entries.items()}

    async def session(self, cluster: str) -> None:
        """Read the telemetry of one incarnation of the broker until cancelled.

        Raises:
            BrokerUnavailable: the broker is away; call again when it is back.
        """
        await self.telemetry.session(cluster)

    async def run(self) -> None:
        """Look at alarms and diagnoses, and ask addresses, until cancelled."""
        try:
            while True:
                self._changed.clear()
                self._look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_seconds()):
                        await self._changed.wait()
        finally:
            tasks = []
            for _, entry in self._entries():
                if isinstance(entry.check, Question) and entry.check.task is not None:
                    tasks.append(entry.check.task)
                    entry.check.stop()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._asker.close()

    def take(self, frame: Frame) -> None:
        """Look at the readings of a shard at one tick."""
        now_us = self._now_us()
        for watch, entry in list(self._entries()):
            # Clocks differ a little: whether a tick counts is told by its own time.
            window = entry.lies_at(now_us, lead_us=_LEAD_US)
            if window is None or watch.stands_still or not isinstance(entry.check, FrameCheck):
                continue
            if entry.check.see(frame, window):
                self._tell(watch, now_us, urgent=entry.check.passed)

    def _update(
        self,
        watch: Watch,
        scenario: AnomalyScenario,
        run: Run,
        targets: Collection[Candidate],
    ) -> None:
        before = watch.entries
        has_same_targets = watch.targets is targets
        if is_over(run) and before:
            # Whoever joins the fleet now has nothing to do with a run that is over.
            has_same_targets, targets = True, watch.targets
        decided = _decided(scenario, run)
        watch.entries = {}
        for placed in place_probes(scenario.spec, run):
            name = placed.probe.name
            entry = before.pop(name, None)
            if entry is not None and (entry.placed.probe, entry.placed.role) == (
                placed.probe,
                placed.role,
            ):
                entry.placed = placed
                if not has_same_targets and isinstance(entry.check, TargetCheck):
                    entry.check.set_targets(_in_order(targets))
            else:
                entry = self._entry(scenario, placed, targets, decided=decided)
            watch.entries[name] = entry
        for entry in before.values():
            if isinstance(entry.check, Question):
                entry.check.stop()
        watch.spec, watch.run, watch.targets = scenario.spec, run, targets

    def _entry(
        self,
        scenario: AnomalyScenario,
        placed: PlacedProbe,
        targets: Collection[Candidate],
        *,
        decided: Collection[str],
    ) -> Entry:
        if placed.probe.name in decided:
            return Entry(placed, check=None)
        check = self._check(placed, scenario.metadata.namespace)
        if isinstance(check, TargetCheck):
            check.set_targets(_in_order(targets))
        return Entry(placed, check)

    def _check(self, placed: PlacedProbe, namespace: str) -> TargetCheck | Question | None:
        probe, needs_all = placed.probe, placed.needs_all
        if probe.telemetry is not None:
            from reactorsync_operator.probes.telemetry_check import TelemetryCheck

            return TelemetryCheck(
                probe.telemetry,
                namespace=namespace,
                needs_all=needs_all,
                shards=self._shard_count,
            )
        if probe.alarm is not None:
            return AlarmCheck(probe.alarm, namespace=namespace, needs_all=needs_all)
        if probe.diagnosis is not None:
            return DiagnosisCheck(probe.diagnosis, namespace=namespace, needs_all=needs_all)
        return Question(probe.http) if probe.http is not None else None

    def _look(self) -> None:
        """Look at everything that is open and not told by frames."""
        now_us = self._now_us()
        if now_us >= self._looked_after_us + _LOOK_AFTER_US:
            self._looked_after_us = now_us
            for uid in [uid for uid in self._watches if not self._exists(uid)]:
                self._stop(uid)
        for watch, entry in list(self._entries()):
            window = None if watch.stands_still else entry.lies_at(now_us)
            if window is None:
                self._close(watch, entry, now_us)
            elif isinstance(entry.check, SightingCheck):
                if entry.check.look(self._sightings, window):
                    self._tell(watch, now_us, urgent=entry.check.passed)
            elif isinstance(entry.check, Question):
                self._begin_to_ask(watch, entry, entry.check, window)
        for watch in self._watches.values():
            if watch.has_news:
                self._tell(watch, now_us)
        OPEN_PROBES.set(sum(1 for _ in self._entries()))

    def _close(self, watch: Watch, entry: Entry, now_us: int) -> None:
        """Let go of what a probe needs no more."""
        if isinstance(entry.check, Question):
            entry.check.stop()
        window = entry.placed.window
        has_ended = window is not None and now_us >= window.end_us + LAG_US
        if entry.check is not None and (entry.check.passed or (has_ended and is_over(watch.run))):
            entry.decide()

    def _begin_to_ask(self, watch: Watch, entry: Entry, question: Question, window: Window) -> None:
        if question.task is None and not question.refused and self._now_us() < window.end_us:
            question.task = asyncio.create_task(self._ask(watch, entry, question))

    async def _ask(self, watch: Watch, entry: Entry, question: Question) -> None:
        """Ask until the answer is as expected; the looking ends it when the time is up."""
        while not question.passed:
            asked_us = self._now_us()
            try:
                async with watch.asking:
                    asked_us = self._now_us()
                    as_expected, seen = await self._asker.ask(question.probe)
                HTTP_ASKS.labels("expected" if as_expected else "unexpected").inc()
            except Refused as refusal:
                HTTP_ASKS.labels("refused").inc()
                question.refused = True
                as_expected, seen = False, str(refusal)
            except Exception:
                # One probe must not end the looking at all others.
                log.exception("probe %s cannot be asked", entry.placed.probe.name)
                question.refused = True
                as_expected, seen = False, "cannot be asked"
            window = entry.placed.window
            is_in_time = window is not None and window.start_us <= asked_us < window.end_us
            passed_us = asked_us if as_expected and is_in_time else None
            outcome = ProbeOutcome(passed_us=passed_us, message=seen)
            if outcome != question.outcome:
                question.outcome = outcome
                self._tell(watch, self._now_us(), urgent=passed_us is not None or question.refused)
            if question.refused:
                return
            await asyncio.sleep(max(ASK_SECONDS - (self._now_us() - asked_us) / SECOND_US, 0))

    def _tell(self, watch: Watch, now_us: int, *, urgent: bool = False) -> None:
        if urgent or now_us - watch.told_us >= TELL_US:
            watch.told_us, watch.has_news = now_us, False
            self._mark(watch.scenario)
        else:
            watch.has_news = True

    def _stop(self, uid: UUID) -> None:
        watch = self._watches.pop(uid, None)
        if watch is not None:
            watch.stop()

    def _entries(self) -> Iterator[tuple[Watch, Entry]]:
        for watch in self._watches.values():
            for entry in watch.entries.values():
                if entry.check is not None:
                    yield watch, entry

    def _shards(self, now_us: int) -> frozenset[int]:
        """Return the shards whose telemetry is asked for."""
        return frozenset(
            shard
            for watch, entry in self._entries()
            if isinstance(entry.check, FrameCheck)
            and not watch.stands_still
            and entry.lies_at(now_us, lead_us=_LEAD_US) is not None
            for shard in entry.check.shards
        )

    def _pause_seconds(self) -> float | None:
        """Return how long there is nothing to look at, ``None`` for as long as nothing changes."""
        now_us = self._now_us()
        if any(watch.has_news for watch in self._watches.values()):
            return LOOK_SECONDS
        if any(
            entry.lies_at(now_us) is not None and not watch.stands_still
            for watch, entry in self._entries()
        ):
            return LOOK_SECONDS
        if not self._watches:
            return None
        moments = [now_us + _LOOK_AFTER_US]
        if (opening_us := self._next_opening_us(now_us)) is not None:
            moments.append(opening_us)
        return max((min(moments) - now_us) / SECOND_US, 0.01)

    def _next_opening_us(self, now_us: int) -> int | None:
        """Return when the next window comes near."""
        return min(
            (
                moment_us
                for watch, entry in self._entries()
                if entry.placed.window is not None and not watch.stands_still
                for moment_us in (
                    entry.placed.window.start_us - _LEAD_US,
                    entry.placed.window.start_us,
                )
                if moment_us > now_us
            ),
            default=None,
        )


def _decided(scenario: AnomalyScenario, run: Run) -> Collection[str]:
    """Return the probes of this run whose results stand in the status, for good."""
    status = scenario.status
    if status.run is None or status.run.number != run.number:
        return ()
    return {result.name for result in status.probes if result.passed is not None}


def _in_order(targets: Collection[Candidate]) -> Sequence[Candidate]:
    return targets if isinstance(targets, Sequence) else list(targets)
