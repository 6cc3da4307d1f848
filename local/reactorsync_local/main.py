"""The ``reactorsync`` command."""

from __future__ import annotations

import typer

from reactorsync_local.commands.apply import apply
from reactorsync_local.commands.delete import delete
from reactorsync_local.commands.describe import describe
from reactorsync_local.commands.doctor import doctor
from reactorsync_local.commands.down import down
from reactorsync_local.commands.explain import explain
from reactorsync_local.commands.get import get
from reactorsync_local.commands.logs import logs
from reactorsync_local.commands.scenario import scenario_app
from reactorsync_local.commands.telemetry import telemetry
from reactorsync_local.commands.up import up
from reactorsync_local.commands.version import version
from reactorsync_local.commands.watch import watch
from reactorsync_local.edge import ErrorEdge

app = typer.Typer(
    name="reactorsync",
    cls=ErrorEdge,
    help="Fleets of simulated nuclear reactors. Nothing here controls a real plant.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

_MACHINE = "This machine"
_RESOURCES = "Reactors and scenarios"
_READINGS = "Readings"

app.command(rich_help_panel=_MACHINE)(up)
app.command(rich_help_panel=_MACHINE)(down)
app.command(rich_help_panel=_MACHINE)(logs)
app.command(rich_help_panel=_MACHINE)(doctor)
app.command(rich_help_panel=_MACHINE)(version)
app.command(rich_help_panel=_RESOURCES)(apply)
app.command(rich_help_panel=_RESOURCES)(get)
app.command(rich_help_panel=_RESOURCES)(describe)
app.command(rich_help_panel=_RESOURCES)(delete)
app.command(rich_help_panel=_RESOURCES)(explain)
app.add_typer(scenario_app, name="scenario", rich_help_panel=_RESOURCES)
app.command(rich_help_panel=_READINGS)(watch)
app.command(rich_help_panel=_READINGS)(telemetry)
