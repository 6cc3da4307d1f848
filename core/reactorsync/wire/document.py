"""Keeps the tables of docs/wire-format.md equal to the code.

``python -m reactorsync.wire.document docs/wire-format.md`` rewrites what stands between the markers
``<!-- generated: NAME -->`` and ``<!-- end -->``; the rest of the page is written by people.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from pydantic import BaseModel

from reactorsync.resources.reactor import Site
from reactorsync.signals import SIGNALS
from reactorsync.trips import TripCause
from reactorsync.wire.desired import DesiredFault, DesiredReactor
from reactorsync.wire.events import EVENT_TYPES, Event, Hypothesis
from reactorsync.wire.frame import FRAME_SCHEMA, SCHEMA_FINGERPRINT
from reactorsync.wire.topics import Topics

_BLOCK: Final = re.compile(r"<!-- generated: (?P<name>[a-z-]+) -->\n.*?<!-- end -->", re.DOTALL)


def rewrite(page: str) -> str:
    """Return ``page`` with every generated block as the code has it now.

    Raises:
        KeyError: the page names a block that does not exist.
    """

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- generated: {name} -->\n\n{BLOCKS[name]()}\n\n<!-- end -->"

    return _BLOCK.sub(block, page)


def topics() -> str:
    """Return the topics of an installation with the default settings."""
    rows = []
    for spec in Topics().live(0):
        hours = None if spec.retention_ms is None else spec.retention_ms // 3_600_000
        kept = "compacted" if hours is None else f"{hours} hours"
        rows.append((f"`{spec.name}`", str(spec.partitions), kept))
    return _table(("topic", "partitions", "kept"), rows)


def frame_columns() -> str:
    """Return the columns of a telemetry frame."""
    meaning = {
        "reactor": ("", "Key of the reactor, `namespace/name`; no reactor occurs twice."),
        "trip_cause": ("", "First-out cause while tripped, as below; 0 otherwise."),
    } | {
        signal.name: (
            f"{signal.unit}, {signal.low:g} to {signal.high:g}",
            signal.description,
        )
        for signal in SIGNALS
    }
    return _table(
        ("#", "column", "Arrow type", "unit and range", "meaning"),
        [
            (str(number), f"`{field.name}`", str(field.type), *meaning[field.name])
            for number, field in enumerate(FRAME_SCHEMA)
        ],
    )


def fingerprint() -> str:
    """Return the value of the header ``rs-schema``."""
    return f"`rs-schema: {SCHEMA_FINGERPRINT}`"


def trip_causes() -> str:
    """Return the codes of the column ``trip_cause``."""
    return _table(
        ("code", "cause", "in words"),
        [
            (str(cause.value), f"`{cause.label}`" if cause.label else "", cause.title)
            for cause in TripCause
        ],
    )


def events() -> str:
    """Return every event type with its fields."""
    return "\n\n".join(_event(kind, model) for kind, model in EVENT_TYPES.items())


def fields_of(model: type[BaseModel]) -> str:
    """Return the fields of ``model`` as they stand in JSON."""
    schema = model.model_json_schema(by_alias=True, mode="serialization")
    definitions = cast("Mapping[str, Any]", schema.get("$defs", {}))
    return _table(
        ("field", "type", "meaning"),
        [
            (f"`{name}`", _type(part, definitions), str(part.get("description", "")))
            for name, part in schema["properties"].items()
        ],
    )


def _event(kind: str, model: type[Event]) -> str:
    summary = (model.__doc__ or "").split("\n", 1)[0]
    return f"#### `{kind}`\n\n{summary}\n\n{fields_of(model)}"


def _type(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "$ref" in part:
        return _type(definitions[part["$ref"].rsplit("/", 1)[1]], definitions)
    for combined in ("anyOf", "allOf"):
        if combined in part:
            options = [option for option in part[combined] if option.get("type") != "null"]
            return " or ".join(_type(option, definitions) for option in options)
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    if "const" in part:
        return f"`{part['const']}`"
    if part.get("type") == "array":
        return f"array of {_type(part['items'], definitions)}"
    if part.get("type") == "object":
        return f"object, see {part['title']}"
    bounds = _bounds(part)
    kind = "string (UUID)" if part.get("format") == "uuid" else str(part["type"])
    return f"{kind}, {bounds}" if bounds else kind


def _bounds(part: Mapping[str, Any]) -> str:
    low, high = part.get("minimum"), part.get("maximum")
    texts = []
    if low is not None and high is not None:
        texts.append(f"{low} to {high}")
    elif low is not None:
        texts.append(f"from {low}")
    if "multipleOf" in part:
        texts.append(f"multiple of {part['multipleOf']}")
    return ", ".join(texts)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "topics": topics,
    "frame-columns": frame_columns,
    "fingerprint": fingerprint,
    "trip-causes": trip_causes,
    "desired-reactor": lambda: fields_of(DesiredReactor),
    "desired-fault": lambda: fields_of(DesiredFault),
    "site": lambda: fields_of(Site),
    "events": events,
    "hypothesis": lambda: fields_of(Hypothesis),
}


def main(arguments: list[str]) -> None:
    """Rewrite the pages named on the command line."""
    for argument in arguments:
        path = Path(argument)
        path.write_text(rewrite(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
