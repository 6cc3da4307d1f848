"""Figures, and the tables they are printed in, beside what others have published."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; ``goal`` is the most it may be. ``workload`` says of what.

    ``unit`` is that of value and goal; a plain count has none.
    """

    name: str
    value: float
    unit: str
    workload: str
    goal: float | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """What somebody else has published, with where; the workload is not ours."""

    who: str
    workload: str
    figure: str
    source: str


PUBLISHED: Final = (
    Published(
        "classic kopf handlers",
        "2,000 objects, create/update handlers with patch.status, trivial work",
        "36–40 s (50–55/s), 158–195 MB, 3 PATCHes an object",
        "measured while this was designed",
    ),
    Published(
        "Chaos Mesh",
        "6,000 pods, 5-minute network chaos in real pods",
        "over an hour to recover",
        "chaos-mesh/chaos-mesh#4776",
    ),
    Published(
        "Chaos Mesh",
        "the same, events of its records",
        "27–28 min of client throttling",
        "chaos-mesh/chaos-mesh#4775",
    ),
    Published(
        "Flux 2.9, 16 cores",
        "1,000 Kustomizations, real applies",
        "4 min 13 s, 223 MiB",
        "fluxcd/flux-benchmark",
    ),
    Published(
        "Strimzi topic operator",
        "10,000 events, topics on a broker",
        "< 10 min (≥ 16.7/s)",
        "strimzi.io blog, 2023-11-02",
    ),
    Published(
        "ambient-code/platform",
        "4,319 custom resources, 512 MiB",
        "out of memory in about 60 s",
        "ambient-code/platform#1299",
    ),
    Published(
        "kopf peering", "failover of a dead peer", "60 s (its lifetime)", "kopf's documentation"
    ),
)


def merged(runs: Sequence[Sequence[Figure]]) -> list[tuple[Figure, list[float]]]:
    """Return each figure of the runs once, with its values in all of them."""
    values: dict[str, list[float]] = {}
    first: dict[str, Figure] = {}
    for figure in (one for run in runs for one in run):
        first.setdefault(figure.name, figure)
        values.setdefault(figure.name, []).append(figure.value)
    return [(figure, values[name]) for name, figure in first.items()]


def told(figures: list[Figure]) -> list[Figure]:
    """Print figures as they come: the whole takes long."""
    for figure in figures:
        progress(f"{figure.name}: {_number(figure.value)} {figure.unit}")
    return figures


def progress(line: str) -> None:
    """Print how far a case has come."""
    sys.stderr.write(f"  {line}\n")
    sys.stderr.flush()


def as_document(figure: Figure, values: Sequence[float]) -> dict[str, object]:
    """Return a figure with its values in all runs for a JSON file; its name carries its unit."""
    name = f"{figure.name} [{figure.unit}]" if figure.unit else figure.name
    return {
        "name": name,
        "workload": figure.workload,
        "values": list(values),
        "median": median(values),
        "goal": figure.goal,
    }


def tables(figures: Iterable[tuple[Figure, list[float]]]) -> list[Table]:
    """Return the printed tables."""
    ours = Table(title="The operator on a real API server", show_lines=False)
    for heading in ("what", "workload"):
        ours.add_column(heading)
    for heading in ("median", "min–max", "goal"):
        ours.add_column(heading, justify="right")
    ours.add_column("met")
    for figure, values in figures:
        middle = median(values)
        several = len(values) > 1
        spread = f"{_number(min(values))}–{_number(max(values))}" if several else ""
        met = "" if figure.goal is None else "yes" if middle <= figure.goal else "no"
        goal = "" if figure.goal is None else f"≤ {_number(figure.goal)}"
        ours.add_row(
            figure.name,
            figure.workload,
            f"{_number(middle)} {figure.unit}".strip(),
            spread,
            goal,
            met,
        )
    theirs = Table(title="Published by others: other workloads, other machines")
    for heading in ("who", "workload", "figure", "source"):
        theirs.add_column(heading)
    for one in PUBLISHED:
        theirs.add_row(one.who, one.workload, one.figure, one.source)
    return [ours, theirs]


def _number(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
