"""One child process: started through the launcher, waited for, stopped."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from reactorsync_local.supervisor import launcher
from reactorsync_local.supervisor.logs import LogFile

POLL_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class Account:
    """The user a child runs as when the supervisor is root.

    With `keep_file_access` the child keeps the right to pass folders that are closed to this user.
    """

    uid: int
    gid: int
    keep_file_access: bool = False


@dataclass(frozen=True, kw_only=True)
class Command:
    """A program to run: `env` is added to the supervisor's own environment; without `account` as
    the same user.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    account: Account | None = None

    @classmethod
    def python_module(
        cls, module: str, *arguments: str, env: Mapping[str, str] | None = None
    ) -> "Command":
        """`python -m module arguments...` with this interpreter, unbuffered so that its log is
        current.
        """
        return cls(
            argv=(sys.executable, "-m", module, *arguments),
            env={"PYTHONUNBUFFERED": "1", **(env or {})},
        )


class Child:
    """A running child process.

    It leads its own session: Ctrl-C in the terminal reaches the supervisor alone, which then stops
    its children in order, and a kill reaches whatever the child started.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid
        self.created_at = _created_at(process.pid)
        self._started = time.monotonic()

    @classmethod
    def spawn(
        cls, command: Command, *, log: LogFile, death_signal: signal.Signals = signal.SIGKILL
    ) -> "Child":
        """Start `command`, its output appended to `log`.

        `death_signal` is what the kernel sends it when this thread ends for any reason (Linux
        only). A program that cannot be executed is not an error here: the child ends with 127 and a
        line in the log.
        """
        with log.open() as output:
            process = subprocess.Popen(
                _launcher_argv(command, death_signal),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=command.cwd,
                env={**os.environ, **command.env},
                start_new_session=True,
            )
        return cls(process)

    @property
    def uptime_seconds(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._started

    def poll(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    async def wait(self) -> int:
        """Wait for the end. A `poll` twenty times a second is the same on every system and loop."""
        while (code := self._process.poll()) is None:
            await asyncio.sleep(POLL_SECONDS)
        # What the child started must not outlive it, holding its port.
        self._kill_group()
        return code

    async def stop(self, *, stop_signal: signal.Signals, deadline_seconds: float) -> int:
        """Ask the child to end by `stop_signal`; past the deadline kill it and what it started."""
        self.send(stop_signal)
        try:
            return await asyncio.wait_for(self.wait(), deadline_seconds)
        except TimeoutError:
            self.kill()
            return await self.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the child, if it still runs."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL the child and every process of its session's group."""
        if self._process.poll() is None:
            self._kill_group()

    def _kill_group(self) -> None:
        # The second is how macOS calls a group of which nobody lives.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


async def run_to_end(command: Command, *, log: LogFile) -> int:
    """Run a command that ends by itself (a migration, `initdb`); its exit code. Killed when
    cancelled.
    """
    child = Child.spawn(command, log=log)
    try:
        return await child.wait()
    finally:
        child.kill()
        await child.wait()


def describe_exit(code: int) -> str:
    """An exit code in words: `exit code 3`, `killed by SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs. A zombie does not; where pid 1 is no init, nobody ever collects it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _launcher_argv(command: Command, death_signal: signal.Signals) -> list[str]:
    options = ["--parent", str(os.getpid()), "--death-signal", str(int(death_signal))]
    if (account := command.account) is not None:
        options += ["--uid", str(account.uid), "--gid", str(account.gid)]
        if account.keep_file_access:
            options.append("--keep-file-access")
    return [sys.executable, "-I", "-S", str(Path(launcher.__file__)), *options, "--", *command.argv]


def _created_at(pid: int) -> float:
    """Start time of a process; with the pid it names the process beyond pid reuse. 0 if it is gone
    already.
    """
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0
