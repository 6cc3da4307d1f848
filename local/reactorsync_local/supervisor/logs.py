"""Log files of child processes, bounded in size."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

TAIL_BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class LogLimit:
    """`NAME.log` grows to about `max_bytes`, and `kept` older files (`NAME.log.1` the newest) stay
    beside it.
    """

    max_bytes: int = 8 * 1024 * 1024
    kept: int = 2


class LogFile:
    """The file that receives a child's standard output and error.

    The child writes to the file itself, not through a pipe: a busy or dead supervisor neither
    blocks a child nor loses its last words. The price is rotation by copy and truncate, for the
    child holds the file open: what it writes in the microseconds between the two is lost.
    """

    def __init__(self, path: Path, limit: LogLimit | None = None) -> None:
        self.path = path
        self.limit = limit if limit is not None else LogLimit()

    def open(self) -> BinaryIO:
        """Open for a child, to append: after a truncation it goes on at the new end."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "ab", buffering=0)

    def rotate_if_large(self) -> bool:
        """Move the content to `NAME.log.1` if it has reached the bound; tells whether it did."""
        try:
            if self.path.stat().st_size < self.limit.max_bytes:
                return False
        except FileNotFoundError:
            return False
        for number in range(self.limit.kept, 1, -1):
            older = self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))
        if self.limit.kept > 0:
            shutil.copyfile(self.path, self._numbered(1))
            self._numbered(1).chmod(0o600)
        os.truncate(self.path, 0)
        return True

    def last_lines(self, count: int) -> list[str]:
        """The last `count` lines, at most 64 KiB of them; empty where there is no log yet."""
        return last_lines(self.path, count)

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines of a file, at most 64 KiB of them; empty if there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BLOCK_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-count:]
