"""``telemetry``: the stored readings of a reactor."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from reactorsync_local.arguments import NamespaceOption, ServerOption, duration, run
from reactorsync_local.client import ApiClient
from reactorsync_local.console import is_terminal, tell, write_bytes, write_line
from reactorsync_local.errors import BadInput
from reactorsync_local.rendering.readings import readings_table
from reactorsync_local.server import find_server


class TelemetryFormat(StrEnum):
    """How readings are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    ARROW = "arrow"


def telemetry(
    reactor: Annotated[str, typer.Argument(metavar="REACTOR", help="Name of the reactor.")],
    since: Annotated[
        str, typer.Option("--since", metavar="DURATION", help="How far back, as 90s, 10m or 2h.")
    ] = "10m",
    signals: Annotated[
        str,
        typer.Option(
            "--signals", metavar="NAMES", help="Comma-separated; default all the design has."
        ),
    ] = "",
    max_points: Annotated[
        int | None,
        typer.Option(
            "--max-points",
            metavar="N",
            help="Most rows; the extremes of every signal stay.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        TelemetryFormat, typer.Option("--output", "-o", help="How to print.")
    ] = TelemetryFormat.TABLE,
    namespace: NamespaceOption = "default",
    server: ServerOption = None,
) -> None:
    """Print stored readings of a reactor, oldest first."""
    encoding = TelemetryFormat.CSV if output is TelemetryFormat.TABLE else output
    if output is TelemetryFormat.ARROW and is_terminal():
        raise BadInput("Arrow is not for terminals", hint="send it to a file: `-o arrow > FILE`")
    end = datetime.now(UTC)
    parameters = {
        "start": (end - duration(since)).isoformat(),
        "end": end.isoformat(),
        "format": encoding.value,
    }
    if signals:
        parameters["signals"] = signals
    if max_points is not None:
        parameters["max_points"] = str(max_points)
    run(_print(namespace, reactor, parameters, server, as_table=output is TelemetryFormat.TABLE))


async def _print(
    namespace: str, name: str, parameters: dict[str, str], server: str | None, *, as_table: bool
) -> None:
    async with (
        ApiClient(find_server(server)) as client,
        client.telemetry(namespace, name, parameters) as answer,
    ):
        if not as_table:
            async for chunk in answer.aiter_bytes():
                write_bytes(chunk)
            return
        text = (await answer.aread()).decode()
    titles, *rows = csv.reader(io.StringIO(text))
    if not rows:
        tell(f"No readings of {namespace}/{name} in that time.")
        return
    table = readings_table(titles, rows)
    for line in [table.titles, *table.rows]:
        write_line(line)
