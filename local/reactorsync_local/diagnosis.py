"""The checks of ``doctor``: each looks at one thing and says what it found and what to do."""

from __future__ import annotations

import asyncio
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Final

import psutil
from packaging.requirements import Requirement

from reactorsync_local.client import ApiClient
from reactorsync_local.errors import CommandError
from reactorsync_local.machine.parts import Part, probe_port_name
from reactorsync_local.machine.probes import Probes
from reactorsync_local.rendering.times import age
from reactorsync_local.server import API_URL, find_server
from reactorsync_local.state_dir import DATABASE_FILE_NAME, folder_behind, running_instance
from reactorsync_local.supervisor import (
    InstanceState,
    LocalError,
    ProcessState,
    ProcessStatus,
    holder_of,
    is_free,
)
from reactorsync_local.supervisor.ports import LOOPBACK

_LEAST_PYTHON: Final = (3, 11)
_GIB: Final = 1 << 30
_DISK_LOW: Final = 2 * _GIB
_DISK_FULL: Final = _GIB // 4
_MEMORY_LOW: Final = 1 * _GIB
_EXTRA: Final = "local"
_POSTGRES: Final = "postgres"
_ANSWER_SECONDS: Final = 2.0
_RECENT: Final = timedelta(minutes=10)
"""A restart longer ago is told, but is no reason to doubt a part that has run well since."""


class Verdict(StrEnum):
    """How serious a finding is."""

    FINE = "fine"
    NOTE = "note"
    DOUBT = "doubt"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found; ``action`` is what to do about it, empty if nothing."""

    verdict: Verdict
    subject: str
    fact: str
    action: str = ""


async def examine(state_dir: Path, *, api_port: int, server: str | None) -> list[Finding]:
    """Look at everything and return the findings in order."""
    findings = [python(), *packages(), *binaries(), disk(state_dir), memory()]
    try:
        state = running_instance(state_dir)
    except LocalError as error:
        return [*findings, Finding(Verdict.FAULT, "state", error.problem, error.action)]
    if state is None:
        findings += stale_state(state_dir)
        elsewhere = folder_behind(api_port)
        if elsewhere is not None:
            findings.append(runs_elsewhere(elsewhere, api_port))
            if server is None:
                return findings
        else:
            findings.append(port(api_port))
        if server is None:
            fact = f"nothing runs from {state_dir}"
            return [*findings, Finding(Verdict.NOTE, "parts", fact, "`reactorsync up` starts it")]
    else:
        fact = f"{state_dir}, held by pid {state.pid}"
        findings.append(Finding(Verdict.FINE, "state", fact))
    url = server or (state.urls.get(API_URL) if state else None)
    now = datetime.now(UTC)
    running = state.processes if state is not None else ()
    asked = [part(one, state, now=now, state_dir=state_dir) for one in running if state]
    return [*findings, *await asyncio.gather(*asked, release(url))]


def python() -> Finding:
    """Check the interpreter."""
    fact = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < _LEAST_PYTHON:
        return Finding(Verdict.FAULT, "python", fact, "install Python 3.11 or newer")
    return Finding(Verdict.FINE, "python", fact)


def packages() -> Iterator[Finding]:
    """Check that what the local extra needs is installed, in releases it can work with."""
    problems = list(_package_problems())
    if not problems:
        yield Finding(Verdict.FINE, "packages", f"reactorsync {installed_version('reactorsync')}")
        return
    for problem in problems:
        yield Finding(Verdict.FAULT, "packages", problem, "pip install 'reactorsync[local]'")


def _package_problems() -> Iterator[str]:
    for text in requires("reactorsync") or ():
        requirement = Requirement(text)
        if requirement.name == "reactorsync" or (
            requirement.marker is not None and not requirement.marker.evaluate({"extra": _EXTRA})
        ):
            continue
        try:
            found = installed_version(requirement.name)
        except PackageNotFoundError:
            yield f"{requirement.name} is not installed"
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            yield f"{requirement.name} is {found}, needed is {requirement.specifier}"


def binaries() -> Iterator[Finding]:
    """Check that the embedded servers' programs run on this machine."""
    from reactorsync_local.embedded import cluster
    from reactorsync_local.embedded.broker import broker_executable

    try:
        yield _runs("broker", broker_executable())
        yield _runs("postgres", cluster.binaries() / "postgres")
    except LocalError as error:
        yield Finding(Verdict.FAULT, "binaries", error.problem, error.action)


def _runs(name: str, program: Path) -> Finding:
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(
            Verdict.FAULT,
            name,
            f"{program} does not run: {error}",
            "use servers of your own: `docker compose up` has both",
        )
    return Finding(Verdict.FINE, name, done.stdout.strip().split("\n")[0] or "runs")


