"""Keeps one service running: start, readiness, restart with back-off, stop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from reactorsync_local.supervisor.child import Child, describe_exit
from reactorsync_local.supervisor.errors import LocalError, ServiceFailed
from reactorsync_local.supervisor.logs import LogFile
from reactorsync_local.supervisor.service import (
    ENDED,
    Listener,
    ProcessEvent,
    ProcessState,
    Service,
)

_log = logging.getLogger(__name__)

READY_POLL_SECONDS = 0.02
QUESTION_GRACE_SECONDS = 1.0
SHOWN_LOG_LINES = 8


class ProcessStatus(BaseModel):
    """One supervised process, as written to the state file."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: ProcessState
    pid: int | None
    created_at: float
    """Start time of the pid (seconds since the epoch); both together name the process beyond pid
    reuse.
    """
    restarts: int
    """Starts after the first one."""
    since: datetime
    """When it came into this state."""
    last_exit: str | None
    stop_signal: int
    log: str


class SupervisedProcess:
    """A service under supervision.

    `start` returns when the service is ready for the first time; from then on a task of this object
    restarts it whenever it ends, until `stop`. Both belong to one event loop.
    """

    def __init__(self, service: Service, *, log: LogFile, listener: Listener | None = None) -> None:
        self.service = service
        self.log = log
        self.state = ProcessState.STOPPED
        self.restarts = 0
        self.last_exit: str | None = None
        self._listener = listener
        self._child: Child | None = None
        self._since = datetime.now(UTC)
        self._task: asyncio.Task[None] | None = None
        self._first_ready: asyncio.Future[None] | None = None

    @property
    def pid(self) -> int | None:
        """Pid of the running process, None while there is none."""
        return self._child.pid if self._child is not None else None

    def status(self) -> ProcessStatus:
        """What is known about the process now."""
        child = self._child
        return ProcessStatus(
            name=self.service.name,
            state=self.state,
            pid=child.pid if child is not None else None,
            created_at=child.created_at if child is not None else 0.0,
            restarts=self.restarts,
            since=self._since,
            last_exit=self.last_exit,
            stop_signal=int(self.service.stop_signal),
            log=str(self.log.path),
        )

    async def start(self) -> None:
        """Start and wait until ready.

        Raises `ServiceFailed`, or the `LocalError` of `prepare`, `command` or `ready`; the process
        is stopped then, as it is when the wait is cancelled.
        """
        if self._task is not None:
            raise RuntimeError(f"{self.service.name} is started already")
        self._first_ready = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(
            self._supervise(self._first_ready), name=f"supervise {self.service.name}"
        )
        self._task.add_done_callback(self._on_supervision_end)
        try:
            await self._first_ready
        except asyncio.CancelledError:
            await self.stop()
            raise
        except BaseException:
            await self.stop(final=ProcessState.FAILED)
            raise

    async def stop(
        self, *, deadline_seconds: float | None = None, final: ProcessState = ProcessState.STOPPED
    ) -> None:
        """Stop for good: with the service's stop signal, then SIGKILL after its deadline or the one
        given.
        """
        if self._first_ready is not None and not self._first_ready.done():
            self._first_ready.set_exception(self._failure("was stopped while it started"))
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
        if self._child is not None:
            self._enter(ProcessState.STOPPING)
            await self._stop_child(self._child, deadline_seconds)
        if self.state not in ENDED:
            self._enter(final, self.last_exit or "")

    def kill(self) -> None:
        """SIGKILL the running process now; it counts as an end like any other."""
        if self._child is not None:
            self._child.kill()

    async def _supervise(self, first_ready: asyncio.Future[None]) -> None:
        """Keep the service running; ends by cancellation, or when the policy gives up."""
        policy = self.service.restart
        failures = 0
        while True:
            uptime, failure = await self._run_once(first_ready)
            failures = policy.failures_after(failures, uptime_seconds=uptime)
            permanent = not isinstance(failure, ServiceFailed)
            if not first_ready.done() and (permanent or failures >= self.service.start_attempts):
                raise failure
            if policy.gives_up(failures):
                self._enter(
                    ProcessState.FAILED, f"{failure.problem}; gave up after {failures} failures"
                )
                return
            delay = policy.delay_seconds(failures)
            self._enter(ProcessState.BACKING_OFF, f"{failure.problem}; again in {delay:.1f} s")
            await asyncio.sleep(delay)
            self.restarts += 1

    async def _run_once(self, first_ready: asyncio.Future[None]) -> tuple[float, LocalError]:
        """One life of the process: seconds it ran, and why it is over."""
        try:
            child = await self._spawn()
            ready = await self._becomes_ready(child)
        except (LocalError, OSError) as error:
            if self._child is not None:
                await self._stop_child(self._child, None)
            failure = (
                error
                if isinstance(error, LocalError)
                else self._failure(f"could not be started: {error}")
            )
            self.last_exit = failure.problem
            return 0.0, failure
        if ready:
            self._enter(ProcessState.READY)
            if not first_ready.done():
                first_ready.set_result(None)
            reason = f"ended: {describe_exit(await child.wait())}"
        elif (code := child.poll()) is not None:
            reason = f"ended while starting: {describe_exit(code)}"
        else:
            await self._stop_child(child, None)
            reason = f"was not ready within {self.service.ready_seconds:.0f} s"
        uptime = child.uptime_seconds
        self._child = None
        self.last_exit = reason
        return uptime, self._failure(reason)

    async def _spawn(self) -> Child:
        self._enter(ProcessState.STARTING)
        if self.service.prepare is not None:
            await self.service.prepare()
        self.log.rotate_if_large()
        self._child = Child.spawn(
            self.service.command(), log=self.log, death_signal=self.service.death_signal
        )
        self._enter(ProcessState.STARTING)
        return self._child

    async def _becomes_ready(self, child: Child) -> bool:
        """Whether the child says it is ready in time; False also when it ends before."""
        if self.service.ready is None:
            return True
        enough = asyncio.Event()
        ending = asyncio.create_task(child.wait())
        asking = asyncio.create_task(_until_true(self.service.ready, enough))
        try:
            await asyncio.wait(
                {ending, asking},
                timeout=self.service.ready_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            return asking.done() and asking.result() and child.poll() is None
        finally:
            enough.set()
            ending.cancel()
            await _ended(asking)

    async def _stop_child(self, child: Child, deadline_seconds: float | None) -> None:
        seconds = self.service.stop_seconds if deadline_seconds is None else deadline_seconds
        code = await child.stop(stop_signal=self.service.stop_signal, deadline_seconds=seconds)
        self._child = None
        self.last_exit = describe_exit(code)

    def _on_supervision_end(self, task: asyncio.Task[None]) -> None:
        """Hand a failed start to `start`; show a fault of a hook, which nobody waits for."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._first_ready is not None and not self._first_ready.done():
            self._first_ready.set_exception(error)
            return
        _log.error("supervision of %s ended", self.service.name, exc_info=error)
        self.kill()
        self._enter(ProcessState.FAILED, f"supervision ended: {error!r}")

    def _failure(self, reason: str) -> ServiceFailed:
        return ServiceFailed(
            self.service.name,
            reason=reason,
            log_path=str(self.log.path),
            last_lines=self.log.last_lines(SHOWN_LOG_LINES),
        )

    def _enter(self, state: ProcessState, detail: str = "") -> None:
        self.state = state
        self._since = datetime.now(UTC)
        if self._listener is not None:
            self._listener(
                ProcessEvent(
                    name=self.service.name,
                    state=state,
                    pid=self.pid,
                    restarts=self.restarts,
                    detail=detail,
                )
            )


async def _until_true(ready: Callable[[], Awaitable[bool]], enough: asyncio.Event) -> bool:
    """Ask until the answer is True, or until `enough` is set: False then."""
    while not enough.is_set():
        if await ready():
            return True
        await asyncio.sleep(READY_POLL_SECONDS)
    return False


async def _ended(question: asyncio.Task[bool]) -> None:
    """Let a question come to its end, and cancel it only if it takes long.

    A client library that is cancelled while it connects leaves its connection open, or swallows the
    cancellation, for which reason it may have to be repeated.
    """
    await asyncio.wait({question}, timeout=QUESTION_GRACE_SECONDS)
    while not question.done():
        question.cancel()
        await asyncio.wait({question}, timeout=QUESTION_GRACE_SECONDS)
    if not question.cancelled():
        question.exception()  # seen, as far as asyncio is concerned: the answer no longer matters
