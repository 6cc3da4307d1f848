"""What is to be kept running, and what is known about it."""

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from reactorsync_local.supervisor.child import Command
from reactorsync_local.supervisor.restart import RestartPolicy


@dataclass(frozen=True, kw_only=True)
class Service:
    """A process the supervisor keeps running.

    `prepare` runs before each start and `command` is evaluated for each start, so that a restart
    may differ from the start before it (a new cluster id). `ready` is asked every 20 ms until it
    says True, which must be within `ready_seconds`; `start_attempts` bounds the starts before the
    first time it is. Without it a process counts as ready once it runs. To stop, the process gets
    `stop_signal`, then SIGKILL after `stop_seconds`; higher stages stop before lower ones, services
    of one stage together. `death_signal` is the kernel's, if the supervisor itself is killed.
    """

    name: str
    command: Callable[[], Command]
    prepare: Callable[[], Awaitable[None]] | None = None
    ready: Callable[[], Awaitable[bool]] | None = None
    ready_seconds: float = 30.0
    start_attempts: int = 3
    restart: RestartPolicy = field(default_factory=RestartPolicy)
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    death_signal: signal.Signals = signal.SIGKILL
    stage: int = 0


class ProcessState(StrEnum):
    """Where a supervised process stands."""

    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing-off"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


ENDED = frozenset({ProcessState.STOPPED, ProcessState.FAILED})
"""States that nothing leaves by itself: only a new start does."""


@dataclass(frozen=True, kw_only=True)
class ProcessEvent:
    """A change of one process, for whoever shows progress; `detail` is one line for people."""

    name: str
    state: ProcessState
    pid: int | None
    restarts: int
    detail: str = ""


Listener = Callable[[ProcessEvent], None]
