"""All processes of one machine: order, pools, one instance, nothing left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from reactorsync_local.supervisor import (
    AlreadyRunning,
    InstanceState,
    LogLimit,
    Pool,
    ProcessEvent,
    ProcessState,
    Service,
    ServiceFailed,
    Stopping,
    Supervisor,
    is_free,
    running_pid,
    stop_running,
)
from tests.local.supervisor.programs import (
    FAIL,
    IGNORE_SIGTERM,
    SLEEP,
    elsewhere,
    first_line,
    python,
    runs,
    says,
    sleeper,
    until,
)

GENERATORS = Pool(name="generator", member=lambda _: sleeper(stage=2))

RUN_ELSEWHERE = """
import asyncio, sys
from pathlib import Path
from reactorsync_local.supervisor import Command, Service, Supervisor

async def main(folder, stop_seconds, *programs):
    async with Supervisor(Path(folder), handle_signals=True) as supervisor:
        for number, program in enumerate(programs):
            command = Command(argv=(sys.executable, "-I", "-S", "-u", "-c", program))
            await supervisor.start(
                Service(
                    name=f"part-{number}",
                    command=lambda c=command: c,
                    stop_seconds=float(stop_seconds),
                )
            )
        print("running", flush=True)
        await supervisor.stop_requested.wait()

