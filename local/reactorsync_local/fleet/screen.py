"""The summary as one screen: what needs attention first, grey where all is well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group
from rich.text import Text

from reactorsync.resources.reactor import HealthState
from reactorsync.signals import Signal
from reactorsync_local.fleet.values import (
    KEY_SIGNALS,
    FleetView,
    PartState,
    PartView,
    ReactorView,
    ScenarioView,
    StreamView,
)
from reactorsync_local.rendering.columns import HELD
from reactorsync_local.rendering.graphs import progress, sparkline
from reactorsync_local.rendering.palette import (
    ALARM,
    CAUTION,
    DEVIATION_MARKS,
    DEVIATION_STYLES,
    HEALTH_STYLES,
    HEALTH_SYMBOLS,
    MUTED,
    TITLE,
    WORST_FIRST,
)
from reactorsync_local.rendering.readings import (
    short_title,
    signal_of,
    unit_text,
    value_text,
)
from reactorsync_local.rendering.times import clock, short_duration

_NOTICE: Final = "simulated plants: nothing here controls a real one"
_GAP: Final = 2
_TREND_WIDTH: Final = 30
_TREND_SPAN: Final = 5.0
"""Percent of power: noise of less than this is drawn as a line, not as a mountain."""

_STALE_SECONDS: Final = 5.0
_LAG_FRAMES: Final = 50.0
_LABEL_WIDTH: Final = 9
_SCENARIOS_SHOWN: Final = 5
_OTHER_LINES: Final = 12
"""Lines of the screen that are neither reactors nor scenarios."""


def render_screen(view: FleetView, *, width: int, height: int, footer: str) -> Group:
    """Return the screen for a terminal of that size; ``footer`` is the line at its end."""
    some = min(_SCENARIOS_SHOWN, max(1, (height - _OTHER_LINES) // 4))
    scenarios = _scenarios(view.scenarios[:some], len(view.scenarios))
    installed = _parts(view.parts, width)
    room = height - _OTHER_LINES - len(scenarios) - (len(installed) - 1)
    reactors = view.worst_first
    shown = reactors[: max(3, room)]
    parts: list[Text] = [
        _header(view, width),
        Text(),
        _fleet(view),
        _stream(view.stream),
        *installed,
    ]
    if view.problem:
        parts.append(_labelled("trouble", Text(view.problem, style=ALARM)))
    parts += [Text(), *scenarios]
    if reactors:
        parts += _reactors(shown, width)
        if len(reactors) > len(shown):
            parts.append(Text(f"and {len(reactors) - len(shown)} more, all calmer", style=MUTED))
    elif not view.problem:
        hint = "No reactors yet: `reactorsync apply -f samples/fleet` declares a fleet."
        parts.append(Text(hint, style=CAUTION))
    parts += [Text(), Text(footer, style=MUTED)]
    for line in parts:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*parts)


def _header(view: FleetView, width: int) -> Text:
    line = Text.assemble(("ReactorSync ", TITLE), (view.release, MUTED), "  ", view.url)
    if view.started_at is not None:
        up = short_duration((view.now - view.started_at).total_seconds())
        line.append(f"  up {up}")
    room = width - line.cell_len - len(_NOTICE)
    if room >= 2:
        line.append(" " * room + _NOTICE, style=MUTED)
    return line


def _labelled(label: str, text: Text) -> Text:
    return Text.assemble((f"{label:<{_LABEL_WIDTH}}", MUTED), text)


def _fleet(view: FleetView) -> Text:
    counts = view.health_counts
    line = Text(f"{len(view.reactors)} reactors")
    for state in WORST_FIRST:
        count = counts[state]
        if count or state is HealthState.NOMINAL:
            word = f"   {HEALTH_SYMBOLS[state]} {count} {state.value.lower()}"
            line.append(word, style=HEALTH_STYLES[state])
    faults = sum(len(reactor.faults) for reactor in view.reactors)
    if faults:
        line.append(f"   {faults} fault{'s' if faults > 1 else ''} acting", style=CAUTION)
    return _labelled("fleet", line)


def _stream(stream: StreamView) -> Text:
    cells = [
        _amount(stream.rows_per_second, "rows/s stored"),
        _amount(stream.frames_per_second, "frames/s"),
        _bounded(stream.freshness_seconds, "s old", most=_STALE_SECONDS, decimals=1),
        _bounded(stream.lag_frames, "waiting", most=_LAG_FRAMES),
        _bounded(stream.lost_frames, "lost", most=0),
        _bounded(stream.dead_letters, "dead-lettered", most=0),
        _bounded(stream.late_ticks, "late ticks", most=0),
    ]
    return _labelled("stream", Text("   ").join(cell for cell in cells if cell.plain))


def _amount(value: float | None, what: str) -> Text:
    if value is None:
        return Text()
    number = f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
    return Text(f"{number} {what}")


def _bounded(value: float | None, what: str, *, most: float, decimals: int = 0) -> Text:
    """Return an amount that stands out above ``most``."""
    if value is None:
        return Text()
    return Text(f"{value:,.{decimals}f} {what}", style=CAUTION if value > most else "")


def _parts(parts: Sequence[PartView], width: int) -> list[Text]:
    """Those that are not ready first, each with what is wrong; the ready ones in one breath.

    What does not fit goes on in the next line.
    """
    troubled = [_troubled(part) for part in parts if part.state is not PartState.READY]
    ready = [part for part in parts if part.state is PartState.READY]
    calm = Text(f"{len(ready)} of {len(parts)} ready" if parts else "unknown")
    names = [
        Text(f"{part.name}{_restarts(part)}" + ("," if part is not ready[-1] else ""), style=MUTED)
        for part in ready
    ]
    lines: list[Text] = []
    for gap, pieces in (("   ", [*troubled, calm]), ("  ", names[:1]), (" ", names[1:])):
        for piece in pieces:
            room = width - _LABEL_WIDTH - (lines[-1].cell_len if lines else width)
            if len(gap) + piece.cell_len <= room:
                lines[-1].append(gap).append_text(piece)
            else:
                lines.append(piece.copy())
    return [_labelled("" if index else "parts", line) for index, line in enumerate(lines)]


def _troubled(part: PartView) -> Text:
    problem = f": {part.problem}" if part.problem else ""
    style = ALARM if part.state is PartState.DOWN else CAUTION
    return Text(f"■ {part.name}{_restarts(part)} {part.state.value}{problem}", style=style)


def _restarts(part: PartView) -> str:
    return f" (restarted {part.restarts}×)" if part.restarts else ""


def _scenarios(views: Sequence[ScenarioView], total: int) -> list[Text]:
    if not views:
        return []
    name_width = max(len(view.name) for view in views)
    lines = [Text("SCENARIOS", style=TITLE)]
    for view in views:
        line = Text(f"{view.name:<{name_width}}  ")
        if view.seconds_left is not None:
            line.append_text(progress(view.share_done, width=20))
            line.append(f"  {clock(view.seconds_left)} left")
        elif view.starts_in is not None:
            line.append(f"starts in {clock(view.starts_in)}", style=MUTED)
        else:
            line.append("waits for its Before probes", style=MUTED)
        if view.phase == HELD:
            line.append("   held", style=CAUTION)
        if view.seconds_left is not None:
            line.append(f"   {view.injected} of {view.selected} injected")
        line.append(f"   {', '.join(dict.fromkeys(view.faults))}", style=MUTED)
        lines.append(line)
    if total > len(views):
        lines.append(Text(f"and {total - len(views)} more", style=MUTED))
    return [*lines, Text()]


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the reactor table; columns of the lowest ``rank`` stay on a narrow terminal."""

    title: str
    rank: int
    cell: Callable[[ReactorView], Text]
    right: bool = False


