"""What an API server does with an object of a CRD: defaults, schema, lists, CEL rules.

``tests/core/resources`` holds the CRDs to the models by it.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import cel
from jsonschema import Draft202012Validator

Json = Any


def refusals(schema: Json, new: Json, old: Json | None = None) -> list[str]:
    """Return why an API server would refuse to create ``new``, or to put it in place of ``old``."""
    new = defaulted(schema, new)
    problems = [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(schema).iter_errors(new)
    ]
    if problems:
        return problems
    old = None if old is None else defaulted(schema, old)
    return [*_lists(schema, new), *_broken_rules(schema, new, old)]


def defaulted(schema: Json, value: Json) -> Json:
    """Return ``value`` with the defaults of ``schema``, outer ones first."""
    if isinstance(value, dict) and "properties" in schema:
        missing = {
            name: part["default"]
            for name, part in schema["properties"].items()
            if "default" in part and name not in value
        }
        return {
            name: defaulted(schema["properties"].get(name, {}), part)
            for name, part in (value | missing).items()
        }
    if isinstance(value, list):
        return [defaulted(schema.get("items", {}), part) for part in value]
    return value


def _children(schema: Json, value: Json) -> Iterator[tuple[str, Json, Json]]:
    if isinstance(value, dict):
        for name, part in schema.get("properties", {}).items():
            if name in value:
                yield f".{name}", part, value[name]
    if isinstance(value, list):
        for index, part in enumerate(value):
            yield f"[{index}]", schema["items"], part


def _lists(schema: Json, value: Json) -> Iterator[str]:
    kind = schema.get("x-kubernetes-list-type")
    if kind in ("set", "map"):
        keys = schema.get("x-kubernetes-list-map-keys", [])
        names = [str([part[key] for key in keys]) if keys else part for part in value]
        if len(set(names)) != len(names):
            yield f"duplicate in {names}"
    for _, part_schema, part in _children(schema, value):
        yield from _lists(part_schema, part)


def asked(schema: Json, new: Json, old: Json | None = None) -> list[str]:
    """Return the messages of all rules that are asked about ``new`` in place of ``old``."""
    old = None if old is None else defaulted(schema, old)
    return [rule["message"] for rule, _, _ in _rules(schema, defaulted(schema, new), old)]


def _broken_rules(schema: Json, value: Json, old: Json | None) -> Iterator[str]:
    for rule, part, part_old in _rules(schema, value, old):
        if not _evaluate(rule["rule"], part, part_old):
            yield rule["message"]


def _rules(schema: Json, value: Json, old: Json | None) -> Iterator[tuple[Json, Json, Json | None]]:
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" not in rule["rule"] or old is not None:
            is_time = schema.get("format") == "date-time"
            yield rule, datetime.fromisoformat(value) if is_time else value, old
    for place, part_schema, part in _children(schema, value):
        # Inside a list there is no old value to compare with, unless it has keys; no rule needs it.
        name = place.removeprefix(".")
        part_old = old.get(name) if isinstance(old, dict) else None
        yield from _rules(part_schema, part, part_old)


def _evaluate(rule: str, value: Json, old: Json | None) -> bool:
    context = cel.Context()
    context.add_variable("self", value)
    context.add_variable("oldSelf", old)
    return bool(cel.evaluate(rule, context))
