"""``delete``: remove objects by name, or those that manifests name."""

from __future__ import annotations

from typing import Annotated

import typer

from reactorsync_local.arguments import FilesOption, ManifestNamespaceOption, ServerOption, run
from reactorsync_local.client import ApiClient
from reactorsync_local.console import tell_error, write_line
from reactorsync_local.errors import Refused
from reactorsync_local.kinds import KindInfo, check_name, full_name, kind_of, parse_kind
from reactorsync_local.manifests import read_manifests
from reactorsync_local.server import find_server


def delete(
    kind: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help="reactor (rx) or scenario (anom).")
    ] = None,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", show_default=False)
    ] = None,
    files: FilesOption = [],  # noqa: B006 - typer copies it
    namespace: ManifestNamespaceOption = None,
    server: ServerOption = None,
) -> None:
    """Delete objects by name, or those that manifests name. History stays; faults are lifted."""
    if bool(files) == bool(kind):
        raise typer.BadParameter("write either KIND NAME... or -f FILE")
    if kind:
        if not names:
            raise typer.BadParameter("which? Write KIND NAME...")
        info = parse_kind(kind)
        wanted = [(info, namespace or "default", check_name(name)) for name in names]
    else:
        wanted = [
            (kind_of(item.resource), item.resource.metadata.namespace, item.resource.metadata.name)
            for item in read_manifests(files, namespace=namespace)
        ]
    run(_delete(wanted, server))


async def _delete(wanted: list[tuple[KindInfo, str, str]], server: str | None) -> None:
    missing = 0
    async with ApiClient(find_server(server)) as client:
        for kind, namespace, name in wanted:
            try:
                gone = await client.delete(kind, namespace, name)
            except Refused as refused:
                if refused.kind != "not-found":
                    raise
                tell_error(f"no {kind.singular} {namespace}/{name}")
                missing += 1
            else:
                write_line(f"{full_name(gone)} deleted")
    if missing:
        raise typer.Exit(1)
