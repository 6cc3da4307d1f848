"""What a command can end with besides success: one line for people and an exit code each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class CommandError(Exception):
    """A command could not do what was asked.

    ``str(error)`` is the problem; ``details`` are lines to print before it, ``hint`` is one line of
    what to do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, problem: str, *, hint: str | None = None, details: Sequence[str] = ()
    ) -> None:
        super().__init__(problem)
        self.hint = hint
        self.details = tuple(details)


class BadInput(CommandError):
    """A manifest or an argument says something that cannot be."""


class Refused(CommandError):
    """The server answered with a problem (RFC 9457).

    ``kind`` is the last part of the problem's type (``not-found``, ``conflict``, ``invalid``, ...).
    """

    def __init__(self, problem: str, *, status: int, kind: str, hint: str | None = None) -> None:
        super().__init__(problem, hint=hint)
        self.status = status
        self.kind = kind


class ServerUnreachable(CommandError):
    """No ReactorSync server answers at the address."""

    exit_code: ClassVar[int] = 3

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        super().__init__(
            f"no ReactorSync server answers at {url} ({reason})",
            hint="start one with `reactorsync up`, or name one with --server or REACTORSYNC_SERVER",
        )
