"""``scenario``: run, abort, list."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from reactorsync.resources import AnomalyScenario, condition_of
from reactorsync.resources.meta import ConditionStatus
from reactorsync.resources.scenario import ScenarioMode, ScenarioState
from reactorsync.resources.scenario_status import RunPhase
from reactorsync_local.arguments import NamespaceOption, ServerOption, run
from reactorsync_local.client import ApiClient, Selection
from reactorsync_local.console import tell, terminal_width, write_line
from reactorsync_local.errors import CommandError
from reactorsync_local.kinds import SCENARIOS, full_name
from reactorsync_local.rendering.columns import refusal_of, resource_table
from reactorsync_local.rendering.times import clock
from reactorsync_local.server import find_server

scenario_app = typer.Typer(help="Run, abort and list scenarios.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the scenario.")]

_POLL_SECONDS: Final = 1.0
ANSWER_SECONDS = 5.0
"""How long to wait for what the operator makes of a request."""
_ANSWER_POLL_SECONDS: Final = 0.2
_OUTCOME_SECONDS: Final = 60.0
"""How long after its end a run may take to be judged: the last targets still report."""


@scenario_app.command("run")
def run_scenario(
    name: NameArgument,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the run to its end; exit 1 unless it succeeded.")
    ] = False,
    namespace: NamespaceOption = "default",
    server: ServerOption = None,
) -> None:
    """Ask for a new run of a scenario, also of an aborted or completed one."""
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
        write_line(f"{full_name(started)} run requested")
        is_dry = started.spec.mode is ScenarioMode.DRY_RUN
        if is_dry:
            tell("It is a dry run: targets are resolved, nothing is injected.")
        if wait and not is_dry:
            await _follow(client, started)
        else:
            await _tell_answer(client, started)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the operator made of a request for a run."""

    text: str
    refused: bool = False


def answer_of(scenario: AnomalyScenario) -> Answer | None:
    """Return what became of the run asked for last, ``None`` before the operator has looked."""
    status = scenario.status
    if status.observed_generation != scenario.metadata.generation:
        return None
    if refusal := _refusal(scenario):
        return Answer(f"no run begins: {refusal}", refused=True)
    if scenario.spec.mode is ScenarioMode.DRY_RUN:
        return Answer(status.summary)
    if status.run is not None and status.run.token == scenario.spec.run_token:
        told = (status.summary or status.run.phase.value, _why_not(scenario, "TargetsResolved"))
        return Answer("; ".join(filter(None, told)))
    return Answer(f"no run has begun: {_why_not(scenario, 'Ready') or status.summary}")


def _why_not(scenario: AnomalyScenario, type_: str) -> str:
    """Return reason and message of a condition that does not hold, nothing of one that may."""
    condition = condition_of(scenario.status.conditions, type_)
    if condition is None or condition.status is not ConditionStatus.FALSE:
        return ""
    return ": ".join(filter(None, (condition.reason, condition.message)))


async def _tell_answer(client: ApiClient, asked: AnomalyScenario) -> None:
    """Say what became of a request, or that nobody has said so in time."""
    meta = asked.metadata
    give_up = time.monotonic() + ANSWER_SECONDS
    while True:
        found = await client.get(SCENARIOS, meta.namespace, meta.name)
        assert isinstance(found, AnomalyScenario)  # noqa: S101 - the kind asked for
        if (answer := answer_of(found)) is not None:
            if answer.refused:
                raise _with_hint(answer.text, meta.namespace, meta.name)
            tell(answer.text)
            return
        if time.monotonic() > give_up:
            tell("no operator has taken it up yet: is one running? `reactorsync doctor` looks")
            return
        await asyncio.sleep(_ANSWER_POLL_SECONDS)


def _with_hint(text: str, namespace: str, name: str) -> CommandError:
    return CommandError(text, hint=f"see `reactorsync describe anom {name} -n {namespace}`")


async def _follow(client: ApiClient, started: AnomalyScenario) -> None:
    """Print where the run stands whenever that changes, until it has ended."""
    meta = started.metadata
    last = ""
    judged_by: float | None = None
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
                now = time.monotonic()
                judged_by = judged_by or now + _OUTCOME_SECONDS
                if is_judged(found) or now > judged_by:
                    run_name = f"{full_name(found)} run {current.number}"
                    write_line(f"{run_name} {current.phase.value.lower()}")
                    if failure := failure_of(found):
                        told = f"run {current.number} did not succeed: {failure}"
                        raise _with_hint(told, meta.namespace, meta.name)
                    return
        elif refusal := _refusal(found):
            raise _with_hint(f"no run begins: {refusal}", meta.namespace, meta.name)
        await asyncio.sleep(_POLL_SECONDS)


def _refusal(scenario: AnomalyScenario) -> str:
    """Return why no run may begin, as the operator says of the spec as it is now; else empty."""
    refusal = refusal_of(scenario)
    if refusal is None or scenario.status.observed_generation != scenario.metadata.generation:
        return ""
    return ": ".join(filter(None, (refusal.reason, refusal.message)))


def is_judged(scenario: AnomalyScenario) -> bool:
    """Return whether it is known what became of a run that is over."""
    run = scenario.status.run
    if scenario.spec.mode is ScenarioMode.DRY_RUN or run is None or run.phase is RunPhase.ABORTED:
        return True
    outcome = condition_of(scenario.status.conditions, "Succeeded")
    return outcome is not None and (
        outcome.status is not ConditionStatus.UNKNOWN or outcome.reason == "NotReported"
    )


def failure_of(scenario: AnomalyScenario) -> str:
    """Return why a run that is over did not succeed, empty if it did or was a dry one."""
    run = scenario.status.run
    outcome = condition_of(scenario.status.conditions, "Succeeded")
    if run is not None and run.phase is RunPhase.ABORTED:
        why = outcome.message if outcome is not None else ""
        return ": ".join(filter(None, ("it was aborted", why)))
    if scenario.spec.mode is ScenarioMode.DRY_RUN:
        return ""
    if outcome is None:
        return "nobody has said what became of it"
    if outcome.status is ConditionStatus.TRUE:
        return ""
    return ": ".join(filter(None, (outcome.reason, outcome.message)))


async def _abort(namespace: str, name: str, server: str | None) -> None:
    async with ApiClient(find_server(server)) as client:
        before = await client.get(SCENARIOS, namespace, name)
        assert isinstance(before, AnomalyScenario)  # noqa: S101 - the kind asked for
        if before.spec.state is ScenarioState.ABORTED:
            write_line(f"{full_name(before)} was aborted before: nothing changed")
            return
        aborted = await client.abort(namespace, name)
        write_line(f"{full_name(aborted)} aborted")


async def _list(namespace: str | None, server: str | None) -> None:
    async with ApiClient(find_server(server)) as client:
        scenarios = await client.scenarios(Selection(namespace=namespace))
        if not scenarios:
            tell("No scenarios; `reactorsync apply -f samples/scenarios` declares some.")
            return
        table = resource_table(
            SCENARIOS,
            scenarios,
            datetime.now(UTC),
            namespaces=namespace is None,
            wide=False,
            width=terminal_width(),
        )
        for line in [table.titles, *table.rows]:
            write_line(line)
