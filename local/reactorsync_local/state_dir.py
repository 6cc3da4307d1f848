"""Where this machine's installation keeps its state, and where it answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import psutil

from reactorsync_local.supervisor import holder_of
from reactorsync_local.supervisor.instance import InstanceState, running_pid

STATE_DIR_NAME: Final = ".reactorsync"
STATE_DIR_VARIABLE: Final = "REACTORSYNC_STATE_DIR"
DATABASE_FILE_NAME: Final = "database-url"

_DATABASE_FILE_VARIABLE: Final = "REACTORSYNC_DATABASE_URL_FILE"


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


def folder_behind(api_port: int) -> Path | None:
    """Return the state folder of this user's installation whose API has the port, if one has.

    It may run from anywhere: the API itself knows, by the file it was told its database in.
    """
    holder = holder_of(api_port)
    if holder is None:
        return None
    try:
        told = psutil.Process(holder.pid).environ().get(_DATABASE_FILE_VARIABLE)
    except psutil.Error:
        return None
    folder = Path(told).parent if told else None
    state = running_instance(folder) if folder is not None and folder.is_dir() else None
    runs_it = state is not None and holder.pid in {one.pid for one in state.processes}
    return folder if runs_it else None
