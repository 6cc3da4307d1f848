"""Short programs to supervise, started as quickly as Python can be."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from reactorsync_local.supervisor import Command, Service, is_alive

SLEEP = "import time; print('up'); time.sleep(600)"
IGNORE_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
FAIL = "import sys; print('no such setting'); sys.exit(3)"


def python(source: str, *arguments: str) -> Command:
    """A command that runs Python source without site packages."""
    return Command(argv=(sys.executable, "-I", "-S", "-u", "-c", source, *arguments))


@contextmanager
def elsewhere(source: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """Another Python process with everything installed; killed at the end, if it still runs."""
    argv = [sys.executable, "-c", source, *map(str, arguments)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: "subprocess.Popen[str]") -> str:
    """Wait for the first line a process prints."""
    if process.stdout is None:
        raise ValueError("its output is not read")
    return process.stdout.readline().rstrip()


def sleeper(name: str = "sleeper", *, stage: int = 0) -> Service:
    """A service that runs until it is stopped."""
    return Service(name=name, command=lambda: python(SLEEP), stage=stage)


async def until(condition: Callable[[], object], *, seconds: float = 5.0) -> None:
    """Wait for a condition; fails the test after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def runs(pid: int) -> bool:
    """Whether a process lives; one that waits to be collected does not."""
    try:
        return is_alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def says(path: Path, text: str) -> bool:
    """Whether a log holds a text."""
    return path.exists() and text in path.read_text()
