"""Who may write: asked right before every write, for a lease can be lost at any moment."""

from __future__ import annotations

from collections.abc import Callable

MayWrite = Callable[[], bool]
"""Whether this process may change anything now."""


class NotLeading(Exception):
    """Something was to be written without the right to. The process ends, and starts anew."""


def always() -> bool:
    """Return that writing is allowed: there is only this one process."""
    return True


def check(may_write: MayWrite) -> None:
    """Raise :class:`NotLeading` unless writing is allowed now."""
    if not may_write():
        raise NotLeading("the lease is no longer held")
