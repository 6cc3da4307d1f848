"""The reference operator and ours, on the same number of reactors."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from benchmarks.operator.declaring import declare, edit, is_ready, names, unit, watched
from benchmarks.operator.figures import Figure, told
from benchmarks.operator.fleet import INTERVAL_MILLISECONDS
from benchmarks.operator.requests import writes
from benchmarks.operator.surroundings import Surroundings
from reactorsync_local.supervisor import Command, LogFile
from reactorsync_local.supervisor.child import Child
from tests.cluster_installation import ClusterInstallation

_COLD_SECONDS: Final = 600.0
_CHANGES: Final = 50


async def measure(surroundings: Surroundings, *, reactors: int, run: int) -> list[Figure]:
    """Bring the same fleet to Ready with the one and with the other."""
    figures: list[Figure] = []
    for whose in ("naive", "ours"):
        async with surroundings.installation(f"{whose}-{run}") as installation:
            await declare(installation, reactors, interval_milliseconds=INTERVAL_MILLISECONDS)
            if whose == "naive":
                async with _naive(installation) as pid:
                    figures += told(
                        await _bring_up(surroundings, installation, reactors, whose, pid)
                    )
            else:
                installation.generator(generator_name="generator-0")
                pid = installation.operator().pid
                figures += told(await _bring_up(surroundings, installation, reactors, whose, pid))
    return figures


async def _bring_up(
    surroundings: Surroundings,
    installation: ClusterInstallation,
    reactors: int,
    whose: str,
    pid: int,
) -> list[Figure]:
    workload = f"{reactors:,} reactors, " + (
        "kopf create/update handlers, patch.status, no acknowledgement"
        if whose == "naive"
        else "acknowledged by a real generator"
    )
    before = await writes(surroundings.plane)
    began = time.monotonic()
    async with watched(installation, "Reactor") as statuses:
        ready = await statuses.until(is_ready, names=list(names(reactors)), seconds=_COLD_SECONDS)
        written = await writes(surroundings.plane) - before
        written.pop("leases", 0)
        memory = psutil.Process(pid).memory_info().rss
        seconds = []
        for number in range(_CHANGES):
            name = unit(number)
            asked = time.monotonic()
            answers = await edit(installation, name)
            seconds.append(await statuses.until(answers, names=[name], seconds=60) - asked)
    return [
        Figure(f"{whose}: cold to all Ready", ready - began, "s", workload),
        Figure(f"{whose}: objects ready", reactors / (ready - began), "1/s", workload),
        Figure(f"{whose}: memory", memory / 2**20, "MiB", workload),
        Figure(f"{whose}: API writes an object", written.total() / reactors, "", workload),
        Figure(
            f"{whose}: spec change to status, p50",
            float(np.percentile(seconds, 50)) * 1e3,
            "ms",
            f"{_CHANGES} edits, {workload}",
        ),
    ]


@asynccontextmanager
async def _naive(installation: ClusterInstallation) -> AsyncIterator[int]:
    """Run the reference operator; yield its pid."""
    script = Path(__file__).with_name("naive_operator.py")
    options = ("--standalone", "--namespace", installation.namespace, "--quiet")
    command = Command(
        argv=(sys.executable, "-m", "kopf", "run", *options, str(script)),
        env={
            "KUBECONFIG": str(installation.kubeconfig),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            **installation.environment(),
        },
    )
    child = Child.spawn(command, log=LogFile(installation.folder / "naive.log"))
    try:
        yield child.pid
    finally:
        child.kill()
        await child.wait()
