"""``scenario``: run, abort, list."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from reactorsync.resources import AnomalyScenario
from reactorsync.resources.scenario import RunPhase, ScenarioMode
from reactorsync_local.arguments import NamespaceOption, ServerOption, run
from reactorsync_local.client import ApiClient, Selection
from reactorsync_local.console import tell, write_line
from reactorsync_local.kinds import SCENARIOS, full_name
from reactorsync_local.rendering.columns import resource_table
from reactorsync_local.rendering.times import clock
from reactorsync_local.server import find_server

scenario_app = typer.Typer(help="Run, abort and list scenarios.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the scenario.")]

_POLL_SECONDS: Final = 1.0


@scenario_app.command("run")
def run_scenario(
    name: NameArgument,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the run to its end; exit 1 if it is aborted.")
    ] = False,
    namespace: NamespaceOption = "default",
    server: ServerOption = None,
) -> None:
    """Start a new run of a scenario, also of an aborted or completed one."""
    run(_run(namespace, name, server, wait=wait))


@scenario_app.command("abort")
def abort_scenario(
    name: NameArgument, namespace: NamespaceOption = "default", server: ServerOption = None
) -> None:
    """Lift a scenario's faults now and end its run."""
    run(_abort(namespace, name, server))


@scenario_app.command("list")
def list_scenarios(
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace", "-n", metavar="NAME", help="Only this one.", show_default=False
        ),
    ] = None,
    server: ServerOption = None,
) -> None:
    """List scenarios with where their runs stand."""
    run(_list(namespace, server))


async def _run(namespace: str, name: str, server: str | None, *, wait: bool) -> None:
    async with ApiClient(find_server(server)) as client:
        started = await client.rerun(namespace, name)
        write_line(f"{full_name(started)} run started")
        if started.spec.mode is ScenarioMode.DRY_RUN:
            tell("It is a dry run: targets are resolved, nothing is injected.")
        if wait:
            await _follow(client, started)


async def _follow(client: ApiClient, started: AnomalyScenario) -> None:
    """Print where the run stands whenever that changes, until it has ended."""
    meta = started.metadata
    last = ""
    while True:
        found = await client.get(SCENARIOS, meta.namespace, meta.name)
        assert isinstance(found, AnomalyScenario)  # noqa: S101 - the kind asked for
        current = found.status.run
        if current is not None and current.token == started.spec.run_token:
            line = found.status.summary or current.phase.value
            if line != last:
                elapsed = (datetime.now(UTC) - current.start_time).total_seconds()
                tell(f"{clock(elapsed)}  {line}")
                last = line
            if current.phase in (RunPhase.COMPLETED, RunPhase.ABORTED):
                write_line(f"{full_name(found)} run {current.number} {current.phase.value.lower()}")
                if current.phase is RunPhase.ABORTED:
                    raise typer.Exit(1)
                return
        await asyncio.sleep(_POLL_SECONDS)


async def _abort(namespace: str, name: str, server: str | None) -> None:
    async with ApiClient(find_server(server)) as client:
        aborted = await client.abort(namespace, name)
        write_line(f"{full_name(aborted)} aborted")


async def _list(namespace: str | None, server: str | None) -> None:
    async with ApiClient(find_server(server)) as client:
        scenarios = await client.scenarios(Selection(namespace=namespace))
        if not scenarios:
            tell("No scenarios; `reactorsync apply -f samples/scenarios` declares some.")
            return
        table = resource_table(
            SCENARIOS, scenarios, datetime.now(UTC), namespaces=namespace is None, wide=False
        )
        for line in [table.titles, *table.rows]:
            write_line(line)