def _columns() -> list[_Column]:
    power, *others = (signal_of(name) for name in KEY_SIGNALS)
    return [
        _Column("REACTOR", 0, lambda reactor: Text(reactor.name)),
        _Column("DESIGN", 4, lambda reactor: Text(reactor.design.value, style=MUTED)),
        _Column("HEALTH", 1, _health),
        _signal_column(power, 2),
        *(_signal_column(signal, 5 + index) for index, signal in enumerate(others)),
        _Column("POWER TREND", 3, _trend),
    ]


def _signal_column(signal: Signal, rank: int) -> _Column:
    title = f"{short_title(signal)} {unit_text(signal)}"
    return _Column(title, rank, lambda reactor: _value(reactor, signal), right=True)


def _reactors(reactors: Sequence[ReactorView], width: int) -> list[Text]:
    """Return the table with as many columns as fit."""
    columns = _columns()
    cells = {column.title: [column.cell(reactor) for reactor in reactors] for column in columns}
    widths = {
        column.title: max(len(column.title), *(cell.cell_len for cell in cells[column.title]))
        for column in columns
    }
    shown: set[str] = set()
    used = 0
    for column in sorted(columns, key=lambda column: column.rank):
        if used + widths[column.title] <= width:
            shown.add(column.title)
            used += widths[column.title] + _GAP
    columns = [column for column in columns if column.title in shown]
    lines = [_table_line([Text(one.title, style=TITLE) for one in columns], columns, widths)]
    for index in range(len(reactors)):
        row = [cells[column.title][index] for column in columns]
        lines.append(_table_line(row, columns, widths))
    return lines


def _table_line(
    cells: Sequence[Text], columns: Sequence[_Column], widths: Mapping[str, int]
) -> Text:
    line = Text()
    for cell, column in zip(cells, columns, strict=True):
        space = " " * (widths[column.title] - cell.cell_len)
        before, after = (space, "") if column.right else ("", space)
        line.append(before).append_text(cell).append(after + " " * _GAP)
    line.rstrip()
    return line


def _trend(reactor: ReactorView) -> Text:
    blocks = sparkline(reactor.trend, width=_TREND_WIDTH, least_span=_TREND_SPAN)
    calm = reactor.health is HealthState.NOMINAL
    return Text(blocks, style=MUTED if calm else HEALTH_STYLES[reactor.health])


def _value(reactor: ReactorView, signal: Signal) -> Text:
    deviation = reactor.deviation(signal.name)
    text = value_text(signal, reactor.values.get(signal.name))
    return Text(f"{DEVIATION_MARKS[deviation]}{text}", style=DEVIATION_STYLES[deviation])


def _health(reactor: ReactorView) -> Text:
    text = Text(
        f"{HEALTH_SYMBOLS[reactor.health]} {reactor.health.value}",
        style=HEALTH_STYLES[reactor.health],
    )
    if reactor.reason:
        text.append(f": {reactor.reason}")
    return text
