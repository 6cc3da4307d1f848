"""Where this machine's installation keeps its state, and where it answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from reactorsync_local.supervisor.instance import InstanceState, running_pid

STATE_DIR_NAME: Final = ".reactorsync"
STATE_DIR_VARIABLE: Final = "REACTORSYNC_STATE_DIR"


def find_state_dir(chosen: Path | None, *, start: Path | None = None) -> Path:
    """Return the state folder: the one chosen, else the environment's, else the nearest.

    The nearest is ``.reactorsync`` in the working folder or, as with ``.git``, in a folder above
    it; where there is none, it is the working folder's, not yet made.
    """
    if chosen is not None:
        return chosen.absolute()
    if named := os.environ.get(STATE_DIR_VARIABLE):
        return Path(named).absolute()
    start = (start or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        if (folder / STATE_DIR_NAME).is_dir():
            return folder / STATE_DIR_NAME
    return start / STATE_DIR_NAME


def running_instance(state_dir: Path) -> InstanceState | None:
    """Return what the running installation of the folder says of itself, ``None`` without one."""
    pid = running_pid(state_dir)
    state = InstanceState.read(state_dir) if pid is not None else None
    return state if state is not None and state.pid == pid else None