def disk(state_dir: Path) -> Finding:
    """Check the space that is left for the database."""
    place = next(folder for folder in (state_dir, *state_dir.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    fact = f"{free / _GIB:.1f} GiB free at {place}"
    if free < _DISK_FULL:
        return Finding(Verdict.FAULT, "disk", fact, "make room, or use --state-dir elsewhere")
    if free < _DISK_LOW:
        return Finding(Verdict.DOUBT, "disk", fact, "a large fleet fills several GiB an hour")
    return Finding(Verdict.FINE, "disk", fact)


def memory() -> Finding:
    """Check the memory that is left."""
    available = psutil.virtual_memory().available
    fact = f"{available / _GIB:.1f} GiB available, {psutil.cpu_count()} cores"
    if available < _MEMORY_LOW:
        return Finding(Verdict.DOUBT, "memory", fact, "everything together needs about 1 GiB")
    return Finding(Verdict.FINE, "memory", fact)


def stale_state(state_dir: Path) -> Iterator[Finding]:
    """Check for what a killed supervisor may have left running."""
    state = InstanceState.read(state_dir)
    if state is None or state.stopped_at is not None:
        return
    left = [
        process.name
        for process in state.processes
        if process.pid is not None and _still_runs(process.pid, process.created_at)
    ]
    if left:
        fact = f"left by an earlier run: {', '.join(left)}"
        yield Finding(Verdict.DOUBT, "state", fact, "`reactorsync down` stops them")
    else:
        yield Finding(Verdict.NOTE, "state", "the last run was killed; the next one cleans up")


def _still_runs(pid: int, created_at: float) -> bool:
    try:
        process = psutil.Process(pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return alive and abs(process.create_time() - created_at) < 0.01
    except psutil.NoSuchProcess:
        return False


def port(api_port: int) -> Finding:
    """Check that the API's port is free for `up`."""
    if is_free(api_port):
        return Finding(Verdict.FINE, "port", f"{api_port} is free for the API")
    holder = holder_of(api_port)
    by = f"{holder.name} (pid {holder.pid})" if holder else "another process"
    return Finding(
        Verdict.DOUBT, "port", f"{api_port} is taken by {by}", "stop it, or use `up --api-port`"
    )


def runs_elsewhere(state_dir: Path, api_port: int) -> Finding:
    """Tell of a fleet of one's own that runs from another folder than the one looked at."""
    return Finding(
        Verdict.NOTE,
        "parts",
        f"a fleet runs from {state_dir}, its API on port {api_port}",
        f"`reactorsync doctor --state-dir {state_dir}` looks at it",
    )


async def part(
    process: ProcessStatus, state: InstanceState, *, now: datetime, state_dir: Path
) -> Finding:
    """Ask a part of the running installation how it is."""
    name = process.name
    see = f"see `reactorsync logs {name}`"
    restarts = _restarts(process, now)
    if process.state is not ProcessState.READY:
        why = f" ({process.last_exit})" if process.last_exit else ""
        return Finding(Verdict.FAULT, name, f"{process.state.value}{why}{restarts}", see)
    number = state.ports.get(probe_port_name(name))
    if name == Part.API and API_URL in state.urls:
        number = int(state.urls[API_URL].rpartition(":")[2])
    fact = f"runs as pid {process.pid}{_address(name, state, state_dir)}{restarts}"
    doubtful = bool(process.restarts) and now - process.since < _RECENT
    sound = Finding(
        Verdict.DOUBT if doubtful else Verdict.FINE, name, fact, see if doubtful else ""
    )
    if number is None:
        return sound
    probes = Probes()
    try:
        readiness = await probes.readiness(number)
    finally:
        await probes.close()
    if not readiness.ready:
        advice = f"it tries again by itself; {see}"
        return Finding(Verdict.FAULT, name, f"not ready: {readiness.summary}", advice)
    return sound


def _address(name: str, state: InstanceState, state_dir: Path) -> str:
    """Say where others reach a server; a part of ReactorSync has no address but the API."""
    number = state.ports.get(name)
    if number is None:
        return ""
    # The URL itself holds a password.
    url = f", its URL in {state_dir / DATABASE_FILE_NAME}" if name == _POSTGRES else ""
    return f" at {LOOPBACK}:{number}{url}"


def _restarts(process: ProcessStatus, now: datetime) -> str:
    """Say how often a process was restarted, and how long ago the last time was."""
    if not process.restarts:
        return ""
    times = "once" if process.restarts == 1 else f"{process.restarts} times"
    last = "" if process.restarts == 1 else "last "
    return f", restarted {times}, {last}{age(process.since, now)} ago"


async def release(server: str | None) -> Finding:
    """Compare the release of this command with the server's."""
    try:
        async with ApiClient(find_server(server), answer_seconds=_ANSWER_SECONDS) as client:
            found = await client.version()
    except CommandError as error:
        return Finding(Verdict.FAULT, "release", str(error), error.hint or "")
    here = installed_version("reactorsync")
    if found != here:
        return Finding(
            Verdict.DOUBT,
            "release",
            f"this command is {here}, the server {found}",
            "`reactorsync down`, then `reactorsync up`",
        )
    return Finding(Verdict.FINE, "release", f"{here}, here and on the server")
