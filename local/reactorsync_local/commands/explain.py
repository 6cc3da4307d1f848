"""``explain``: a scenario in prose, a field of a manifest, an entry of a catalogue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final
from uuid import NAMESPACE_URL, uuid5

import typer
from rich.text import Text

from reactorsync.designs import DESIGNS, Design
from reactorsync.faults import FAULTS, FaultKind
from reactorsync.planning.explain import explain as scenario_prose
from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.signals import SIGNAL_INDEX, SIGNALS
from reactorsync.wire.keys import reactor_key
from reactorsync_local.arguments import NamespaceOption, ServerOption, run
from reactorsync_local.client import ApiClient, Selection
from reactorsync_local.console import tell, write_line
from reactorsync_local.errors import BadInput, ServerUnreachable
from reactorsync_local.field_docs import find_field
from reactorsync_local.kinds import SCENARIOS
from reactorsync_local.manifests import STANDARD_INPUT, read_manifests
from reactorsync_local.rendering.catalogue import (
    design_list,
    design_text,
    fault_list,
    fault_text,
    field_text,
    prose,
    signal_list,
    signal_text,
)
from reactorsync_local.rendering.table import TableLines
from reactorsync_local.server import find_server

Lines = Sequence[Text]


def explain(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT...",
            help="A scenario's name or manifest; a field as `reactor.spec.telemetry`; "
            "`faults`, `signals` or `designs` for what there is, or the name of one as `PumpTrip`.",
            show_default=False,
        ),
    ],
    namespace: NamespaceOption = "default",
    server: ServerOption = None,
) -> None:
    """Explain a scenario with its targets, a field, a fault, a signal or a design."""
    first, *rest = what
    if first in _CATALOGUES:
        for line in _catalogue_entry(first, rest):
            write_line(line)
        return
    if rest:
        raise typer.BadParameter("explain one thing at a time")
    if (catalogue := _catalogue_of(first)) is not None:
        for line in catalogue.one(first):
            write_line(line)
        return
    if first == STANDARD_INPUT or Path(first).exists() or first.endswith((".yaml", ".yml")):
        run(_explain_files(first, server))
    elif (doc := find_field(first)) is not None:
        for line in field_text(doc):
            write_line(line)
    else:
        run(_explain_stored(namespace, first, server))


def _catalogue_of(name: str) -> _Catalogue | None:
    """Return the catalogue that has this entry: names are unique, and no scenario can have one."""
    return next((one for one in (_FAULTS, _SIGNALS, _DESIGNS) if name in one.names), None)


def _guess(name: str) -> str | None:
    """Return what may have been meant by what is no name of anything."""
    known = {one.lower(): one for each in (_FAULTS, _SIGNALS, _DESIGNS) for one in each.names}
    close = get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.8)
    return f"did you mean {known[close[0]]}?" if close else None


def _catalogue_entry(catalogue: str, names: Sequence[str]) -> Lines:
    entries = _CATALOGUES[catalogue]
    if not names:
        table = entries.everything()
        return [table.titles, *table.rows]
    lines: list[Text] = []
    for name in names:
        found = next((known for known in entries.names if known.lower() == name.lower()), None)
        if found is None:
            close = get_close_matches(name, entries.names, n=1, cutoff=0.4)
            hint = f"did you mean {close[0]}?" if close else None
            raise BadInput(
                f"no {entries.noun} {name!r}",
                hint=hint or f"`reactorsync explain {entries.noun}s` lists them",
            )
        lines += [Text()] if lines else []
        lines += entries.one(found)
    return lines


async def _explain_stored(namespace: str, name: str, server: str | None) -> None:
    async with ApiClient(find_server(server)) as client:
        scenario = await client.find(SCENARIOS, namespace, name)
        if not isinstance(scenario, AnomalyScenario):
            raise BadInput(
                f"nothing to explain: {name!r} is no scenario in namespace {namespace}, no file, "
                "field, fault, signal or design",
                hint=_guess(name) or "`reactorsync explain --help` lists what can be explained",
            )
        _print(scenario, await client.reactors(Selection(namespace=namespace)))


async def _explain_files(name: str, server: str | None) -> None:
    manifests = [manifest.resource for manifest in read_manifests([name])]
    scenarios = [item for item in manifests if isinstance(item, AnomalyScenario)]
    if not scenarios:
        raise BadInput(
            f"{name} declares no scenario", hint="fields: `reactorsync explain reactor.spec`"
        )
    declared = [item for item in manifests if isinstance(item, Reactor)]
    stored: Sequence[Reactor] = ()
    try:
        async with ApiClient(find_server(server)) as client:
            stored = await client.reactors(Selection())
    except ServerUnreachable as error:
        tell(f"No server to ask ({error.url}): explained without its fleet.", style="dim")
    fleet = {_key(one): one for one in [*map(_as_if_stored, declared), *stored]}
    for index, scenario in enumerate(scenarios):
        if index:
            write_line()
        namespace = scenario.metadata.namespace
        _print(scenario, [one for one in fleet.values() if one.metadata.namespace == namespace])


def _as_if_stored(reactor: Reactor) -> Reactor:
    """Give a reactor that is only declared an identity: the choice of targets goes by it."""
    meta = reactor.metadata
    identity = {
        "uid": uuid5(NAMESPACE_URL, _key(reactor)),
        "creation_timestamp": datetime.now(UTC),
    }
    return reactor.model_copy(update={"metadata": meta.model_copy(update=identity)})


def _key(reactor: Reactor) -> str:
    return reactor_key(reactor.metadata.namespace, reactor.metadata.name)


def _print(scenario: AnomalyScenario, reactors: Sequence[Reactor]) -> None:
    for line in prose(scenario_prose(scenario, reactors, datetime.now(UTC))):
        write_line(line)


class _Catalogue:
    """How one catalogue is listed, and one entry of it told."""

    def __init__(
        self,
        noun: str,
        names: Sequence[str],
        everything: Callable[[], TableLines],
        one: Callable[[str], list[Text]],
    ) -> None:
        self.noun = noun
        self.names = names
        self.everything = everything
        self.one = one


_FAULTS: Final = _Catalogue(
    "fault",
    [kind.value for kind in FAULTS],
    fault_list,
    lambda name: fault_text(FAULTS[FaultKind(name)]),
)
_SIGNALS: Final = _Catalogue(
    "signal",
    list(SIGNAL_INDEX),
    signal_list,
    lambda name: signal_text(SIGNALS[SIGNAL_INDEX[name]]),
)
_DESIGNS: Final = _Catalogue(
    "design",
    [design.value for design in DESIGNS],
    design_list,
    lambda name: design_text(DESIGNS[Design(name)]),
)

_CATALOGUES: Final = {
    "fault": _FAULTS,
    "faults": _FAULTS,
    "signal": _SIGNALS,
    "signals": _SIGNALS,
    "design": _DESIGNS,
    "designs": _DESIGNS,
}
