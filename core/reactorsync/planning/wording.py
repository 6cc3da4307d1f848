"""Numbers in sentences for people."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Return so many of something whose plural is regular: ``1 reactor``, ``2 reactors``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