asyncio.run(main(*sys.argv[1:]))
"""


@contextmanager
def supervisor_elsewhere(
    state_dir: Path, *programs: str, stop_seconds: float = 0.3
) -> Iterator["subprocess.Popen[str]"]:
    """A supervisor in another process, running when this returns."""
    with elsewhere(RUN_ELSEWHERE, state_dir, stop_seconds, *programs) as process:
        assert first_line(process) == "running"
        yield process


def pids_of(state_dir: Path) -> list[int]:
    """Pids of the processes in the state file."""
    state = InstanceState.read(state_dir)
    assert state is not None
    return [status.pid for status in state.processes if status.pid is not None]


async def test_stages_stop_from_the_highest_to_the_lowest(tmp_path: Path) -> None:
    events: list[ProcessEvent] = []
    async with Supervisor(tmp_path, listener=events.append) as supervisor:
        await supervisor.start(sleeper("broker"), sleeper("postgres"))
        await supervisor.start(sleeper("api", stage=1))
        events.clear()

    stopped = [event.name for event in events if event.state is ProcessState.STOPPED]
    assert stopped[0] == "api"
    assert sorted(stopped[1:]) == ["broker", "postgres"]


async def test_a_pool_grows_and_shrinks_by_the_highest_numbers(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        supervisor.add_pool(GENERATORS)
        await supervisor.start(sleeper("generator-proxy"))
        await supervisor.scale("generator", 3)
        grown = {status.name: status.pid for status in supervisor.status()}
        await supervisor.scale("generator", 1)
        shrunk = {status.name: status.pid for status in supervisor.status()}
        await supervisor.scale("generator", 2)

        assert list(grown) == ["generator-proxy", "generator-0", "generator-1", "generator-2"]
        assert shrunk == {name: grown[name] for name in ("generator-proxy", "generator-0")}
        assert not any(runs(pid) for name, pid in grown.items() if pid and name not in shrunk)
        assert supervisor.size("generator") == 2


async def test_scaling_at_the_same_time_ends_at_the_last_size_asked_for(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        supervisor.add_pool(GENERATORS)
        await asyncio.gather(*(supervisor.scale("generator", size) for size in (2, 0, 1)))

        assert supervisor.size("generator") == len(supervisor.status()) == 1


async def test_a_member_that_could_not_start_is_tried_again_by_the_next_scale(
    tmp_path: Path,
) -> None:
    program = FAIL

    async def up() -> bool:
        return program == SLEEP

    def member(_: int) -> Service:
        return replace(sleeper(), command=lambda: python(program), ready=up, start_attempts=1)

    async with Supervisor(tmp_path) as supervisor:
        supervisor.add_pool(Pool(name="generator", member=member))
        with pytest.raises(ServiceFailed, match="generator-0 ended while starting"):
            await supervisor.scale("generator", 1)
        assert supervisor.size("generator") == 0

        program = SLEEP
        await supervisor.scale("generator", 1)
        assert supervisor.size("generator") == 1


async def test_a_size_below_zero_is_refused(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        supervisor.add_pool(GENERATORS)
        with pytest.raises(ValueError, match="-1"):
            await supervisor.scale("generator", -1)


async def test_two_services_of_one_name_are_refused(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(sleeper("api"))
        with pytest.raises(ValueError, match="api"):
            await supervisor.start(sleeper("api"))


async def test_one_failing_service_leaves_the_others_until_the_stop(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    failing = replace(
        sleeper("historian"), command=lambda: python(FAIL), ready=never, start_attempts=1
    )
    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(ServiceFailed, match="historian"):
            await supervisor.start(sleeper("broker"), failing)
        states = {status.name: status.state for status in supervisor.status()}
        pids = pids_of(tmp_path)

    assert states == {"broker": ProcessState.READY, "historian": ProcessState.FAILED}
    assert len(pids) == 1
    assert not runs(pids[0])


async def test_a_stop_request_ends_a_start_under_way(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async with Supervisor(tmp_path) as supervisor:
        asyncio.get_running_loop().call_later(0.2, supervisor.stop_requested.set)
        with pytest.raises(Stopping):
            await supervisor.start(replace(sleeper("api"), ready=never))

        assert [status.state for status in supervisor.status()] == [ProcessState.STOPPED]


async def test_the_state_file_tells_what_runs_and_where(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(sleeper("api"))
        supervisor.publish_url("api", "http://127.0.0.1:8000")
        state = InstanceState.read(tmp_path)

        assert state is not None
        assert state.pid == os.getpid()
        assert state.urls == {"api": "http://127.0.0.1:8000"}
        assert state.processes == supervisor.status()
        assert state.processes[0].log == str(tmp_path / "logs" / "api.log")
        assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600

    state = InstanceState.read(tmp_path)
    assert state is not None
    assert state.processes == ()
    assert state.stopped_at is not None


async def test_a_restart_is_seen_in_the_state_file(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(sleeper("api"))
        os.kill(pids_of(tmp_path)[0], signal.SIGKILL)
        await until(lambda: supervisor.status()[0].restarts == 1 and pids_of(tmp_path))

        state = InstanceState.read(tmp_path)
        assert state is not None
        assert state.processes[0].last_exit == "ended: killed by SIGKILL"


async def test_ports_are_remembered_from_run_to_run(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        port = supervisor.port("broker")
        assert supervisor.port("postgres") != port
    assert is_free(port)
    async with Supervisor(tmp_path) as supervisor:
        assert supervisor.port("broker") == port


async def test_a_remembered_port_that_is_taken_is_replaced(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        port = supervisor.port("broker")
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    async with server, Supervisor(tmp_path) as supervisor:
        assert supervisor.port("broker") != port


async def test_logs_are_bounded_while_their_process_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reactorsync_local.supervisor.supervisor.HOUSEKEEPING_SECONDS", 0.05)
    talk = "import time\nwhile True: print('x' * 999); time.sleep(0.001)"
    limit = LogLimit(max_bytes=50_000, kept=1)
    async with Supervisor(tmp_path, log_limit=limit) as supervisor:
        await supervisor.start(replace(sleeper("talker"), command=lambda: python(talk)))
        await until((tmp_path / "logs" / "talker.log.1").exists)
        assert (tmp_path / "logs" / "talker.log").stat().st_size < 50_000


async def test_one_supervisor_per_state_folder(tmp_path: Path) -> None:
    async with Supervisor(tmp_path):
        with pytest.raises(AlreadyRunning) as error:
            async with Supervisor(tmp_path):
                pass
        assert str(error.value) == (
            f"ReactorSync is already running from {tmp_path} (pid {os.getpid()}): "
            "use it, or stop it with `reactorsync down`"
        )
        assert running_pid(tmp_path) == os.getpid()
    assert running_pid(tmp_path) is None


async def test_down_from_another_terminal_stops_everything(tmp_path: Path) -> None:
    with supervisor_elsewhere(tmp_path, SLEEP, IGNORE_SIGTERM) as process:
        pids = pids_of(tmp_path)
        await until(lambda: says(tmp_path / "logs" / "part-1.log", "up"))

        report = await stop_running(tmp_path)

        assert report.pid == process.pid
        assert (report.forced, report.leftovers) == (False, ())
        assert process.wait(5) == 0
    assert len(pids) == 2
    assert not any(runs(pid) for pid in pids)


async def test_down_kills_a_supervisor_that_does_not_stop(tmp_path: Path) -> None:
    with supervisor_elsewhere(tmp_path, SLEEP) as process:
        pids = pids_of(tmp_path)
        process.send_signal(signal.SIGSTOP)

        report = await stop_running(tmp_path, deadline_seconds=0.2)

        assert report.forced
    assert not any(runs(pid) for pid in pids)


async def test_down_without_a_supervisor_says_so(tmp_path: Path) -> None:
    report = await stop_running(tmp_path)

    assert (report.pid, report.forced, report.leftovers) == (None, False, ())


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has a parent death signal")
async def test_after_kill_9_no_child_is_left_and_the_folder_is_free(tmp_path: Path) -> None:
    with supervisor_elsewhere(tmp_path, SLEEP, IGNORE_SIGTERM) as process:
        pids = pids_of(tmp_path)
        process.kill()
        process.wait()
    await until(lambda: not any(runs(pid) for pid in pids), seconds=2)

    async with Supervisor(tmp_path) as supervisor:
        assert supervisor.status() == ()


async def test_a_second_interrupt_kills_what_is_still_stopping(tmp_path: Path) -> None:
    with supervisor_elsewhere(tmp_path, IGNORE_SIGTERM, stop_seconds=600) as process:
        await until(lambda: says(tmp_path / "logs" / "part-0.log", "up"))
        process.send_signal(signal.SIGINT)
        await until(lambda: says(tmp_path / "state.json", '"stopping"'))
        process.send_signal(signal.SIGINT)

        assert process.wait(3) == 0
