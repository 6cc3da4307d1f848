"""Becomes the program named on its command line, bound to the life of the process that started it.

Run as a script by `Child.spawn`, never imported by it. It exists because three things must happen
in the child itself, after `fork` and before `exec`, and Python code between the two (`preexec_fn`)
can deadlock in a process with threads:

* `prctl(PR_SET_PDEATHSIG)`, so that the kernel signals the child when its parent is gone, even
  by `kill -9`;
* a change of account for a program that refuses to run as root (Postgres);
* undoing the signal settings that a Python start leaves behind (an ignored SIGPIPE would be
  inherited).

The kernel forgets the death signal when the user id changes, so the account comes first. It watches
the *thread* that called `fork`: a supervisor must spawn from a thread that lives as long as it
does. Outside Linux there is no death signal; children left by a killed supervisor are found by the
state file at the next `up` or `down`.

Standard library only, and started with `-I -S`, which keeps it at about 30 ms.
"""

import argparse
import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
LINUX_CAPABILITY_VERSION_3 = 0x20080522

EXIT_CANNOT_EXECUTE = 127


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySet(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def launch(arguments: Sequence[str]) -> NoReturn:
    """Apply the options, then become the program; exit with 127 where that fails."""
    options = _parser().parse_args(arguments)
    try:
        _prepare(options)
        os.execvp(options.program[0], options.program)
    except OSError as error:
        sys.stderr.write(f"cannot start {options.program[0]}: {error}\n")
        raise SystemExit(EXIT_CANNOT_EXECUTE) from None


def _prepare(options: argparse.Namespace) -> None:
    # Python ignores the first two; a shell, for what it starts in the background, the others.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    if options.uid is not None:
        _become(options.uid, options.gid, keep_file_access=options.keep_file_access)
    if sys.platform == "linux":
        _libc_call("prctl", PR_SET_PDEATHSIG, options.death_signal, 0, 0, 0)
    if os.getppid() != options.parent:
        # The parent died before the death signal was set; nobody would ever stop this child.
        raise SystemExit(EXIT_CANNOT_EXECUTE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--death-signal", type=int, required=True)
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("--keep-file-access", action="store_true")
    parser.add_argument("program", nargs="+")
    return parser


def _become(uid: int, gid: int, *, keep_file_access: bool) -> None:
    """Give up root for `uid`; `keep_file_access` keeps the one right to pass folders closed to
    others.

    The program then still reaches its files below, say, a home of mode 0700, and no folder's
    mode has to be opened for that. Done with an ambient capability (capabilities(7)), which
    survives `exec`.
    """
    if keep_file_access:
        _libc_call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if keep_file_access:
        header = _CapabilityHeader(version=LINUX_CAPABILITY_VERSION_3, pid=0)
        sets = (_CapabilitySet * 2)()
        mask = 1 << CAP_DAC_OVERRIDE
        sets[0] = _CapabilitySet(effective=mask, permitted=mask, inheritable=mask)
        _libc_call("capset", ctypes.byref(header), sets)
        _libc_call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def _libc_call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    if getattr(libc, name)(*words) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)


if __name__ == "__main__":
    launch(sys.argv[1:])
