"""What descriptions are made of: fields, sections, and what every object has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from rich.text import Text

from reactorsync.resources import AnomalyScenario, Condition, Reactor
from reactorsync.resources.meta import ConditionStatus
from reactorsync_local.merging import LAST_APPLIED
from reactorsync_local.rendering.palette import (
    MUTED,
    TITLE,
)
from reactorsync_local.rendering.table import Column, render_table
from reactorsync_local.rendering.times import age, timestamp

Lines = list[Text]

INDENT: Final = "  "
_FIELD_WIDTH: Final = 18


def identity(resource: Reactor | AnomalyScenario, now: datetime) -> Lines:
    """Return the metadata that every object has; ages are as of ``now``."""
    meta = resource.metadata
    annotations = {key: value for key, value in meta.annotations.items() if key != LAST_APPLIED}
    lines = [
        field_line("Name", Text(meta.name, style=TITLE)),
        field_line("Namespace", meta.namespace),
        *_mapping("Labels", meta.labels),
    ]
    if annotations:
        lines += _mapping("Annotations", annotations)
    created = f"{timestamp(meta.creation_timestamp)} ({age(meta.creation_timestamp, now)} ago)"
    lines += [
        field_line("Created", created),
        field_line(
            "Generation", f"{meta.generation}, observed {resource.status.observed_generation}"
        ),
    ]
    return lines


def field_line(name: str, value: str | Text) -> Text:
    """Return a name and its value, aligned with the others."""
    text = value if isinstance(value, Text) else Text(value)
    return Text.assemble((f"{name + ':':<{_FIELD_WIDTH}}", MUTED), text)


def _mapping(name: str, values: Mapping[str, str]) -> Lines:
    if not values:
        return [field_line(name, "<none>")]
    pairs = [f"{key}={value}" for key, value in sorted(values.items())]
    return [field_line(name, pairs[0]), *(Text(" " * _FIELD_WIDTH + pair) for pair in pairs[1:])]


def section(title: str) -> Lines:
    """Return the title of a section, after an empty line."""
    return [Text(), Text(title, style=TITLE)]


def condition_lines(conditions: Sequence[Condition], now: datetime) -> Lines:
    """Return the conditions as a table."""
    if not conditions:
        return [*section("Conditions"), Text(f"{INDENT}<none yet>", style=MUTED)]
    columns: list[Column[Condition]] = [
        Column("TYPE", lambda condition: condition.type),
        Column("STATUS", _condition_status),
        Column("SINCE", lambda condition: age(condition.last_transition_time, now)),
        Column("REASON", lambda condition: condition.reason),
        Column("MESSAGE", lambda condition: condition.message),
    ]
    table = render_table(columns, conditions)
    return [*section("Conditions"), *(Text(INDENT) + line for line in [table.titles, *table.rows])]


def _condition_status(condition: Condition) -> Text:
    unknown = condition.status is ConditionStatus.UNKNOWN
    return Text(condition.status.value, style=MUTED if unknown else "")
