"""Log files of the parts: lines with their times, merged, followed."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_TIME: Final = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})[ T](?P<clock>\d{2}:\d{2}:\d{2})(?:[.,](?P<fraction>\d{1,9}))?"
)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

_UP: Final = "up"
_WRITTEN_BY_UP: Final = "up|supervisor"
"""What `up` logs, and what it prints while it runs in the background."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a part's log. One without a time of its own belongs to the line before it."""

    part: str
    time: datetime
    text: str


def log_files(folder: Path) -> dict[str, Path]:
    """Return the current logs by part."""
    return {path.stem: path for path in sorted(folder.glob("*.log"))}


def files_of(part: str, files: dict[str, Path]) -> dict[str, Path]:
    """Return a part's logs: ``generator`` stands for every one, ``up`` for what it logs too."""
    names = _WRITTEN_BY_UP if part == _UP else re.escape(part)
    members = re.compile(rf"({names})(-\d+)?")
    return {name: path for name, path in files.items() if members.fullmatch(name)}


def time_of(text: str) -> datetime | None:
    """Return the time a line begins with (in UTC, as every part logs), ``None`` without one."""
    match = _TIME.match(text.lstrip("["))
    if match is None:
        return None
    fraction = (match["fraction"] or "")[:6].ljust(6, "0")
    try:
        return datetime.fromisoformat(f"{match['date']}T{match['clock']}.{fraction}+00:00")
    except ValueError:
        return None


def lines_of(part: str, texts: Iterable[str], *, before: datetime = _LONG_AGO) -> Iterator[LogLine]:
    """Give each text the part's name and its time; ``before`` is the time of what came before."""
    time = before
    for text in texts:
        stripped = text.rstrip("\r\n")
        time = time_of(stripped) or time
        yield LogLine(part, time, stripped)


def read_logs(files: dict[str, Path], *, since: datetime | None) -> list[LogLine]:
    """Return the lines of all files in order of time, rotated files included."""
    return list(
        heapq.merge(
            *(_read(part, path, since) for part, path in files.items()), key=lambda line: line.time
        )
    )


def _read(part: str, path: Path, since: datetime | None) -> list[LogLine]:
    rotated = sorted(path.parent.glob(f"{path.name}.*"), reverse=True)
    lines: list[LogLine] = []
    for file in [*rotated, path]:
        try:
            with file.open(encoding="utf-8", errors="replace") as texts:
                last = lines[-1].time if lines else _LONG_AGO
                lines += lines_of(part, texts, before=last)
        except FileNotFoundError:
            continue  # rotated away meanwhile
    if since is not None:
        lines = [line for line in lines if line.time >= since]
    # A part whose clock stepped back must not break the merge.
    return sorted(lines, key=lambda line: line.time)


class LogFollower:
    """Reads what is added to logs; a file that was cut short or is new is read from its start."""

    def __init__(self) -> None:
        self._positions: dict[str, int] = {}
        self._partial: dict[str, str] = {}

    def start_at_end(self, files: dict[str, Path]) -> None:
        """Take what is there now as read."""
        for part, path in files.items():
            self._positions[part] = path.stat().st_size

    def new_lines(self, files: dict[str, Path]) -> Sequence[LogLine]:
        """Return the whole lines added since the last call, in order of time."""
        added: list[LogLine] = []
        for part, path in files.items():
            added += lines_of(part, self._added(part, path), before=datetime.now(UTC))
        return sorted(added, key=lambda line: line.time)

    def _added(self, part: str, path: Path) -> list[str]:
        position = self._positions.get(part, 0)
        try:
            if path.stat().st_size < position:
                position = 0
            with path.open(encoding="utf-8", errors="replace") as file:
                file.seek(position)
                text = file.read()
                self._positions[part] = file.tell()
        except FileNotFoundError:
            return []
        *whole, rest = (self._partial.pop(part, "") + text).split("\n")
        if rest:
            self._partial[part] = rest
        return whole
