"""``version``: the release of this command and of the server."""

from __future__ import annotations

from importlib.metadata import version as installed_version

from reactorsync_local.arguments import ServerOption, run
from reactorsync_local.client import ApiClient
from reactorsync_local.console import tell, write_line
from reactorsync_local.errors import CommandError
from reactorsync_local.server import find_server


def this_version() -> str:
    """Return the release of this command."""
    return installed_version("reactorsync")


def version(server: ServerOption = None) -> None:
    """Show the release of this command and of the server, if one answers."""
    write_line(f"reactorsync {this_version()}")
    try:
        found = run(_server_version(server))
    except CommandError as error:
        tell(f"server: {error}", style="dim")
        return
    write_line(f"server      {found}")
    if found != this_version():
        tell("The releases differ: restart with `reactorsync down` and `reactorsync up`.")


async def _server_version(server: str | None) -> str:
    async with ApiClient(find_server(server)) as client:
        return await client.version()
