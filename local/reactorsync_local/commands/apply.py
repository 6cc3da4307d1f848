"""``apply``: make the server hold what manifests declare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from reactorsync_local.applying import plan_changes, write_changes
from reactorsync_local.arguments import FilesOption, ManifestNamespaceOption, ServerOption, run
from reactorsync_local.client import ApiClient
from reactorsync_local.console import write_line
from reactorsync_local.kinds import full_name
from reactorsync_local.manifests import Manifest, read_manifests
from reactorsync_local.server import find_server


def apply(
    files: FilesOption,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and write nothing.")
    ] = False,
    namespace: ManifestNamespaceOption = None,
    server: ServerOption = None,
) -> None:
    """Create or update what manifests declare.

    All files are read and checked before the first write: with a problem in any of them, nothing
    of any of them is applied.
    """
    run(_apply(read_manifests(files, namespace=namespace), server, dry_run=dry_run))


async def _apply(manifests: Sequence[Manifest], server: str | None, *, dry_run: bool) -> None:
    async with ApiClient(find_server(server)) as client:
        planned = await plan_changes(client, manifests)
        if dry_run:
            for change in planned:
                write_line(f"{full_name(change.new)} {change.outcome} (dry run)")
            return
        await write_changes(client, planned, announce=write_line)
