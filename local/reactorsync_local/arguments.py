"""Options that several commands share."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from reactorsync_local.rendering.times import parse_duration
from reactorsync_local.state_dir import STATE_DIR_VARIABLE

T = TypeVar("T")

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Server to talk to. Default: $REACTORSYNC_SERVER, else the one `up` started.",
        show_default=False,
    ),
]

NamespaceOption = Annotated[
    str, typer.Option("--namespace", "-n", metavar="NAME", help="Namespace of the object.")
]

ManifestNamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAME",
        help="Namespace of objects that name none; else default.",
        show_default=False,
    ),
]

StateDirOption = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        metavar="FOLDER",
        help=f"Where state is kept. Default: ${STATE_DIR_VARIABLE}, else the nearest .reactorsync.",
        show_default=False,
    ),
]

FilesOption = Annotated[
    list[str],
    typer.Option(
        "--filename",
        "-f",
        metavar="FILE",
        help="Manifest, folder of manifests (with all below it), or - for standard input.",
    ),
]


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine."""
    return asyncio.run(main)


def duration(text: str) -> timedelta:
    """Parse a duration option such as ``10m``; a usage error when it is none."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
