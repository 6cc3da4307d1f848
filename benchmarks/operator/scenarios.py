"""From a scenario applied to plants that show it, and back to nominal."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import numpy as np

from benchmarks.operator.declaring import declare, is_ready, names, says, watched
from benchmarks.operator.figures import Figure, progress, told
from benchmarks.operator.fleet import bias
from benchmarks.operator.surroundings import Surroundings
from reactorsync.wire.events import FaultInjected
from tests.part_process import until

_READY_SECONDS: Final = 600.0
_SECONDS: Final = 20
"""How long the faults act on the many."""


async def first_samples(surroundings: Surroundings, *, targets: int, run: int) -> list[Figure]:
    """Measure from the request to each plant's first reading that the fault acts in."""
    async with surroundings.installation(f"targets-{run}") as installation:
        await declare(installation, targets, interval_milliseconds=1000)
        installation.generator(generator_name="generator-0")
        async with watched(installation, "Reactor") as statuses, installation.tapped() as tap:
            installation.operator()
            await statuses.until(is_ready, names=list(names(targets)), seconds=_READY_SECONDS)
            progress(f"{targets:,} reactors ready")
            await asyncio.sleep(5)

            began = time.time()
            await installation.apply("AnomalyScenario", "bias", bias(seconds=60))

            async def all_injected() -> bool:
                return sum(isinstance(event, FaultInjected) for _, event in tap.events) >= targets

            await until(all_injected, seconds=120, what="all targets injected")
        injected = [(at, one) for at, one in tap.events if isinstance(one, FaultInjected)]
        ticks = [event.tick_us / 1e6 - began for _, event in injected]
        heard = [at - began for at, _ in injected]
    workload = f"{targets:,} targets at 1 Hz, real generator; the reading waits for its tick"
    return told(
        [
            Figure("scenario to first anomalous reading, p50", _p(ticks, 50), "s", workload),
            Figure("scenario to first anomalous reading, p99", _p(ticks, 99), "s", workload, 2),
            Figure("the same, until the event of it was read, p99", _p(heard, 99), "s", workload),
        ]
    )


async def there_and_back(surroundings: Surroundings, *, targets: int, run: int) -> list[Figure]:
    """Measure what a run takes beyond its duration, until its status says that all is over."""
    async with surroundings.installation(f"many-{run}") as installation:
        await declare(installation, targets, interval_milliseconds=1000)
        installation.generator(generator_name="generator-0")
        async with (
            watched(installation, "Reactor") as statuses,
            watched(installation, "AnomalyScenario") as scenarios,
        ):
            installation.operator()
            await statuses.until(is_ready, names=list(names(targets)), seconds=_READY_SECONDS)
            progress(f"{targets:,} reactors ready")
            await asyncio.sleep(5)
            began = time.monotonic()
            await installation.apply("AnomalyScenario", "bias", bias(seconds=_SECONDS))
            injected = await scenarios.until(says("Injected"), names=["bias"], seconds=600)
            progress(f"all injected after {injected - began:.1f} s")
            over = await scenarios.until(says("Recovered"), names=["bias"], seconds=600)
            counts = scenarios.documents["bias"]["status"]["targets"]
    assert counts["injected"] == counts["recovered"] == targets, counts
    workload = f"{targets:,} targets at 1 Hz, {_SECONDS} s, real generator, all confirmed"
    return told(
        [
            Figure(
                "injected and recovered, beyond the duration",
                over - began - _SECONDS,
                "s",
                workload,
                60,
            )
        ]
    )


def _p(values: list[float], percent: int) -> float:
    return float(np.percentile(values, percent))
