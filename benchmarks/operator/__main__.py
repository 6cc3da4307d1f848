"""Measure the operator, print the tables, and write the figures where ``--json`` says."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console

from benchmarks.operator import crashes, fleet, naive, scenarios
from benchmarks.operator.figures import Figure, as_document, merged, tables, told
from benchmarks.operator.surroundings import Surroundings, surroundings
from tests.control_plane import Binaries

CASES: Final = ("fleet", "first-sample", "there-and-back", "naive", "crashes")

Case = Callable[[Surroundings, int], Awaitable[list[Figure]]]


def cases_of(arguments: argparse.Namespace) -> dict[str, Case]:
    """Return what is to be run, by name."""
    plan = fleet.FleetPlan(
        reactors=arguments.reactors,
        idle_seconds=arguments.idle_seconds,
        changes=arguments.changes,
    )

    async def crash(around: Surroundings, run: int) -> list[Figure]:
        outcome = await crashes.measure(
            around, kills=arguments.kills, lanes=arguments.lanes, run=run
        )
        for what in ("lost", "doubled", "immortal"):
            for fault in getattr(outcome, what):
                Console(stderr=True).print(f"{what}: {fault}")
        return told(crashes.figures(outcome))

    every: dict[str, Case] = {
        "fleet": lambda around, run: fleet.measure(around, plan, run=run),
        "first-sample": lambda around, run: scenarios.first_samples(
            around, targets=arguments.targets, run=run
        ),
        "there-and-back": lambda around, run: scenarios.there_and_back(
            around, targets=arguments.many, run=run
        ),
        "naive": lambda around, run: naive.measure(around, reactors=arguments.naive, run=run),
        "crashes": crash,
    }
    return {name: every[name] for name in CASES if name in arguments.only}


async def measure(cases: dict[str, Case], *, runs: int) -> list[tuple[Figure, list[float]]]:
    """Run each case so many times, each time on a new API server; a crash case once."""
    figures: list[tuple[Figure, list[float]]] = []
    for name, case in cases.items():
        collected: list[list[Figure]] = []
        for run in range(1 if name == "crashes" else runs):
            began = time.monotonic()
            async with surroundings() as around:
                collected.append(await case(around, run))
            Console(stderr=True).print(f"{name} {run + 1}: {time.monotonic() - began:.0f} s")
        figures += merged(collected)
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write the figures where ``--json`` says."""
    parser = argparse.ArgumentParser(prog="benchmarks.operator", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=CASES, default=CASES, help="cases to run")
    parser.add_argument("--runs", type=int, default=3, help="of each case but the crashes")
    parser.add_argument("--reactors", type=int, default=10_000, help="in the fleet")
    parser.add_argument("--idle-seconds", type=int, default=600, help="of watching it do nothing")
    parser.add_argument("--changes", type=int, default=200, help="edits, one after the other")
    parser.add_argument("--targets", type=int, default=1000, help="until their first sample")
    parser.add_argument("--many", type=int, default=6000, help="targets there and back")
    parser.add_argument("--naive", type=int, default=2000, help="reactors of the reference")
    parser.add_argument("--kills", type=int, default=1000, help="kill -9 in all lanes together")
    parser.add_argument("--lanes", type=int, default=4, help="operators that are killed at once")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(arguments)
    if Binaries.find() is None:
        raise SystemExit("needs etcd and kube-apiserver: set KUBEBUILDER_ASSETS to their folder")
    figures = uvloop.run(measure(cases_of(options), runs=options.runs))
    console = Console()
    for table in tables(figures):
        console.print(table)
    if options.json:
        listed = [as_document(figure, values) for figure, values in figures]
        options.json.write_text(json.dumps(listed, indent=2))


if __name__ == "__main__":
    main()
