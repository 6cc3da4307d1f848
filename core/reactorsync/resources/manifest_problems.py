"""Why a manifest is refused, said so that its author can mend it: where, and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from reactorsync.resources.crd import crd, structural_schema
from reactorsync.resources.meta import (
    LABEL_KEY_PATTERN,
    LABEL_VALUE_PATTERN,
    NAME_PATTERN,
    Kind,
    ObjectMeta,
)
from reactorsync.resources.scenario import HTTP_URL_PATTERN
from reactorsync.resources.yaml_nodes import Node

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]

_SPECIAL: Final[Mapping[Path, str]] = {
    ("spec", "targets", "count"): "must be from 1 to 100000, or a share such as '25%'"
}
_TYPES: Final = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
}
_WORDS: Final = {
    NAME_PATTERN: "lower-case letters, digits and '-', beginning and ending with a letter or digit",
    LABEL_KEY_PATTERN: (
        "letters, digits, '-', '_' and '.', at most 63 characters, after a domain and '/' if need "
        "be"
    ),
    LABEL_VALUE_PATTERN: (
        "letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
    ),
    r"^[A-Z]{2}$": "two capital letters",
    HTTP_URL_PATTERN: "an address such as https://host/path, without a user or password in it",
}
"""What patterns mean, for people."""

_TIME: Final = "a time such as 2026-01-31T12:00:00Z"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a manifest.

    ``field`` is a dotted path, ``spec.stages[0].fault``, empty when the text as a whole is meant;
    ``line`` counts from 1; ``message`` says what is allowed.
    """

    source: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}"
        return ": ".join(part for part in (place, self.field, self.message) if part)


def dotted(path: Iterable[str | int]) -> str:
    """Return a path as kubectl writes it."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return which of ``known`` was probably meant; case and underscores do not count."""
    folded = {_fold(one): one for one in known}
    matches = difflib.get_close_matches(_fold(name), folded, n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean `x`?``, or nothing."""
    match = nearest(name, known)
    return f"; did you mean `{match}`?" if match else ""


def explain(error: ValidationError, kind: Kind, node: Node) -> Iterator[tuple[Path, int, str]]:
    """Yield path, line and message of each thing that is wrong in ``node``, once per place."""
    seen: set[Path] = set()
    places = [(item, *_place(item["loc"], kind)) for item in error.errors(include_url=False)]
    misspelt = {
        (*path[:-1], nearest(str(path[-1]), schema.get("properties", {})))
        for item, path, schema in places
        if item["type"] == "extra_forbidden"
    }
    for item, path, schema in places:
        if path in seen or (item["type"] == "missing" and path in misspelt):
            continue
        seen.add(path)
        line, found = _find(node, path)
        yield path, line, _SPECIAL.get(path) or _message(item, schema, found)


@cache
def _schema(kind: Kind) -> Schema:
    schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    metadata = structural_schema(ObjectMeta)
    return schema | {"properties": schema["properties"] | {"metadata": metadata}}  # type: ignore[no-any-return]


def _place(loc: Sequence[str | int], kind: Kind) -> tuple[Path, Schema]:
    """Return the part of Pydantic's location that is a field, and that field's schema.

    A field that does not exist is kept, with the schema of what it stands in.
    """
    schema = _schema(kind)
    path: list[str | int] = []
    for part in loc:
        inner: Schema | None
        if isinstance(part, int):
            inner = schema.get("items")
        else:
            inner = schema.get("properties", {}).get(part, schema.get("additionalProperties"))
        if inner is None:
            if isinstance(part, str) and "properties" in schema:
                path.append(part)
            break
        path.append(part)
        schema = inner
    return tuple(path), schema


def _find(node: Node, path: Path) -> tuple[int, Node | None]:
    """Return the line of the last part of ``path`` that exists, and the node if all of it does."""
    line = node.line
    current: Node | None = node
    for part in path:
        assert current is not None  # noqa: S101 - the loop ends where nothing follows
        child = current.child(part)
        if child is None:
            return line, None
        line, current = current.line_of(part), child
    return line, current


def _message(item: ErrorDetails, schema: Schema, found: Node | None) -> str:
    kind, context = item["type"], item.get("ctx", {})
    if kind == "missing":
        return "must be set"
    if kind == "extra_forbidden":
        name = str(item["loc"][-1])
        known = schema.get("properties", {})
        allowed = did_you_mean(name, known) or f": known are {', '.join(known)}"
        return f"is no field here{allowed}"
    if found is not None and found.value is None:
        return "must not be empty"
    if "enum" in schema:
        return _enumeration(schema["enum"], found)
    if kind == "literal_error":
        return f"must be {context['expected']}{_instead(found)}"
    if kind == "value_error":
        return str(context.get("error", item["msg"]))
    if schema.get("format") == "date-time":
        return f"must be {_TIME}{_instead(found)}"
    bound = _bound(kind, context, found)
    if bound is not None:
        return bound
    wanted = _TYPES.get(schema.get("type", ""))
    if wanted is None:
        return item["msg"]
    quoted = f': write "{found.value}"' if found is not None and _is_number(found.value) else ""
    return f"must be {wanted}{_instead(found)}{quoted if wanted == 'text' else ''}"


def _enumeration(allowed: Sequence[str], found: Node | None) -> str:
    words = f"must be one of {', '.join(allowed)}" if len(allowed) > 1 else f"must be {allowed[0]}"
    if found is not None and isinstance(found.value, str):
        return f"{words}, not '{found.value}'{did_you_mean(found.value, allowed)}"
    return f"{words}{_instead(found)}"


def _bound(kind: str, context: Mapping[str, Any], found: Node | None) -> str | None:
    value = None if found is None else found.value
    match kind:
        case "greater_than_equal":
            return f"must be at least {context['ge']}, not {value}"
        case "less_than_equal":
            return f"must be at most {context['le']}, not {value}"
        case "multiple_of":
            return f"must be a multiple of {context['multiple_of']}, not {value}"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            length = len(value) if isinstance(value, str) else 0
            return f"must be at most {context['max_length']} characters long, has {length}"
        case "string_pattern_mismatch":
            pattern = context["pattern"]
            return f"must be {_WORDS.get(pattern, f'text that matches {pattern}')}, not '{value}'"
        case "too_short":
            return f"must hold at least {context['min_length']} {_entries(context['min_length'])}"
        case "too_long":
            return f"must hold at most {context['max_length']} {_entries(context['max_length'])}"
    return None


def _entries(count: int) -> str:
    return "entry" if count == 1 else "entries"


def _instead(found: Node | None) -> str:
    """Return what was found in the place of something else."""
    if found is None:
        return ""
    if found.note is not None:
        return f": {found.note}"
    match found.value:
        case bool(flag):
            return f", not {str(flag).lower()}"
        case int(number) | float(number):
            return f", not the number {number}"
        case str(text):
            return f", not the text '{text}'"
        case dict():
            return ", not a mapping"
        case list():
            return ", not a list"
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fold(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
