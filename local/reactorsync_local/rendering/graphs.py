"""Small graphs of block characters: trends, bands and progress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from reactorsync.signals import Limits
from reactorsync_local.rendering.palette import MUTED

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_GAP: Final = " "


def sparkline(values: Sequence[float | None], *, width: int, least_span: float = 0.0) -> str:
    """Return the last ``width`` values as blocks; a missing one is a gap, never a line across it.

    The scale runs from the lowest to the highest value, but over at least ``least_span``, so that
    noise does not look like news.
    """
    shown = list(values)[-width:]
    present = [value for value in shown if value is not None and value == value]
    if not present:
        return ""
    low, high = min(present), max(present)
    if high - low < least_span:
        # The middle falls into the middle of a block, so that noise does not flicker between two.
        low = (low + high) / 2 - least_span * 4.5 / 8
        high = low + least_span
    span = high - low
    line = ""
    for value in shown:
        if value is None or value != value:
            line += _GAP
        elif span == 0:
            line += _BLOCKS[3]
        else:
            line += _BLOCKS[min(7, int((value - low) / span * 8))]
    return line


def band(value: float | None, limits: Limits, *, width: int, style: str = "") -> Text:
    """Return where a reading stands against its normal band: ``┄┄┄├──●──┤┄┄┄``.

    The band takes the middle third; a reading further out than its width stands at the edge.
    """
    third = width // 3
    start, end = third, width - third - 1
    cells = ["┄"] * width
    cells[start : end + 1] = ["├", *["─"] * (end - start - 1), "┤"]
    text = Text("".join(cells), style=MUTED)
    if value is None or value != value:
        return text
    span = limits.normal_high - limits.normal_low
    place = start + (value - limits.normal_low) / span * (end - start)
    index = round(max(0.0, min(width - 1.0, place)))
    marker = "◀" if place < 0 else "▶" if place > width - 1 else "●"
    return Text.assemble(text[:index], (marker, style or "default"), text[index + 1 :])


def progress(share: float, *, width: int) -> Text:
    """Return a bar filled to ``share`` (0 to 1)."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return Text.assemble(("━" * filled, ""), ("━" * (width - filled), MUTED))
