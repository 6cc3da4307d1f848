"""The two ways out: results on standard output, everything said about them on standard error."""

from __future__ import annotations

import sys
from typing import Final

from rich.console import Console
from rich.text import Text

_UNBOUNDED: Final = 100_000
"""Columns when nobody looks: a script must get whole lines, whatever COLUMNS says."""


def output() -> Console:
    """Return the console of standard output.

    Lines are never cut or wrapped unless it is a terminal, and hold no colours then.
    """
    terminal = sys.stdout.isatty()
    return Console(
        file=sys.stdout,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
        width=None if terminal else _UNBOUNDED,
    )


def messages() -> Console:
    """Return the console of standard error."""
    return Console(
        file=sys.stderr, highlight=False, markup=False, emoji=False, soft_wrap=True, stderr=False
    )


def write_line(line: str | Text = "") -> None:
    """Print one line of the result."""
    output().print(line)


def write_raw(text: str) -> None:
    """Print a document of the result exactly as it is."""
    sys.stdout.write(text)
    sys.stdout.flush()


def write_bytes(data: bytes) -> None:
    """Print bytes of the result."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def tell(line: str | Text, *, style: str = "") -> None:
    """Say something about the result, on standard error."""
    messages().print(line, style=style)


def tell_error(problem: str, hint: str | None = None) -> None:
    """Say what went wrong and what to do."""
    line = Text("error: ", style="bold red")
    line.append(problem, style="default")
    tell(line)
    if hint:
        tell(Text(f"  {hint}", style="dim"))


def terminal_width() -> int | None:
    """Return how many cells a line of the result may have, ``None`` where no person looks."""
    return output().width if is_terminal() else None


def is_terminal() -> bool:
    """Return whether a person looks at standard output."""
    return sys.stdout.isatty()
