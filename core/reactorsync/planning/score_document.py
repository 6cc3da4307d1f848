"""Keeps the worked example of docs/scoring.md equal to the code.

``python -m reactorsync.planning.score_document docs/scoring.md`` rewrites what stands between
``<!-- generated: example -->`` and ``<!-- end -->``; the rest of the page is written by people.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from reactorsync.planning.score import DURING_WEIGHT, GradedProbe, Watch, grade

EXAMPLE: Final = Watch(
    probes=(
        GradedProbe(passed=True),
        GradedProbe(passed=True, weight=DURING_WEIGHT),
        GradedProbe(passed=False),
    ),
    targets=10,
    detected=9,
    time_to_detect_ms=12_000,
    run_ms=600_000,
    severity_percent=80,
    false_alarms=1,
)
"""Ten minutes of a severe leak on ten reactors, one of which nobody noticed."""

_BLOCK: Final = re.compile(r"<!-- generated: example -->\n.*?<!-- end -->", re.DOTALL)


def example() -> str:
    """Return the worked example as a table, term by term."""
    graded = grade(EXAMPLE)
    assert graded is not None  # noqa: S101 - the example has targets
    weights = [probe.weight for probe in EXAMPLE.probes]
    passed = [probe.weight for probe in EXAMPLE.probes if probe.passed]
    seconds = (EXAMPLE.time_to_detect_ms or 0) / 1000
    rows = [
        (
            "`P`",
            "Before and During passed, After failed",
            f"{sum(passed)} / {sum(weights)} = {graded.passed:.3f}",
        ),
        (
            "`D`",
            "alarms on 9 of 10 targets",
            f"{EXAMPLE.detected} / {EXAMPLE.targets} = {graded.detected:.3f}",
        ),
        (
            "`T`",
            f"half of them within {seconds:g} s of a run of {EXAMPLE.run_ms / 1000:g} s",
            (
                f"{graded.detected:g} * (1 - {seconds:g} / {EXAMPLE.run_ms / 1000:g}) "
                f"= {graded.promptness:.3f}"
            ),
        ),
        (
            "`S`",
            f"severity {EXAMPLE.severity_percent} %",
            f"0.5 + {EXAMPLE.severity_percent} / 200 = {graded.severity:.3f}",
        ),
        (
            "`F`",
            "one alarm on a reactor that was no target",
            (
                f"0.5 * {EXAMPLE.false_alarms} / ({EXAMPLE.false_alarms} + {EXAMPLE.targets}) "
                f"= {graded.false_alarm_share:.3f}"
            ),
        ),
        (
            "lost",
            "40 (1 - P) + 40 S (1 - D) + 20 S (1 - T)",
            f"{graded.lost:.3f} of {graded.at_stake:g}",
        ),
        ("**score**", "100 (1 - lost / at stake) (1 - F)", f"**{graded.points}**"),
    ]
    lines = ["| term | because | value |", "| --- | --- | --- |"]
    lines += [f"| {term} | {because} | {value} |" for term, because, value in rows]
    return "\n".join(lines)


def rewrite(page: str) -> str:
    """Return ``page`` with the example as the code has it now."""
    block = f"<!-- generated: example -->\n\n{example()}\n\n<!-- end -->"
    return _BLOCK.sub(lambda _: block, page)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(rewrite(path.read_text(encoding="utf-8")), encoding="utf-8")
