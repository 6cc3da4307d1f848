"""``doctor``: what is wrong with this machine or the running parts, and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from reactorsync_local.arguments import ServerOption, StateDirOption, run
from reactorsync_local.console import write_line
from reactorsync_local.diagnosis import Finding, Verdict, examine
from reactorsync_local.rendering.palette import ALARM, CAUTION, MUTED
from reactorsync_local.state_dir import find_state_dir

_SYMBOLS = {
    Verdict.FINE: ("✓", MUTED),
    Verdict.NOTE: ("·", MUTED),
    Verdict.DOUBT: ("!", CAUTION),
    Verdict.FAULT: ("✗", ALARM),
}


def doctor(
    state_dir: StateDirOption = None,
    api_port: Annotated[
        int, typer.Option("--api-port", envvar="REACTORSYNC_API_PORT", metavar="PORT", hidden=True)
    ] = 8000,
    server: ServerOption = None,
) -> None:
    """Check this machine and the running parts. Exit code 1 if something is broken."""
    findings = run(examine(find_state_dir(state_dir), api_port=api_port, server=server))
    for finding in findings:
        _print(finding)
    if any(finding.verdict is Verdict.FAULT for finding in findings):
        raise typer.Exit(1)


def _print(finding: Finding) -> None:
    symbol, style = _SYMBOLS[finding.verdict]
    write_line(Text.assemble((f"{symbol} ", style), f"{finding.subject:<16} ", finding.fact))
    if finding.action:
        write_line(Text.assemble(" " * 19, ("→ ", style), finding.action))
