"""``logs``: what the parts have written."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from reactorsync_local.arguments import StateDirOption, duration
from reactorsync_local.console import write_line
from reactorsync_local.errors import BadInput
from reactorsync_local.log_lines import LogFollower, LogLine, files_of, log_files, read_logs
from reactorsync_local.rendering.palette import ALARM, CAUTION, MUTED
from reactorsync_local.server import find_server
from reactorsync_local.state_dir import find_state_dir, folder_behind

_DEFAULT_LINES: Final = 100
_POLL_SECONDS: Final = 0.25


def logs(
    part: Annotated[
        str | None,
        typer.Argument(
            metavar="[PART]",
            help="operator, generator, historian, api, postgres, broker, migrations or up.",
            show_default=False,
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is added.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="DURATION",
            help=f"How far back, as 90s or 10m; default the last {_DEFAULT_LINES} lines.",
            show_default=False,
        ),
    ] = None,
    state_dir: StateDirOption = None,
) -> None:
    """Show the logs of all parts in order of time, or those of one part."""
    folder = find_state_dir(state_dir) / "logs"
    files = _chosen(part, folder)
    begin = datetime.now(UTC) - duration(since) if since is not None else None
    follower = LogFollower()
    follower.start_at_end(files)
    lines = read_logs(files, since=begin)
    _print(lines if since is not None else lines[-_DEFAULT_LINES:], prefixed=len(files) > 1)
    while follow:
        time.sleep(_POLL_SECONDS)
        files = _chosen(part, folder)
        _print(follower.new_lines(files), prefixed=part is None or len(files) > 1)


def _chosen(part: str | None, folder: Path) -> dict[str, Path]:
    files = log_files(folder)
    if not files:
        raise BadInput(f"there are no logs in {folder}", hint=_where_else())
    if part is None:
        return files
    chosen = files_of(part, files)
    if not chosen:
        raise BadInput(f"no part {part!r} has a log", hint=f"there are {', '.join(files)}")
    return chosen


def _where_else() -> str:
    """Say where logs may be found, or how they come to be."""
    elsewhere = folder_behind(find_server(None).port)
    if elsewhere is None:
        return "`reactorsync up` writes some"
    return f"a fleet runs from elsewhere: `reactorsync logs --state-dir {elsewhere}`"


def _print(lines: Iterable[LogLine], *, prefixed: bool) -> None:
    for line in lines:
        text = Text(line.text, style=_style(line.text))
        write_line(Text.assemble((f"{line.part:<12} ", MUTED), text) if prefixed else text)


def _style(text: str) -> str:
    head = text[:80]
    if any(word in head for word in ("ERROR", "CRITICAL", "FATAL", "PANIC")):
        return ALARM
    return CAUTION if "WARN" in head else ""
