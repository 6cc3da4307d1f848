"""Running `up` in the background: started here, waited for until it is ready, then left alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from reactorsync_local.errors import BadInput, CommandError
from reactorsync_local.server import API_URL
from reactorsync_local.state_dir import running_instance
from reactorsync_local.supervisor import LogFile

LOG_NAME: Final = "up.log"
_POLL_SECONDS: Final = 0.1


def start_detached(
    state_dir: Path, arguments: Sequence[str], *, write: Callable[[str], None]
) -> str:
    """Start `up` with ``arguments`` in a session of its own; return the API's URL once it is ready.

    What it prints meanwhile goes to its log and, line by line, to ``write``.

    Raises:
        CommandError: it ended before it was ready; why is among the lines written.
        BadInput: the state folder cannot be written.
    """
    log = LogFile(state_dir / "logs" / LOG_NAME)
    try:
        log.rotate_if_large()
        output = log.open()
    except OSError as error:
        raise BadInput(
            f"cannot write to {log.path}: {error.strerror}", hint="choose a folder with --state-dir"
        ) from error
    with output:
        position = log.path.stat().st_size
        process = subprocess.Popen(
            [sys.executable, "-m", "reactorsync_local", "up", "--plain", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with log.path.open(encoding="utf-8", errors="replace") as lines:
        lines.seek(position)
        while True:
            ended = process.poll() is not None
            state = running_instance(state_dir)
            url = (
                state.urls.get(API_URL) if state is not None and state.pid == process.pid else None
            )
            for line in lines:
                write(line.rstrip("\n"))
            if url is not None:
                return url
            if ended:
                raise CommandError(f"ReactorSync did not start; its log is {log.path}")
            time.sleep(_POLL_SECONDS)
