"""``describe``: everything about some objects."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from reactorsync.resources import Reactor
from reactorsync_local.arguments import NamespaceOption, ServerOption, run
from reactorsync_local.client import ApiClient
from reactorsync_local.console import write_line
from reactorsync_local.kinds import KindInfo, check_name, parse_kind
from reactorsync_local.rendering.reactor_description import describe_reactor
from reactorsync_local.rendering.scenario_description import describe_scenario
from reactorsync_local.server import find_server


def describe(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="reactor (rx) or scenario (anom).")],
    names: Annotated[list[str], typer.Argument(metavar="NAME...", show_default=False)],
    namespace: NamespaceOption = "default",
    server: ServerOption = None,
) -> None:
    """Show everything about reactors or scenarios: spec, status, conditions, latest reading."""
    run(_describe(parse_kind(kind), namespace, names, server))


async def _describe(kind: KindInfo, namespace: str, names: list[str], server: str | None) -> None:
    async with ApiClient(find_server(server)) as client:
        for index, name in enumerate(names):
            found = await client.get(kind, namespace, check_name(name))
            now = datetime.now(UTC)
            if isinstance(found, Reactor):
                lines = describe_reactor(found, await client.latest(namespace, name), now)
            else:
                lines = describe_scenario(found, now)
            if index:
                write_line()
            for line in lines:
                write_line(line)
