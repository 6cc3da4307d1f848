"""Gathers what the summary shows: resources, live readings, and the parts' probes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.resources.reactor import HealthState
from reactorsync.resources.scenario_status import RunPhase
from reactorsync.wire.keys import reactor_key
from reactorsync_local.client import ApiClient, Selection
from reactorsync_local.errors import CommandError, Refused
from reactorsync_local.fleet.parts_watch import PartsWatch
from reactorsync_local.fleet.values import (
    KEY_SIGNALS,
    TREND_SIGNAL,
    FleetView,
    ReactorView,
    ScenarioView,
)
from reactorsync_local.live_client import LiveClient, LiveReading
from reactorsync_local.rendering.columns import HELD, health_of
from reactorsync_local.server import Server

log = logging.getLogger(__name__)

TREND_LENGTH: Final = 60
_POLL_SECONDS: Final = 1.0
_SHARE_OF_TIME: Final = 0.05
"""Listing a large fleet must not keep a core busy: at most this share of the time goes into it."""

_LONGEST_PAUSE: Final = 15.0
"""However long the last listing took: a server that hung for a minute is back at once."""

_ANSWER_SECONDS: Final = 10.0
_REFUSED_PAUSE: Final = 5.0

_FOLLOWED: Final = 200
"""How many reactors are followed live: all of a small fleet, the worst of a large one."""

_STALE_SECONDS: Final = 10.0


class FleetMonitor:
    """Keeps itself up to date while :meth:`run` runs; :meth:`view` may be asked at any moment."""

    def __init__(self, server: Server, state_dir: Path | None, *, release: str) -> None:
        self._server = server
        self._release = release
        self._live = LiveClient(server, reactors=[], signals=KEY_SIGNALS)
        self._parts = PartsWatch(server, state_dir)
        self._reactors: dict[str, Reactor] = {}
        self._scenarios: Sequence[AnomalyScenario] = ()
        self._readings: dict[str, LiveReading] = {}
        self._trends: dict[str, deque[float | None]] = {}
        self._problem = "connecting"
        self._live_problem = ""

    async def run(self) -> None:
        """Gather without end; cancel to stop. A fault in here must not end what is watched."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_resources())
                group.create_task(self._follow_readings())
                group.create_task(self._parts.run())
        except Exception:
            log.exception("the summary stopped")
            self._problem = "the summary stopped; `reactorsync logs supervisor` has more"

    def view(self) -> FleetView:
        """Return what is known now."""
        now = datetime.now(UTC)
        return FleetView(
            url=self._server.url,
            release=self._release,
            now=now,
            started_at=self._parts.started_at,
            reactors=[self._reactor_view(key, one, now) for key, one in self._reactors.items()],
            scenarios=scenario_views(self._scenarios, now),
            stream=self._parts.stream,
            parts=self._parts.parts,
            problem=self._problem or self._live_problem,
        )

    async def _follow_resources(self) -> None:
        while True:
            try:
                await self._follow_resources_while_answered()
            except CommandError as error:
                self._problem = str(error)
            await asyncio.sleep(_POLL_SECONDS)

    async def _follow_resources_while_answered(self) -> None:
        """Poll with one client until a call fails: the next client begins without its past."""
        async with ApiClient(self._server, answer_seconds=_ANSWER_SECONDS) as client:
            while True:
                began = time.monotonic()
                reactors = await client.reactors(Selection())
                self._scenarios = await client.scenarios(Selection())
                self._problem = ""
                self._reactors = {_key(reactor): reactor for reactor in reactors}
                pause = pause_after(time.monotonic() - began)
                await self._live.subscribe(self._followed())
                await asyncio.sleep(pause)

    def _followed(self) -> list[str]:
        if len(self._reactors) <= _FOLLOWED:
            return list(self._reactors)
        worst = self.view().worst_first[:_FOLLOWED]
        return sorted(reactor.key for reactor in worst)

    async def _follow_readings(self) -> None:
        while True:
            try:
                async for readings in self._live.forever():
                    self._live_problem = ""
                    self._note(readings)
            except Refused as refused:
                self._live_problem = str(refused)
            await asyncio.sleep(_REFUSED_PAUSE)

    def _note(self, readings: Sequence[LiveReading]) -> None:
        for reading in readings:
            self._readings[reading.reactor] = reading
            trend = self._trends.setdefault(reading.reactor, deque(maxlen=TREND_LENGTH))
            trend.append(reading.values.get(TREND_SIGNAL))

    def _reactor_view(self, key: str, reactor: Reactor, now: datetime) -> ReactorView:
        reading = self._readings.get(key)
        if reading is not None and (now - reading.time).total_seconds() > _STALE_SECONDS:
            reading = None
        health, trip_cause = health_of(reactor), reactor.status.trip_cause
        if reading is not None and reading.trip_cause is not None:
            health, trip_cause = HealthState.TRIPPED, reading.trip_cause
        return ReactorView(
            key=key,
            design=reactor.spec.design,
            health=health,
            trip_cause=trip_cause,
            faults=[fault.fault for fault in reactor.status.active_faults],
            values=reading.values if reading is not None else {},
            trend=tuple(self._trends.get(key, ())),
            read_at=reading.time if reading is not None else None,
        )


