"""One child process: what it inherits, how it ends, that it never outlives its parent."""

import asyncio
import os
import pwd
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reactorsync_local.supervisor import (
    Account,
    Child,
    Command,
    LogFile,
    describe_exit,
    run_to_end,
)
from tests.local.supervisor.programs import (
    IGNORE_SIGTERM,
    SLEEP,
    elsewhere,
    first_line,
    python,
    runs,
    says,
    until,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="changing the account needs root")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has this")

C_LIBRARY_SIGNALS = 1 << 31 | 1 << 32
"""Signals 32 and 33, which the C library keeps for itself: a program can only inherit them."""


@pytest.fixture
def log(tmp_path: Path) -> LogFile:
    """A log file of this test."""
    return LogFile(tmp_path / "child.log")


async def test_output_environment_and_folder(log: LogFile, tmp_path: Path) -> None:
    source = (
        "import os, sys; print(os.environ['FLEET'], os.getcwd()); print('bad', file=sys.stderr)"
    )
    command = replace(python(source), env={"FLEET": "alpha"}, cwd=tmp_path)

    assert await run_to_end(command, log=log) == 0

    assert log.last_lines(2) == [f"alpha {tmp_path}", "bad"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import sys; sys.exit(3)", "exit code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
    ],
    ids=["exit", "signal"],
)
async def test_how_a_child_ended_is_told_in_words(log: LogFile, source: str, words: str) -> None:
    assert describe_exit(await run_to_end(python(source), log=log)) == words


async def test_a_program_that_does_not_exist_ends_with_127_and_says_so(log: LogFile) -> None:
    assert await run_to_end(Command(argv=("/no/such/program",)), log=log) == 127

    assert log.last_lines(1) == [
        "cannot start /no/such/program: [Errno 2] No such file or directory"
    ]


async def test_a_cancelled_command_is_killed(log: LogFile) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(
            run_to_end(python(f"import os; print(os.getpid()); {SLEEP}"), log=log), 0.5
        )

    assert not runs(int(log.last_lines(2)[0]))


@on_linux
async def test_no_signal_stays_ignored(log: LogFile) -> None:
    # Python ignores SIGPIPE for itself; a program started by it would go on writing into nothing.
    # A shell ignores SIGQUIT for what it starts in the background.
    command = Command(argv=("grep", "SigIgn", "/proc/self/status"))

    before = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    try:
        assert await run_to_end(command, log=log) == 0
    finally:
        signal.signal(signal.SIGQUIT, before)

    ignored = int(log.last_lines(1)[0].split()[1], 16)
    assert ignored & ~C_LIBRARY_SIGNALS == 0


async def test_a_child_that_ignores_the_stop_signal_is_killed_at_the_deadline(log: LogFile) -> None:
    child = Child.spawn(python(IGNORE_SIGTERM), log=log)
    await until(lambda: says(log.path, "up"))

    code = await child.stop(stop_signal=signal.SIGTERM, deadline_seconds=0.2)

    assert describe_exit(code) == "killed by SIGKILL"
    assert 0.2 <= child.uptime_seconds < 3


async def test_what_a_child_started_ends_with_it(log: LogFile) -> None:
    source = (
        "import subprocess, sys\n"
        f"inner = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
        "print(inner.pid)\n"
    )
    assert await run_to_end(python(source), log=log) == 0
    inner = next(int(line) for line in log.last_lines(5) if line.isdecimal())

    await until(lambda: not runs(inner))


@on_linux
async def test_a_child_dies_with_its_parent_even_by_kill_9(log: LogFile) -> None:
    source = (
        "import sys, time; from pathlib import Path\n"
        "from reactorsync_local.supervisor import Child, Command, LogFile\n"
        "child = Child.spawn(Command(argv=(sys.executable, '-c', sys.argv[1])), "
        "log=LogFile(Path(sys.argv[2])))\n"
        "print(child.pid, flush=True); time.sleep(600)\n"
    )
    with elsewhere(source, IGNORE_SIGTERM, log.path) as parent:
        pid = int(first_line(parent))
        await until(lambda: says(log.path, "up"))
        assert runs(pid)

        parent.kill()

    await until(lambda: not runs(pid), seconds=2)


@as_root
@pytest.mark.parametrize("keep_file_access", [False, True])
async def test_another_account_passes_closed_folders_only_when_told_to(
    log: LogFile, tmp_path: Path, keep_file_access: bool
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").touch()
    nobody = pwd.getpwnam("nobody")
    account = Account(uid=nobody.pw_uid, gid=nobody.pw_gid, keep_file_access=keep_file_access)
    command = Command(argv=("/bin/sh", "-c", f"id -u; ls {closed}"), account=account, cwd=Path("/"))

    code = await run_to_end(command, log=log)

    assert log.last_lines(2)[0] == str(nobody.pw_uid)
    assert (code == 0) is keep_file_access


@as_root
@on_linux
async def test_the_death_signal_survives_the_change_of_account(log: LogFile) -> None:
    nobody = pwd.getpwnam("nobody")
    # With file access, for the interpreter itself may lie in a folder closed to this account.
    account = Account(uid=nobody.pw_uid, gid=nobody.pw_gid, keep_file_access=True)
    get_death_signal = (
        "import ctypes; number = ctypes.c_int()\n"
        "ctypes.CDLL(None).prctl(2, ctypes.byref(number), 0, 0, 0); print(number.value)\n"
    )
    command = replace(python(get_death_signal), account=account, cwd=Path("/"))

    assert await run_to_end(command, log=log) == 0

    assert log.last_lines(1) == [str(int(signal.SIGKILL))]
