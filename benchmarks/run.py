"""Run every benchmark and keep its tables in ``docs/benchmarks.md``."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

NAMES = ("kinetics", "ingest", "fleet", "operator", "verification")
OPTIONS = {
    # Some ten minutes; what is smaller than a goal asks for, the table says.
    "operator": ["--runs", "1", "--idle-seconds", "120", "--kills", "100"],
}
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_WIDTH = "110"


def main() -> None:
    """Run the named benchmarks (all of them by default) and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME", help=", ".join(NAMES))
    names = parser.parse_args().names
    if unknown := set(names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    sections = [_run(name) for name in names]
    PAGE.write_text("\n".join([_head(), *sections]), encoding="utf-8")
    print(f"written: {PAGE.relative_to(Path.cwd())}")


def _run(name: str) -> str:
    command = [sys.executable, "-m", f"benchmarks.{name}", *OPTIONS.get(name, [])]
    environment = os.environ | {"COLUMNS": _WIDTH, "NO_COLOR": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            sys.stdout.write(line)
            lines.append(line.rstrip())
    if process.returncode:
        raise SystemExit(f"benchmarks.{name} failed with exit code {process.returncode}")
    return f"## {name}\n\n```\n{chr(10).join(lines).strip()}\n```\n"


def _head() -> str:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    return (
        "# Benchmarks\n\n"
        "Written by `make bench`. Compare figures within a table, not between machines.\n\n"
        f"Commit {commit or 'unknown'}, {machine}, Python {platform.python_version()}, {moment}.\n"
    )


if __name__ == "__main__":
    main()
