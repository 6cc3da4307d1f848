"""Write the outcome of the tests on an API server into docs/reliability.md, between its marks."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

PAGE: Final = Path(__file__).parent.parent / "docs" / "reliability.md"
BEGIN: Final = "<!-- cluster run: begin -->"
END: Final = "<!-- cluster run: end -->"


def main() -> None:
    """Replace the recorded run by the one in the JUnit file that is named."""
    suite = ET.parse(sys.argv[1]).getroot().find("testsuite")  # noqa: S314 - our own file
    assert suite is not None  # noqa: S101 - pytest always writes one
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{summary(suite)}\n{END}{after}", encoding="utf-8")


def summary(suite: ET.Element) -> str:
    """Return the outcome: versions, date, counts by module, and whatever did not pass by name."""
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - whichever git there is
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    counts: dict[str, Counter[str]] = {}
    not_passed = []
    for case in suite.iter("testcase"):
        module = str(case.get("classname")).rpartition(".")[2]
        outcome = _outcome(case)
        counts.setdefault(module, Counter())[outcome] += 1
        if outcome != "passed":
            not_passed.append(f"- {outcome}: `{module}::{case.get('name')}`")
    total = sum(counts.values(), Counter())
    rows = [
        f"| `{module}` | {count['passed']} | {count['failed']} | {count['skipped']} |"
        for module, count in sorted(counts.items())
    ]
    outcome = (
        f"{moment}, commit {commit}: {total['passed']} passed, {total['failed']} failed, "
        f"{total['skipped']} skipped in {float(suite.get('time', 0)):.0f} s. API server "
        f"{properties.get('api-server', 'none')}; kopf {version('kopf')}, Python "
        f"{platform.python_version()}, {platform.system()} {platform.machine()}."
    )
    return "\n".join(
        [
            outcome,
            "",
            "| tests/cluster | passed | failed | skipped |",
            "|---|---:|---:|---:|",
            *rows,
            *(["", *not_passed] if not_passed else []),
        ]
    )


def _outcome(case: ET.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "skipped" if case.find("skipped") is not None else "passed"


if __name__ == "__main__":
    main()
