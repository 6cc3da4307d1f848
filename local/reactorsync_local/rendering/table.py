"""Tables as kubectl prints them: columns aligned by spaces, the same for scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from rich.text import Text

from reactorsync_local.rendering.palette import TITLE

T = TypeVar("T")

_GAP: Final = 3
_LEAST_CUT: Final = 12
"""So much of a column that may be cut is always shown; the terminal then wraps the line."""


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column: its title, and what it shows of a row. A ``wide`` one is for ``-o wide`` only.

    The last one may be ``cut`` to what is left of the terminal's width.
    """

    title: str
    cell: Callable[[T], str | Text]
    wide: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class TableLines:
    """A rendered table: the line of titles, and a line per row."""

    titles: Text
    rows: Sequence[Text]


def render_table(
    columns: Iterable[Column[T]],
    rows: Iterable[T],
    *,
    wide: bool = False,
    width: int | None = None,
) -> TableLines:
    """Return the table of ``rows``; an empty cell shows ``-`` so that fields can be counted.

    Without a ``width`` in cells nothing is cut.
    """
    shown = [column for column in columns if wide or not column.wide]
    cells = [[_cell(column, row) for column in shown] for row in rows]
    widths = [
        max([len(column.title), *(line[index].cell_len for line in cells)])
        for index, column in enumerate(shown)
    ]
    if width is not None and shown[-1].cut:
        left = width - sum(widths[:-1]) - _GAP * (len(widths) - 1)
        for line in cells:
            line[-1].truncate(max(left, _LEAST_CUT), overflow="ellipsis")
    return TableLines(
        titles=_line([Text(column.title, style=TITLE) for column in shown], widths),
        rows=[_line(line, widths) for line in cells],
    )


def _cell(column: Column[T], row: T) -> Text:
    cell = column.cell(row)
    text = cell if isinstance(cell, Text) else Text(cell)
    return text if text.plain else Text("-")


def _line(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text()
    for cell, width in zip(cells, widths, strict=True):
        line.append_text(cell)
        line.append(" " * (width - cell.cell_len + _GAP))
    line.rstrip()
    return line
