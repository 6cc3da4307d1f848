"""One supervisor per state folder: the lock, the state file, and stopping a supervisor from another
terminal.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Self

import psutil
from pydantic import BaseModel, ConfigDict, Field

from reactorsync_local.supervisor.child import is_alive
from reactorsync_local.supervisor.errors import AlreadyRunning, LocalError
from reactorsync_local.supervisor.process import ProcessStatus

LOCK_NAME = "lock"
STATE_NAME = "state.json"
POLL_SECONDS = 0.05
LOCK_ATTEMPTS = 6
# Start times are counted from the boot, whose time moves when the clock is set right.
SAME_START_SECONDS = 1.0


class InstanceState(BaseModel):
    """Contents of `state.json`: what runs, where it answers. Written by the supervisor, read by
    everybody.

    It stays after a stop, with no processes, so that the next start takes the same ports. Mode
    0600: an URL may hold a password.
    """

    model_config = ConfigDict(frozen=True)

    pid: int
    started_at: datetime
    stopped_at: datetime | None = None
    ports: dict[str, int] = Field(default_factory=dict)
    urls: dict[str, str] = Field(default_factory=dict)
    processes: tuple[ProcessStatus, ...] = ()

    def write(self, state_dir: Path) -> None:
        """Replace the state file in one step, so that a reader never sees half of it."""
        path = state_dir / STATE_NAME
        new = path.with_suffix(".json.new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self.model_dump_json(indent=2))
        new.replace(path)

    @classmethod
    def read(cls, state_dir: Path) -> Self | None:
        """The last state written; None without one, or where it is unreadable (it can only be
        written anew).
        """
        try:
            return cls.model_validate_json((state_dir / STATE_NAME).read_bytes())
        except (FileNotFoundError, ValueError):
            return None


class InstanceLock:
    """An exclusive lock on a state folder; the kernel drops it when its holder dies, however that
    happens.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise `AlreadyRunning` with the holder's pid."""
        try:
            self._state_dir.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._state_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _folder_denied(self._state_dir, error) from None
        if not _locked_soon(descriptor):
            os.close(descriptor)
            raise AlreadyRunning(pid=_written_pid(self._state_dir), state_dir=str(self._state_dir))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock up, if it is held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def running_pid(state_dir: Path) -> int | None:
    """Pid of the supervisor that holds this state folder now; None if nobody does."""
    try:
        descriptor = os.open(state_dir / LOCK_NAME, os.O_RDWR)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise _folder_denied(state_dir, error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _written_pid(state_dir)
    finally:
        os.close(descriptor)
    return None


class StopReport(BaseModel):
    """What `stop_running` found and did."""

    model_config = ConfigDict(frozen=True)

    pid: int | None
    """The supervisor that was asked to stop; None if none was running."""
    seconds: float
    forced: bool
    """It did not stop in time and was killed."""
    leftovers: tuple[str, ...]
    """Processes of a supervisor that had died before, stopped now."""


async def stop_running(state_dir: Path, *, deadline_seconds: float = 60.0) -> StopReport:
    """Ask the supervisor of `state_dir` to stop, wait until it has; past the deadline kill it and
    its children.
    """
    begin = time.monotonic()
    pid = running_pid(state_dir)
    forced = False
    if pid is not None:
        _signal(pid, signal.SIGTERM)
        while running_pid(state_dir) == pid:
            if not forced and time.monotonic() - begin > deadline_seconds:
                forced = True
                _signal(pid, signal.SIGKILL)
            await asyncio.sleep(POLL_SECONDS)
    leftovers = await stop_leftovers(InstanceState.read(state_dir))
    return StopReport(pid=pid, seconds=time.monotonic() - begin, forced=forced, leftovers=leftovers)


async def stop_leftovers(
    state: InstanceState | None, *, deadline_seconds: float = 10.0
) -> tuple[str, ...]:
    """Stop the processes of `state` that still run after their supervisor; their names.

    On Linux the kernel has done that already (death signal); it may still be at work, and elsewhere
    nobody has.
    """
    alive = {}
    for status in state.processes if state is not None else ():
        if status.pid is not None and (process := _same_process(status)) is not None:
            alive[status.name] = process
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(status.stop_signal)
    give_up = time.monotonic() + deadline_seconds
    while any(is_alive(process) for process in alive.values()):
        if time.monotonic() > give_up:
            for process in alive.values():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        await asyncio.sleep(POLL_SECONDS)
    return tuple(sorted(alive))


def _same_process(status: ProcessStatus) -> psutil.Process | None:
    try:
        process = psutil.Process(status.pid)
        same = abs(process.create_time() - status.created_at) < SAME_START_SECONDS
        return process if same and is_alive(process) else None
    except psutil.NoSuchProcess:
        return None


def _locked_soon(descriptor: int) -> bool:
    """Lock within a quarter of a second: `running_pid` elsewhere holds the lock for an instant to
    test it.
    """
    for attempt in range(LOCK_ATTEMPTS):
        if attempt > 0:
            time.sleep(POLL_SECONDS)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False


def _written_pid(state_dir: Path) -> int | None:
    try:
        return int((state_dir / LOCK_NAME).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _folder_denied(state_dir: Path, error: OSError) -> LocalError:
    return LocalError(
        f"cannot use the state folder {state_dir} ({error.strerror})",
        action="run as the user who owns it, or choose another folder",
    )
