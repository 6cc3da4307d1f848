"""The parts and their stream: the supervisor's state file, readiness probes and metrics."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from reactorsync_local.client import ApiClient
from reactorsync_local.errors import CommandError
from reactorsync_local.fleet.rates import Rate
from reactorsync_local.fleet.values import PartState, PartView, StreamView
from reactorsync_local.machine.parts import Part, probe_port_name
from reactorsync_local.machine.probes import Probes, Readiness, sum_samples
from reactorsync_local.server import Server
from reactorsync_local.state_dir import running_instance
from reactorsync_local.supervisor import InstanceState, LocalError, ProcessState, ProcessStatus

_PERIOD_SECONDS: Final = 2.0

_UP_STATES: Final = {
    ProcessState.STARTING: PartState.STARTING,
    ProcessState.READY: PartState.READY,
}


@dataclass(frozen=True, slots=True)
class Samples:
    """Metrics of all parts: of the historian, and summed up over the generators."""

    historian: Mapping[str, float]
    generators: Mapping[str, float]


class PartsWatch:
    """Asks every few seconds. Without a state folder only the API of the server is known."""

    def __init__(self, server: Server, state_dir: Path | None) -> None:
        self._server = server
        self._state_dir = state_dir
        self._rows = Rate()
        self._frames = Rate()
        self.started_at: datetime | None = None
        self.parts: Sequence[PartView] = ()
        self.stream = StreamView()

    async def run(self) -> None:
        """Watch without end; cancel to stop."""
        probes = Probes()
        try:
            while True:
                state = self._state()
                if state is not None:
                    await self._look_at_machine(state, probes)
                else:
                    await self._look_at_api()
                await asyncio.sleep(_PERIOD_SECONDS)
        finally:
            await probes.close()

    def _state(self) -> InstanceState | None:
        try:
            return running_instance(self._state_dir) if self._state_dir is not None else None
        except LocalError:
            return None

    async def _look_at_machine(self, state: InstanceState, probes: Probes) -> None:
        self.started_at = state.started_at
        api_port = _port_of(self._server.url)
        ports = {
            process.name: api_port
            if process.name == Part.API
            else state.ports.get(probe_port_name(process.name))
            for process in state.processes
        }
        self.parts = await asyncio.gather(
            *(_part_view(process, ports[process.name], probes) for process in state.processes)
        )
        samples = {
            name: await probes.metrics(port)
            for name, port in ports.items()
            if port is not None and name.startswith((Part.HISTORIAN, Part.GENERATOR))
        }
        generators: dict[str, float] = {}
        for name, values in samples.items():
            if name.startswith(Part.GENERATOR):
                for sample, value in values.items():
                    generators[sample] = generators.get(sample, 0.0) + value
        self._note(Samples(samples.get(Part.HISTORIAN, {}), generators))

    def _note(self, samples: Samples) -> None:
        now = time.monotonic()
        historian, generators = samples.historian, samples.generators
        rows = historian.get("reactorsync_historian_rows_total")
        frames = generators.get("reactorsync_frames_produced_total")
        if rows is not None:
            self._rows.add(now, rows)
        if frames is not None:
            self._frames.add(now, frames)
        self.stream = stream_view(samples, rows=self._rows, frames=self._frames)

    async def _look_at_api(self) -> None:
        """The installation runs elsewhere: its API is all there is to ask."""
        try:
            async with ApiClient(self._server) as client:
                report = await client.readiness()
                metrics = sum_samples(await client.metrics())
        except CommandError as error:
            self.parts = [PartView(name=Part.API, state=PartState.DOWN, problem=str(error))]
            return
        problems = {name: state for name, state in report.items() if state != "ok"}
        readiness = Readiness(not problems, problems)
        self.parts = [
            PartView(
                name=Part.API,
                state=PartState.READY if readiness.ready else PartState.NOT_READY,
                problem=readiness.summary,
            )
        ]
        self._frames.add(time.monotonic(), metrics.get("reactorsync_live_frames_total", 0.0))
        self.stream = StreamView(frames_per_second=self._frames.per_second)


def stream_view(samples: Samples, *, rows: Rate, frames: Rate) -> StreamView:
    """Return the stream as the parts' metrics tell it; what is not told is ``None``."""
    historian, generators = samples.historian, samples.generators
    freshness = historian.get("reactorsync_historian_freshness_seconds")
    lost = [
        value
        for value in (
            historian.get("reactorsync_historian_lost_frames_total"),
            generators.get("reactorsync_frames_lost_total"),
        )
        if value is not None
    ]
    return StreamView(
        rows_per_second=rows.per_second if historian else None,
        frames_per_second=frames.per_second if generators else None,
        freshness_seconds=None if freshness is None or math.isnan(freshness) else freshness,
        lag_frames=historian.get("reactorsync_historian_lag_records"),
        lost_frames=max(lost, default=0.0) if historian or generators else None,
        dead_letters=historian.get("reactorsync_historian_dlq_records_total", 0.0)
        if historian
        else None,
        late_ticks=generators.get("reactorsync_generator_tick_overrun_total"),
    )


async def _part_view(process: ProcessStatus, port: int | None, probes: Probes) -> PartView:
    state, problem = _UP_STATES.get(process.state, PartState.DOWN), ""
    if state is PartState.DOWN:
        problem = process.last_exit or process.state.value
    elif state is PartState.READY and port is not None:
        readiness = await probes.readiness(port)
        if not readiness.ready:
            state, problem = PartState.NOT_READY, readiness.summary
    return PartView(name=process.name, state=state, restarts=process.restarts, problem=problem)


def _port_of(url: str) -> int | None:
    port = url.rpartition(":")[2]
    return int(port) if port.isdecimal() else None
