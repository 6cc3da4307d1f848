"""The catalogues and the fields of manifests, for ``explain``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from textwrap import wrap

from rich.text import Text

from reactorsync.designs import DESIGNS, Design, DesignInfo
from reactorsync.faults import FAULTS, FaultInfo
from reactorsync.signals import LIMITS, SIGNALS, Limits, Signal, signals_of
from reactorsync_local.field_docs import FieldDoc, ObjectDoc
from reactorsync_local.rendering.palette import MUTED, TITLE
from reactorsync_local.rendering.readings import unit_text, value_text
from reactorsync_local.rendering.table import Column, TableLines, render_table

Lines = list[Text]

_WIDTH = 96


def prose(text: str, *, indent: str = "") -> Lines:
    """Return text wrapped to be read; its own line breaks stay."""
    lines: Lines = []
    for paragraph in text.split("\n"):
        wrapped = wrap(paragraph, _WIDTH, initial_indent=indent, subsequent_indent=indent)
        lines += [Text(line) for line in wrapped or [""]]
    return lines


def fault_list() -> TableLines:
    """Return the fault catalogue as a table."""
    columns: list[Column[FaultInfo]] = [
        Column("FAULT", lambda info: info.kind.value),
        Column("ACTS ON", lambda info: "sensor" if info.acts_on_sensor else "process"),
        Column("DESIGNS", lambda info: ",".join(sorted(design.value for design in info.designs))),
        Column("AT 100 % SEVERITY", lambda info: info.full_severity),
    ]
    return render_table(columns, FAULTS.values())


def fault_text(info: FaultInfo) -> Lines:
    """Return a fault of the catalogue in prose, with a stage to copy."""
    lines = [Text.assemble((info.kind.value, TITLE), f"  {info.title}"), Text()]
    lines += prose(info.description)
    lines += [Text(), *_pairs([("at 100 % severity", info.full_severity)])]
    lines += _pairs(
        [
            ("acts on", "one instrument" if info.acts_on_sensor else "the physics of the plant"),
            ("look first at", info.primary_signal or "the instrument that the stage names"),
            ("designs", ", ".join(sorted(design.value for design in info.designs))),
        ]
    )
    sensor = "  sensor: {signal: primary_pressure_mpa}\n" if info.acts_on_sensor else ""
    example = (
        f"- name: example\n  fault: {info.kind.value}\n{sensor}"
        "  severityPercent: 50\n  shape: Ramp\n  rampSeconds: 60\n  durationSeconds: 600"
    )
    lines += [Text(), Text("A stage with it:", style=MUTED)]
    return lines + [Text(f"  {line}") for line in example.split("\n")]


def signal_list() -> TableLines:
    """Return the signal registry as a table."""
    columns: list[Column[Signal]] = [
        Column("SIGNAL", lambda signal: signal.name),
        Column("UNIT", unit_text),
        Column("RANGE", lambda signal: f"{signal.low:g} to {signal.high:g}"),
        *(Column(f"NORMAL {design.value.upper()}", _normal_in(design)) for design in Design),
        Column("TITLE", lambda signal: signal.title),
    ]
    return render_table(columns, SIGNALS)


def signal_text(signal: Signal) -> Lines:
    """Return a signal of the registry with its limits in every design."""
    lines = [Text.assemble((signal.name, TITLE), f"  {signal.title}"), Text()]
    lines += [*prose(signal.description), Text()]
    unit = unit_text(signal)
    lines += _pairs(
        [("unit", unit), ("instrument range", f"{signal.low:g} to {signal.high:g} {unit}")]
    )
    for design in Design:
        limits = LIMITS[design].get(signal.name)
        if limits is not None:
            lines += [Text(), Text(f"In a {DESIGNS[design].title} ({design.value}):")]
            lines += _limits(signal, limits)
    return lines


def design_list() -> TableLines:
    """Return the designs as a table."""
    columns: list[Column[DesignInfo]] = [
        Column("DESIGN", lambda info: info.design.value),
        Column("TITLE", lambda info: info.title),
        Column("THERMAL MW", lambda info: f"{info.rated_thermal_mw:g}"),
        Column("ELECTRIC MW", lambda info: f"{info.rated_electrical_mw:g}"),
        Column("SIGNALS", lambda info: str(len(signals_of(info.design)))),
    ]
    return render_table(columns, DESIGNS.values())


def design_text(info: DesignInfo) -> Lines:
    """Return a design in prose."""
    lines = [Text.assemble((info.design.value, TITLE), f"  {info.title}"), Text()]
    lines += [*prose(info.description), Text()]
    faults = [kind.value for kind, fault in FAULTS.items() if info.design in fault.designs]
    return lines + _pairs(
        [
            ("rated thermal power", f"{info.rated_thermal_mw:g} MW"),
            ("rated output", f"{info.rated_electrical_mw:g} MW"),
            ("signals", ", ".join(signal.name for signal in signals_of(info.design))),
            ("faults", ", ".join(faults)),
        ]
    )


def field_text(doc: ObjectDoc) -> Lines:
    """Return the documentation of a field and of the fields below it."""
    field = doc.field
    lines = [
        Text.assemble((doc.path, TITLE), (f"  <{field.type}>{_required(field)}", MUTED)),
        Text(),
    ]
    lines += prose(field.description)
    if field.allowed:
        lines += prose(f"Allowed: {field.allowed}.")
    if doc.fields:
        lines += [Text(), Text("FIELDS", style=TITLE)]
    for below in doc.fields:
        lines.append(
            Text.assemble(f"  {below.name}", (f"  <{below.type}>{_required(below)}", MUTED))
        )
        lines += prose(below.description, indent="      ")
        if below.allowed:
            lines += [
                Text(line.plain, style=MUTED) for line in prose(below.allowed, indent="      ")
            ]
    return lines


def _required(field: FieldDoc) -> str:
    return " required" if field.required else ""


def _pairs(pairs: Iterable[tuple[str, str]]) -> Lines:
    lines: Lines = []
    for name, value in pairs:
        first, *rest = wrap(value, _WIDTH - 22) or [""]
        lines.append(Text.assemble((f"{name:<22}", MUTED), first))
        lines += [Text(" " * 22 + line) for line in rest]
    return lines


def _normal(signal: Signal, limits: Limits) -> str:
    return f"{value_text(signal, limits.normal_low)} to {value_text(signal, limits.normal_high)}"


def _normal_in(design: Design) -> Callable[[Signal], str]:
    def cell(signal: Signal) -> str:
        limits = LIMITS[design].get(signal.name)
        return _normal(signal, limits) if limits is not None else ""

    return cell


def _limits(signal: Signal, limits: Limits) -> Lines:
    unit = unit_text(signal)
    pairs = [("  normal", f"{_normal(signal, limits)} {unit}")]
    for name, value in (
        ("  alarm low low", limits.low_low),
        ("  alarm low", limits.low),
        ("  alarm high", limits.high),
        ("  alarm high high", limits.high_high),
    ):
        if value is not None:
            pairs.append((name, f"{value_text(signal, value)} {unit}"))
    return _pairs(pairs)
