"""The moments of a batch at which a crash must do no harm; tests stop the process there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum


class Stage(StrEnum):
    """Where a batch is, in order."""

    POLLED = "Polled"
    COPYING = "Copying"
    COPIED = "Copied"
    OFFSETS_MOVED = "OffsetsMoved"
    COMMITTED = "Committed"


StageHook = Callable[[Stage], Awaitable[None]]
"""Awaited at every stage of every batch."""


async def no_hook(_stage: Stage) -> None:
    """Do nothing: what runs outside tests."""
