"""The process that keeps all others running on one machine."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from reactorsync_local.supervisor.errors import Stopping
from reactorsync_local.supervisor.instance import InstanceLock, InstanceState, stop_leftovers
from reactorsync_local.supervisor.logs import LogFile, LogLimit
from reactorsync_local.supervisor.ports import free_port, is_free
from reactorsync_local.supervisor.process import ProcessStatus, SupervisedProcess
from reactorsync_local.supervisor.service import ENDED, Listener, ProcessEvent, Service

HOUSEKEEPING_SECONDS = 2.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Equal processes whose number follows the load; `member(i)` describes the i-th, i >= 0."""

    name: str
    member: Callable[[int], Service]

    def numbered(self, index: int) -> Service:
        """The i-th member under its name in the pool, `generator-3`."""
        return replace(self.member(index), name=f"{self.name}-{index}")


class Supervisor:
    """Runs named services and pools from one state folder.

    ```
    async with Supervisor(state_dir, listener=show) as supervisor:
        await supervisor.start(broker.service(), postgres.service())
        supervisor.add_pool(Pool(name="generator", member=generator_service))
        await supervisor.scale("generator", 2)
        await supervisor.stop_requested.wait()
    ```
    Entering takes the folder's lock (`AlreadyRunning`) and ends what a killed supervisor may have
    left; leaving stops everything. With `handle_signals`, Ctrl-C and SIGTERM (`reactorsync down`)
    request the stop, also of a start under way, and a second Ctrl-C kills. Enter it from a thread
    that lives as long as it does: the kernel ends the children with the thread that started them.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        listener: Listener | None = None,
        log_limit: LogLimit | None = None,
        handle_signals: bool = False,
    ) -> None:
        self.state_dir = state_dir.resolve()
        self.log_dir = self.state_dir / "logs"
        self.stop_requested = asyncio.Event()
        self._listener = listener
        self._log_limit = log_limit
        self._handles_signals = handle_signals
        self._lock = InstanceLock(self.state_dir)
        self._processes: dict[str, SupervisedProcess] = {}
        self._pools: dict[str, Pool] = {}
        self._scaling = asyncio.Lock()
        self._state = InstanceState(pid=os.getpid(), started_at=datetime.now(UTC))
        self._housekeeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._lock.acquire()
        try:
            previous = InstanceState.read(self.state_dir)
            await stop_leftovers(previous)
        except BaseException:
            self._lock.release()
            raise
        ports = previous.ports if previous is not None else {}
        self._state = self._state.model_copy(update={"ports": ports})
        self.log_dir.mkdir(mode=0o700, exist_ok=True)
        self._write_state()
        if self._handles_signals:
            for number in STOP_SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        self._housekeeping = asyncio.create_task(self._keep_house(), name="supervisor housekeeping")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def port(self, name: str) -> int:
        """A loopback port for `name`: the one it had in the last run if that is free, else a free
        one; remembered.
        """
        remembered = self._state.ports.get(name)
        if remembered is not None and is_free(remembered):
            return remembered
        port = free_port(avoid=self._state.ports.values())
        self._update(ports={**self._state.ports, name: port})
        return port

    def publish_url(self, name: str, url: str) -> None:
        """Write where `name` answers into the state file, for other terminals."""
        self._update(urls={**self._state.urls, name: url})

    async def start(self, *services: Service) -> None:
        """Start services together and wait until all are ready.

        Raises the first failure, once the others have settled (what became ready stays until
        `stop`), and `Stopping` as soon as a stop is requested.
        """
        processes = [self._add(service) for service in services]
        starting = asyncio.gather(*(p.start() for p in processes), return_exceptions=True)
        stopping = asyncio.create_task(self.stop_requested.wait())
        try:
            await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                raise Stopping
            for result in starting.result():
                if isinstance(result, BaseException):
                    raise result
        finally:
            starting.cancel()
            stopping.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)

    def add_pool(self, pool: Pool) -> None:
        """Declare a pool, empty until `scale`."""
        self._pools[pool.name] = pool

    def size(self, pool: str) -> int:
        """Processes of a pool that run or are being restarted."""
        return len(self._living(self._pools[pool]))

    async def scale(self, pool: str, size: int) -> None:
        """Bring a pool to `size` processes: the lowest free numbers join, the highest leave
        (gracefully).

        Raises like `start`; a member that could not be started does not count, so the next `scale`
        tries again.
        """
        if size < 0:
            raise ValueError(f"a pool of {size} processes is not possible")
        async with self._scaling:
            living = self._living(self._pools[pool])
            leaving = [living[index] for index in sorted(living)[size:]]
            await asyncio.gather(*(process.stop() for process in leaving))
            for process in leaving:
                del self._processes[process.service.name]
            self._write_state()
            free = (index for index in count() if index not in living)
            joining = [next(free) for _ in range(size - len(living))]
            await self.start(*(self._pools[pool].numbered(index) for index in joining))

    def status(self) -> tuple[ProcessStatus, ...]:
        """All processes, in the order they were started."""
        return tuple(process.status() for process in self._processes.values())

    async def stop(self) -> None:
        """Stop all processes, the highest stage first, and give up the state folder. May be called
        again.
        """
        self.stop_requested.set()
        async with self._scaling:
            for stage in sorted({p.service.stage for p in self._processes.values()}, reverse=True):
                await asyncio.gather(
                    *(p.stop() for p in self._processes.values() if p.service.stage == stage)
                )
            if self._housekeeping is not None:
                self._housekeeping.cancel()
                await asyncio.wait({self._housekeeping})
                self._housekeeping = None
                self._processes.clear()
                self._update(stopped_at=datetime.now(UTC))
                if self._handles_signals:
                    for number in STOP_SIGNALS:
                        asyncio.get_running_loop().remove_signal_handler(number)
                self._lock.release()

    def _on_signal(self) -> None:
        if self.stop_requested.is_set():
            for process in self._processes.values():
                process.kill()
        self.stop_requested.set()

    def _living(self, pool: Pool) -> dict[int, SupervisedProcess]:
        """The members of a pool by number, without those that failed for good."""
        prefix = f"{pool.name}-"
        return {
            int(name.removeprefix(prefix)): process
            for name, process in self._processes.items()
            if name.startswith(prefix)
            and name.removeprefix(prefix).isdecimal()
            and process.state not in ENDED
        }

    def _add(self, service: Service) -> SupervisedProcess:
        known = self._processes.get(service.name)
        if known is not None and known.state not in ENDED:
            raise ValueError(f"a service named {service.name} is there already")
        log = LogFile(self.log_dir / f"{service.name}.log", self._log_limit)
        process = SupervisedProcess(service, log=log, listener=self._on_event)
        self._processes[service.name] = process
        return process

    def _on_event(self, event: ProcessEvent) -> None:
        self._write_state()
        if self._listener is not None:
            self._listener(event)

    def _update(self, **changes: object) -> None:
        self._state = self._state.model_copy(update=changes)
        self._write_state()

    def _write_state(self) -> None:
        self._state = self._state.model_copy(update={"processes": self.status()})
        try:
            self._state.write(self.state_dir)
        except OSError as error:  # a full disk must not end the supervision
            _log.warning("state file not written: %s", error)

    async def _keep_house(self) -> None:
        """Bound the logs, for as long as the supervisor runs; `stop` cancels it."""
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            for process in tuple(self._processes.values()):
                try:
                    process.log.rotate_if_large()
                except OSError as error:  # a full disk must not end the supervision
                    _log.warning("log %s not rotated: %s", process.log.path, error)
