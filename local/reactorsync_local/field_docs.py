"""Documentation of manifests' fields, out of the models themselves, as by `kubectl explain`."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

from reactorsync_local.errors import BadInput
from reactorsync_local.kinds import KindInfo, find_kind

Schema = dict[str, object]


@dataclass(frozen=True, slots=True)
class FieldDoc:
    """One field: its name, the JSON type, what is allowed and what it means."""

    name: str
    type: str
    required: bool
    allowed: str
    description: str


@dataclass(frozen=True, slots=True)
class ObjectDoc:
    """What lies at a path: the field itself, and the fields below it."""

    kind: KindInfo
    path: str
    field: FieldDoc
    fields: tuple[FieldDoc, ...]


def find_field(text: str) -> ObjectDoc | None:
    """Return the documentation of ``reactor.spec.telemetry``; ``None`` if it names no kind.

    Raises:
        BadInput: the kind has no such field.
    """
    first, *steps = text.strip(".").split(".")
    kind = find_kind(first)
    if kind is None:
        return None
    root = _schema(kind)
    schema: Schema = root
    field = FieldDoc(kind.model.__name__, "object", False, "", _text(root.get("description")))
    walked = first
    for step in steps:
        below = _properties(root, schema)
        if step not in below:
            close = get_close_matches(step, below, n=1)
            hint = f"did you mean {walked}.{close[0]}?" if close else None
            raise BadInput(
                f"{walked} has no field {step!r}; it has {', '.join(below) or 'none'}", hint=hint
            )
        field = _field(root, step, below[step], required=step in _required(root, schema))
        schema, walked = below[step], f"{walked}.{step}"
    fields = tuple(
        _field(root, name, below, required=name in _required(root, schema))
        for name, below in _properties(root, schema).items()
    )
    return ObjectDoc(kind, walked, field, fields)


@cache
def _schema(kind: KindInfo) -> Schema:
    return kind.model.model_json_schema(by_alias=True, mode="validation")


def _resolve(root: Schema, schema: Schema) -> Schema:
    """Follow references, lists and optionals down to what a field holds."""
    while True:
        reference = schema.get("$ref")
        if isinstance(reference, str):
            definitions = root["$defs"]
            assert isinstance(definitions, dict)  # noqa: S101 - so Pydantic writes them
            schema = definitions[reference.rpartition("/")[2]]
            continue
        options = [one for one in _list(schema, "anyOf") if one.get("type") != "null"]
        if len(options) == 1:
            schema = options[0]
            continue
        items = schema.get("items")
        if isinstance(items, dict):
            schema = items
            continue
        return schema


def _list(schema: Schema, name: str) -> list[Schema]:
    found = schema.get(name)
    return found if isinstance(found, list) else []


def _properties(root: Schema, schema: Schema) -> dict[str, Schema]:
    properties = _resolve(root, schema).get("properties")
    if not isinstance(properties, dict):
        return {}
    return dict(properties)


def _required(root: Schema, schema: Schema) -> list[str]:
    required = _resolve(root, schema).get("required")
    return required if isinstance(required, list) else []


def _field(root: Schema, name: str, schema: Schema, *, required: bool) -> FieldDoc:
    description = _text(schema.get("description")) or _text(
        _resolve(root, schema).get("description")
    )
    return FieldDoc(
        name=name,
        type=_type(root, schema),
        required=required,
        allowed=_allowed(root, schema),
        description=description,
    )


def _type(root: Schema, schema: Schema) -> str:
    options = [one for one in _list(schema, "anyOf") if one.get("type") != "null"]
    if len(options) > 1:
        return " or ".join(_type(root, option) for option in options)
    inner = options[0] if options else schema
    if "$ref" in inner:
        return _type(root, _resolve(root, inner))
    if inner.get("type") == "array":
        items = inner.get("items")
        return f"[]{_type(root, items)}" if isinstance(items, dict) else "[]any"
    if inner.get("type") == "object" and isinstance(inner.get("additionalProperties"), dict):
        return "map[string]string"
    if inner.get("format") == "date-time":
        return "time"
    if inner.get("type") is None and ("enum" in inner or "const" in inner):
        return "string"
    return _text(inner.get("type")) or "object"


def _allowed(root: Schema, schema: Schema) -> str:
    own = next((one for one in _list(schema, "anyOf") if one.get("type") != "null"), schema)
    is_list = own.get("type") == "array"
    inner = own if is_list else _resolve(root, own)
    words = []
    if isinstance(values := _resolve(root, own).get("enum"), list):
        words.append("one of " + ", ".join(str(value) for value in values))
    if "const" in inner:
        words.append(f"always {inner['const']}")
    low, high = inner.get("minimum"), inner.get("maximum")
    if low is not None or high is not None:
        words.append(_range(low, high))
    if (step := inner.get("multipleOf")) is not None:
        words.append(f"multiple of {step}")
    if (most := inner.get("maxItems")) is not None:
        words.append(f"{inner.get('minItems', 0)} to {most} entries")
    if (most := inner.get("maxLength")) is not None:
        words.append(f"at most {most} characters")
    default = schema.get("default")
    if default not in (None, {}, [], ""):
        words.append(f"default {default}")
    return "; ".join(words)


def _range(low: object, high: object) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def _text(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""
