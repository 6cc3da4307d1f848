"""One process of a part, started and ended by a test, and what it says of itself."""

from __future__ import annotations

import asyncio
import signal
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import psutil

from reactorsync_local.machine.parts import Part, part_command
from reactorsync_local.supervisor import LogFile, free_port
from reactorsync_local.supervisor.child import Child

_ASK_SECONDS: Final = 0.05


async def until(
    condition: Callable[[], Awaitable[bool]], *, seconds: float = 20, what: str = ""
) -> None:
    """Wait for a condition that somebody else makes true. Raises ``TimeoutError``."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():
                await asyncio.sleep(_ASK_SECONDS)
    except TimeoutError:
        raise TimeoutError(f"not within {seconds:g} s: {what or condition}") from None


class PartProcess:
    """One process of a part, as it is deployed: settings in the environment, its log in a file.

    Nobody starts it again when it ends. Start it in a thread that outlives it: the kernel ends it
    with that thread.
    """

    def __init__(self, part: Part, environment: Mapping[str, str], *, log: Path) -> None:
        self.is_operator = part is Part.OPERATOR
        self.metrics_port = free_port()
        self._command = part_command(
            part, {**environment, "REACTORSYNC_METRICS_PORT": str(self.metrics_port)}
        )
        self._log = LogFile(log)
        self._child = Child.spawn(self._command, log=self._log)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal; ``None`` while it runs."""
        return self._child.poll()

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.path.read_text(errors="replace")

    @property
    def memory_bytes(self) -> int:
        """Resident memory now."""
        return int(psutil.Process(self.pid).memory_info().rss)

    @property
    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    async def is_ready(self) -> bool:
        """Whether its ``/readyz`` says so."""
        return await asyncio.to_thread(_answers_ok, self.metrics_port, "/readyz")

    async def metric(self, name: str, **labels: str) -> float:
        """Return a metric, added up over the labels that are not named; 0 where it is absent."""
        return await asyncio.to_thread(_metric, self.metrics_port, name, labels)

    async def ready(self, *, seconds: float = 30) -> None:
        """Wait until it is ready. Raises ``TimeoutError`` with the end of its log."""
        try:
            await until(self.is_ready, seconds=seconds)
        except TimeoutError:
            lines = "\n".join(self._log.last_lines(20))
            raise TimeoutError(f"not ready within {seconds:g} s:\n{lines}") from None

    def kill(self) -> None:
        """SIGKILL it."""
        self._child.kill()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._child.send(number)

    async def ended(self, *, seconds: float = 20) -> int:
        """Wait for the end; return the exit code."""
        return await asyncio.wait_for(self._child.wait(), seconds)

    async def stop(self) -> None:
        """Stop it as an orderly shutdown does, and kill it if that takes long."""
        await self._child.stop(stop_signal=signal.SIGTERM, deadline_seconds=10)


def _ask(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as response:
        return bytes(response.read())


def _answers_ok(port: int, path: str) -> bool:
    try:
        _ask(port, path)
    except (urllib.error.URLError, OSError):
        return False
    return True


def _metric(port: int, name: str, labels: Mapping[str, str]) -> float:
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    total = 0.0
    for line in _ask(port, "/metrics").decode().splitlines():
        series, _, value = line.rpartition(" ")
        metric, _, listed = series.partition("{")
        if metric == name and wanted <= set(listed.rstrip("}").split(",")):
            total += float(value)
    return total
