"""A large fleet: from nothing to Ready, at rest, changed, and after the loss of its operator."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.operator.declaring import (
    Statuses,
    declare,
    edit,
    is_ready,
    names,
    says,
    unit,
    watched,
)
from benchmarks.operator.figures import Figure, told
from benchmarks.operator.requests import Writes, writes
from benchmarks.operator.surroundings import Surroundings
from tests.cluster_installation import ClusterInstallation
from tests.clusters import JsonObject
from tests.part_process import PartProcess

INTERVAL_MILLISECONDS: Final = 10_000
"""Between two samples of a plant: the fleet is there to be reconciled, not to be simulated."""

QUIET_SECONDS: Final = 15.0
_COLD_SECONDS: Final = 900.0
_SAMPLE_SECONDS: Final = 0.25
_SCENARIO_SECONDS: Final = 60
_STATUS: Final = "reactors/status"


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetPlan:
    """How large, how long."""

    reactors: int
    idle_seconds: int
    changes: int


@dataclass
class _Memory:
    peak_bytes: int = 0


async def measure(surroundings: Surroundings, plan: FleetPlan, *, run: int) -> list[Figure]:
    """Run one fleet through everything."""
    case = _Fleet(surroundings, plan)
    figures: list[Figure] = []
    async with surroundings.installation(f"fleet-{run}") as installation:
        await declare(installation, plan.reactors, interval_milliseconds=INTERVAL_MILLISECONDS)
        installation.generator(generator_name="generator-0")
        async with watched(installation, "Reactor") as statuses:
            operator, cold = await case.cold(installation, statuses)
            figures += told(cold)
            figures += told(await case.change(installation, statuses))
            figures += told(await case.idle(installation, statuses))
            figures += told(await case.large_scenario(installation, operator))
            figures += told(await case.fail_over(installation, statuses, operator))
            figures += told(await case.restart(installation, statuses))
    return figures


class _Fleet:
    def __init__(self, surroundings: Surroundings, plan: FleetPlan) -> None:
        self._surroundings = surroundings
        self._plan = plan
        self._workload = f"{plan.reactors:,} reactors, real generator, sample every 10 s"

    async def cold(
        self, installation: ClusterInstallation, statuses: Statuses
    ) -> tuple[PartProcess, list[Figure]]:
        plan = self._plan
        before = await self._writes()
        began = time.monotonic()
        operator = installation.operator()
        async with _memory_of(operator) as memory:
            everyone = list(names(plan.reactors))
            ready = await _while_running(
                operator, statuses.until(is_ready, names=everyone, seconds=_COLD_SECONDS)
            )
            await _quiet(statuses)
        written = await self._writes() - before
        return operator, [
            Figure("cold to all Ready", ready - began, "s", self._workload, 60),
            Figure("memory, peak", memory.peak_bytes / 2**20, "MiB", self._workload, 256),
            Figure(
                "status writes per object, cold",
                written[_STATUS] / plan.reactors,
                "",
                self._workload,
                1,
            ),
        ]

    async def change(self, installation: ClusterInstallation, statuses: Statuses) -> list[Figure]:
        """Change one spec at a time, in a field that the plant does not feel."""
        before = await self._writes()
        seconds = []
        for number in range(self._plan.changes):
            name = unit(number)
            began = time.monotonic()
            answers = await edit(installation, name)
            seen = await statuses.until(answers, names=[name], seconds=60)
            seconds.append(seen - began)
        await _quiet(statuses)
        written = await self._writes() - before
        workload = f"{self._plan.changes} edits, one after the other, among {self._workload}"
        p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
        return [
            Figure("spec change to status, p50", float(p50), "ms", workload, 50),
            Figure("spec change to status, p99", float(p99), "ms", workload, 1000),
            Figure(
                "status writes per change",
                written[_STATUS] / self._plan.changes,
                "",
                workload,
                1,
            ),
        ]

    async def idle(self, installation: ClusterInstallation, statuses: Statuses) -> list[Figure]:
        before = await self._writes()
        await asyncio.sleep(self._plan.idle_seconds)
        written = await self._writes() - before
        leases = written.pop("leases", 0)
        minutes = self._plan.idle_seconds / 60
        return [
            Figure(
                "API writes while idle",
                float(written.total()),
                "",
                f"{minutes:g} min, {self._workload}; lease renewals not counted",
                0,
            ),
            Figure("lease renewals", leases / minutes, "1/min", "every 2 s"),
        ]

    async def large_scenario(
        self, installation: ClusterInstallation, operator: PartProcess
    ) -> list[Figure]:
        """Let a scenario act on the whole fleet, and look at the object all the time."""
        largest = 0
        document = await installation.apply(
            "AnomalyScenario", "all", bias(seconds=_SCENARIO_SECONDS)
        )
        async with asyncio.timeout(_SCENARIO_SECONDS * 4):
            while not says("Recovered")(document):
                await asyncio.sleep(0.5)
                document = await installation.get("AnomalyScenario", "all")
                largest = max(largest, len(json.dumps(document, separators=(",", ":"))))
        injected = document["status"]["targets"]["injected"]
        return [
            Figure(
                "scenario object, largest",
                largest / 1024,
                "KiB",
                f"{injected:,} targets, with managed fields",
                32,
            )
        ]

    async def fail_over(
        self, installation: ClusterInstallation, statuses: Statuses, leader: PartProcess
    ) -> list[Figure]:
        """Kill the leader, edit a reactor at once, and wait for its status."""
        standby = installation.operator()
        await standby.ready(seconds=120)
        await _quiet(statuses)
        began = time.monotonic()
        leader.kill()
        answers = await edit(installation, unit(0))
        seen = await statuses.until(answers, names=[unit(0)], seconds=120)
        return [
            Figure(
                "leader killed to next status",
                seen - began,
                "s",
                f"warm standby, {self._workload}",
                15,
            )
        ]

    async def restart(self, installation: ClusterInstallation, statuses: Statuses) -> list[Figure]:
        """Stop the operator in good order, edit a reactor, and start another."""
        await _quiet(statuses)
        for process in installation.processes:
            if process.is_operator and process.is_running:
                await process.stop()
        answers = await edit(installation, unit(1))
        began = time.monotonic()
        installation.operator()
        seen = await statuses.until(answers, names=[unit(1)], seconds=120)
        return [Figure("warm restart to first status", seen - began, "s", self._workload, 10)]

    async def _writes(self) -> Writes:
        return await writes(self._surroundings.plane)


def bias(*, seconds: int, **targets: object) -> JsonObject:
    """Return a scenario whose fault every design can have: an instrument that reads high."""
    return {
        "targets": {"selector": {}, **targets},
        "stages": [
            {
                "name": "reads-high",
                "fault": "SensorBias",
                "sensor": {"signal": "containment_pressure_kpa"},
                "durationSeconds": seconds,
            }
        ],
    }


async def _while_running(process: PartProcess, waiting: Coroutine[None, None, float]) -> float:
    """Wait, but not for a process that has ended. Raises ``RuntimeError`` with its last words."""
    waited = asyncio.ensure_future(waiting)
    while not waited.done():
        await asyncio.wait([waited], timeout=1.0)
        if not process.is_running:
            waited.cancel()
            raise RuntimeError(f"the operator ended:\n{process.log[-2000:]}")
    return waited.result()


async def _quiet(statuses: Statuses) -> None:
    """Wait until nothing has changed for a while, or for two minutes at most."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        before = statuses.modified
        await asyncio.sleep(QUIET_SECONDS)
        if statuses.modified == before:
            return


@asynccontextmanager
async def _memory_of(process: PartProcess) -> AsyncIterator[_Memory]:
    memory = _Memory()

    async def sample() -> None:
        while process.is_running:
            memory.peak_bytes = max(memory.peak_bytes, process.memory_bytes)
            await asyncio.sleep(_SAMPLE_SECONDS)

    sampling = asyncio.create_task(sample())
    try:
        yield memory
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
