"""Draw the screen of a running installation as an SVG, for the README.

Usage: python scripts/screenshot.py docs/images/up.svg

Run `reactorsync up --detach` before, and apply a scenario so that there is something to see.
"""

from __future__ import annotations

import asyncio
import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from reactorsync_local.commands.up import SCREEN_FOOTER
from reactorsync_local.commands.version import this_version
from reactorsync_local.fleet.monitor import FleetMonitor
from reactorsync_local.fleet.screen import render_screen
from reactorsync_local.fleet.show import gathering
from reactorsync_local.server import find_server
from reactorsync_local.state_dir import find_state_dir

WIDTH = 138
HEIGHT = 34
GATHER_SECONDS = 35.0

FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

# Grey, and colour only for what is not normal, as on the terminal.
THEME = TerminalTheme(
    (27, 30, 33),
    (214, 217, 220),
    [
        (27, 30, 33),
        (255, 107, 107),
        (190, 196, 201),
        (242, 207, 59),
        (150, 170, 190),
        (224, 139, 224),
        (150, 190, 190),
        (214, 217, 220),
    ],
)


async def draw() -> str:
    """Gather for long enough to have trends, then return the picture."""
    monitor = FleetMonitor(find_server(None), find_state_dir(None), release=this_version())
    async with gathering(monitor):
        await asyncio.sleep(GATHER_SECONDS)
        view = monitor.view()
    console = Console(
        file=io.StringIO(),
        record=True,
        force_terminal=True,
        color_system="standard",
        width=WIDTH,
        height=HEIGHT,
        highlight=False,
    )
    console.print(render_screen(view, width=WIDTH, height=HEIGHT, footer=SCREEN_FOOTER))
    return self_contained(console.export_svg(title="reactorsync up", theme=THEME, unique_id="up"))


def self_contained(svg: str) -> str:
    """Return the picture without fonts from elsewhere: it must not call home when it is shown.

    Some viewers drop a space at the start of a text, even one that does not break, unless told.
    """
    svg = svg.replace(
        '<svg class="rich-terminal"', '<svg class="rich-terminal" xml:space="preserve"'
    )
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: (?:Fira Code|arial)[^;]*;", f"font-family: {FONTS};", svg)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(asyncio.run(draw()), encoding="utf-8")
