"""``get``: list objects, or show some, as a table or as documents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from reactorsync.resources import Resource
from reactorsync_local.arguments import ServerOption, run
from reactorsync_local.client import ApiClient, Selection
from reactorsync_local.console import tell, terminal_width, write_line, write_raw
from reactorsync_local.kinds import KindInfo, check_name, full_name, parse_kind
from reactorsync_local.rendering.columns import resource_table
from reactorsync_local.rendering.documents import to_json, to_yaml
from reactorsync_local.server import find_server

_WATCH_SECONDS = 1.0


class OutputFormat(StrEnum):
    """How objects are printed."""

    TABLE = "table"
    WIDE = "wide"
    YAML = "yaml"
    JSON = "json"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class _Request:
    """What was asked for."""

    kind: KindInfo
    names: tuple[str, ...]
    selection: Selection
    format: OutputFormat


def get(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="reactors (rx) or scenarios (anom).")],
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Only these.", show_default=False),
    ] = None,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NAME", help="Namespace to look in.")
    ] = "default",
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Look in every namespace.")
    ] = False,
    selector: Annotated[
        str,
        typer.Option(
            "--selector", "-l", metavar="TERMS", help="Labels, as `site=a,unit in (1,2)`."
        ),
    ] = "",
    field_selector: Annotated[
        str,
        typer.Option(
            "--field-selector", metavar="TERMS", help="Fields, as `status.health.state=Tripped`."
        ),
    ] = "",
    output: Annotated[
        OutputFormat, typer.Option("--output", "-o", help="How to print.")
    ] = OutputFormat.TABLE,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on, and print what changes.")
    ] = False,
    server: ServerOption = None,
) -> None:
    """List reactors or scenarios, or show some of them."""
    if names and (selector or field_selector or all_namespaces):
        raise typer.BadParameter("names cannot be combined with selectors or --all-namespaces")
    request = _Request(
        kind=parse_kind(kind),
        names=tuple(names or ()),
        selection=Selection(
            namespace=None if all_namespaces else namespace, labels=selector, fields=field_selector
        ),
        format=output,
    )
    run(_get(request, server, watch=watch))


async def _get(request: _Request, server: str | None, *, watch: bool) -> None:
    async with ApiClient(find_server(server)) as client:
        found = await _fetch(client, request)
        if found or watch or request.format in (OutputFormat.YAML, OutputFormat.JSON):
            _print(found, request, titles=True)
        else:
            selection = request.selection
            where = f" in namespace {selection.namespace}" if selection.namespace else ""
            tell(f"No {request.kind.plural} found{where}.")
        if watch:
            await _print_changes(client, request, found)


async def _fetch(client: ApiClient, request: _Request) -> Sequence[Resource]:
    if not request.names:
        return (await client.list(request.kind, request.selection)).items
    namespace = request.selection.namespace or "default"
    return await asyncio.gather(
        *(client.get(request.kind, namespace, check_name(name)) for name in request.names)
    )


async def _print_changes(client: ApiClient, request: _Request, known: Sequence[Resource]) -> None:
    """Print an object whenever it was changed, until interrupted; ``deleted`` when it is gone."""
    seen = {_identity(item): item for item in known}
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        listing = await client.list(request.kind, request.selection)
        current = {
            _identity(item): item
            for item in listing.items
            if not request.names or item.metadata.name in request.names
        }
        changed = [
            item
            for key, item in current.items()
            if key not in seen
            or seen[key].metadata.resource_version != item.metadata.resource_version
        ]
        if changed:
            _print(changed, request, titles=False)
        for key, item in seen.items():
            if key not in current:
                write_line(f"{full_name(item)} deleted")
        seen = current


def _identity(resource: Resource) -> tuple[str, str]:
    return resource.metadata.namespace, resource.metadata.name


def _print(resources: Sequence[Resource], request: _Request, *, titles: bool) -> None:
    as_list = len(request.names) != 1
    match request.format:
        case OutputFormat.YAML:
            write_raw(to_yaml(resources))
        case OutputFormat.JSON:
            write_raw(to_json(resources, as_list=as_list))
        case OutputFormat.NAME:
            for resource in resources:
                write_line(full_name(resource))
        case OutputFormat.TABLE | OutputFormat.WIDE:
            table = resource_table(
                request.kind,
                resources,
                datetime.now(UTC),
                namespaces=request.selection.namespace is None,
                wide=request.format is OutputFormat.WIDE,
                width=terminal_width(),
            )
            for line in [table.titles, *table.rows] if titles else table.rows:
                write_line(line)
