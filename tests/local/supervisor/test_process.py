"""One service under supervision: ready, restarted with back-off, given up, stopped."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from reactorsync_local.supervisor import (
    LocalError,
    LogFile,
    ProcessEvent,
    ProcessState,
    RestartPolicy,
    Service,
    ServiceFailed,
    SupervisedProcess,
)
from tests.local.supervisor.programs import FAIL, IGNORE_SIGTERM, SLEEP, python, runs, says, until

QUICK = RestartPolicy(initial_seconds=0.02, max_seconds=0.05)

Supervise = Callable[[Service], SupervisedProcess]


@pytest.fixture
def events() -> list[ProcessEvent]:
    """What the listener was told."""
    return []


@pytest.fixture
async def supervise(tmp_path: Path, events: list[ProcessEvent]) -> AsyncIterator[Supervise]:
    """Makes supervised processes and stops them after the test."""
    made: list[SupervisedProcess] = []

    def make(service: Service) -> SupervisedProcess:
        log = LogFile(tmp_path / f"{service.name}.log")
        made.append(SupervisedProcess(service, log=log, listener=events.append))
        return made[-1]

    yield make
    for process in made:
        await process.stop()


async def test_start_returns_when_the_service_says_it_is_ready(
    supervise: Supervise, tmp_path: Path, events: list[ProcessEvent]
) -> None:
    flag = tmp_path / "flag"
    source = f"import pathlib, time; time.sleep(0.2); pathlib.Path({str(flag)!r}).touch(); {SLEEP}"

    async def ready() -> bool:
        return flag.exists()

    process = supervise(Service(name="api", command=lambda: python(source), ready=ready))
    await process.start()

    assert flag.exists()
    assert process.state is ProcessState.READY
    assert [event.state for event in events][-2:] == [ProcessState.STARTING, ProcessState.READY]


async def test_a_service_that_is_never_ready_fails_in_time_and_is_stopped(
    supervise: Supervise, events: list[ProcessEvent]
) -> None:
    async def never() -> bool:
        return False

    process = supervise(
        Service(
            name="api",
            command=lambda: python(SLEEP),
            ready=never,
            ready_seconds=0.2,
            start_attempts=1,
        )
    )
    with pytest.raises(ServiceFailed, match="api was not ready within 0 s"):
        await process.start()

    assert process.state is ProcessState.FAILED
    assert not any(runs(event.pid) for event in events if event.pid is not None)


async def test_a_service_that_cannot_start_says_why(supervise: Supervise, tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    process = supervise(
        Service(name="api", command=lambda: python(FAIL), ready=never, restart=QUICK)
    )
    with pytest.raises(ServiceFailed) as error:
        await process.start()

    assert str(error.value).startswith(
        f"api ended while starting: exit code 3: see {tmp_path / 'api.log'}\n    no such setting"
    )
    assert process.restarts == 2  # three attempts
    assert process.state is ProcessState.FAILED


async def test_a_start_the_system_refuses_is_tried_again_like_any_other(
    supervise: Supervise, tmp_path: Path
) -> None:
    folder = tmp_path / "later"
    command = replace(python(SLEEP), cwd=folder)
    process = supervise(Service(name="api", command=lambda: command, restart=QUICK))
    with pytest.raises(ServiceFailed, match=r"api could not be started: .* No such file"):
        await process.start()
    assert process.restarts == 2

    folder.mkdir()
    await process.start()
    assert process.state is ProcessState.READY


async def test_a_fault_that_no_retry_mends_ends_the_start_at_once(supervise: Supervise) -> None:
    asked = count(1)

    async def prepare() -> None:
        raise LocalError(f"the folder is another user's ({next(asked)})", action="use another")

    process = supervise(Service(name="db", command=lambda: python(SLEEP), prepare=prepare))
    with pytest.raises(LocalError, match=r"another user's \(1\): use another"):
        await process.start()

    assert process.restarts == 0


async def test_a_killed_service_is_started_again_with_a_new_command(
    supervise: Supervise, tmp_path: Path, events: list[ProcessEvent]
) -> None:
    starts: Iterator[int] = count(1)
    process = supervise(
        Service(
            name="broker",
            command=lambda: python(f"print('start {next(starts)}'); {SLEEP}"),
            restart=QUICK,
        )
    )
    await process.start()
    first = process.pid
    process.kill()
    await until(lambda: says(tmp_path / "broker.log", "start 2"))

    assert process.pid != first
    assert process.restarts == 1
    assert process.last_exit == "ended: killed by SIGKILL"
    backing_off = next(e for e in events if e.state is ProcessState.BACKING_OFF)
    assert backing_off.detail == "broker ended: killed by SIGKILL; again in 0.0 s"


async def test_a_crash_loop_is_slowed_down_and_counted(
    supervise: Supervise, events: list[ProcessEvent]
) -> None:
    process = supervise(
        Service(
            name="historian",
            command=lambda: python(FAIL),
            restart=RestartPolicy(initial_seconds=0.1, max_seconds=0.2, max_failures=4),
        )
    )
    await process.start()
    await until(lambda: process.state is ProcessState.FAILED)

    assert process.restarts == 3
    pauses = [e.detail.rsplit(" ", 2)[1] for e in events if e.state is ProcessState.BACKING_OFF]
    assert pauses == ["0.1", "0.2", "0.2"]
    assert events[-1].detail.endswith("gave up after 4 failures")


async def test_stop_ends_a_service_that_is_waiting_for_its_restart(supervise: Supervise) -> None:
    process = supervise(
        Service(
            name="api",
            command=lambda: python(FAIL),
            restart=RestartPolicy(initial_seconds=60, max_seconds=60),
        )
    )
    await process.start()
    await until(lambda: process.state is ProcessState.BACKING_OFF)

    await asyncio.wait_for(process.stop(), 1)

    assert process.state is ProcessState.STOPPED
    assert process.pid is None


async def test_stop_uses_the_signal_of_the_service_and_its_deadline(
    supervise: Supervise, tmp_path: Path
) -> None:
    asks = "import signal, sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(7)); " + SLEEP
    polite = supervise(
        Service(name="polite", command=lambda: python(asks), stop_signal=signal.SIGINT)
    )
    deaf = supervise(Service(name="deaf", command=lambda: python(IGNORE_SIGTERM), stop_seconds=0.2))
    await asyncio.gather(polite.start(), deaf.start())
    await until(lambda: all(says(process.log.path, "up") for process in (polite, deaf)))
    await asyncio.gather(polite.stop(), deaf.stop())

    assert polite.last_exit == "exit code 7"
    assert deaf.last_exit == "killed by SIGKILL"


async def test_a_cancelled_start_leaves_no_process(
    supervise: Supervise, events: list[ProcessEvent]
) -> None:
    async def never() -> bool:
        return False

    process = supervise(Service(name="api", command=lambda: python(SLEEP), ready=never))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(process.start(), 0.2)

    assert process.state is ProcessState.STOPPED
    assert not any(runs(event.pid) for event in events if event.pid is not None)


async def test_a_question_that_swallows_its_cancellation_does_not_hold_up_the_restart(
    supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reactorsync_local.supervisor.process.QUESTION_GRACE_SECONDS", 0.1)

    async def stubborn() -> bool:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            await asyncio.sleep(600)
        return False

    process = supervise(
        Service(name="api", command=lambda: python(FAIL), ready=stubborn, start_attempts=1)
    )
    with pytest.raises(ServiceFailed, match="exit code 3"):
        await asyncio.wait_for(process.start(), 10)


async def test_a_fault_of_a_hook_is_shown_and_ends_the_process(supervise: Supervise) -> None:
    async def broken() -> bool:
        raise ZeroDivisionError

    process = supervise(Service(name="api", command=lambda: python(SLEEP), ready=broken))
    with pytest.raises(ZeroDivisionError):
        await process.start()

    assert process.state is ProcessState.FAILED
    assert process.pid is None