def pause_after(cost_seconds: float) -> float:
    """Return how long to wait, in seconds, after a listing that took ``cost_seconds``."""
    return min(max(_POLL_SECONDS, cost_seconds / _SHARE_OF_TIME), _LONGEST_PAUSE)


def scenario_views(scenarios: Sequence[AnomalyScenario], now: datetime) -> list[ScenarioView]:
    """Return the scenarios with a run that goes on or is to come, the next to end first."""
    views = [view for scenario in scenarios if (view := _scenario_view(scenario, now)) is not None]
    return sorted(views, key=_urgency)


def _scenario_view(scenario: AnomalyScenario, now: datetime) -> ScenarioView | None:
    run, targets = scenario.status.run, scenario.status.targets
    if run is not None and run.phase is RunPhase.PROBING:
        # The whole timeline lies ahead of it, from whenever its probes have passed.
        return _standing_view(scenario, run.phase.value)
    if run is not None and run.phase in (RunPhase.PENDING, RunPhase.RUNNING):
        phase, start = run.phase, run.start_time
        length = (run.end_time - run.start_time).total_seconds()
        now = run.held_since or now
    elif scenario.status.next_run_time is not None:
        phase, start = RunPhase.PENDING, scenario.status.next_run_time
        length = float(scenario.spec.run_seconds)
    else:
        return None
    elapsed = (now - start).total_seconds()
    return ScenarioView(
        name=scenario.metadata.name,
        phase=HELD if run is not None and run.held_since is not None else phase.value,
        faults=[stage.fault.value for stage in scenario.spec.stages],
        selected=targets.selected,
        injected=targets.injected if phase is RunPhase.RUNNING else 0,
        share_done=min(max(elapsed / length, 0.0), 1.0),
        seconds_left=max(0.0, length - elapsed) if elapsed >= 0 else None,
        starts_in=-elapsed if elapsed < 0 else None,
    )


def _standing_view(scenario: AnomalyScenario, phase: str) -> ScenarioView:
    return ScenarioView(
        name=scenario.metadata.name,
        phase=phase,
        faults=[stage.fault.value for stage in scenario.spec.stages],
        selected=scenario.status.targets.selected,
        injected=0,
        share_done=0.0,
        seconds_left=None,
        starts_in=None,
    )


def _urgency(view: ScenarioView) -> tuple[float, str]:
    if view.seconds_left is not None:
        return view.seconds_left, view.name
    return 1e9 + (view.starts_in or 0.0), view.name


def _key(reactor: Reactor) -> str:
    return reactor_key(reactor.metadata.namespace, reactor.metadata.name)
