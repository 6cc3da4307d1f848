"""What ``apply`` makes of an object: the declaration merged into what is stored, as kubectl does.

Fields declared are set; fields that the last ``apply`` declared and this one does not are taken
back; every other field stays with whoever set it (``scenario run`` sets a run token, ``scenario
abort`` a state). Lists are replaced whole. The last declaration is kept in an annotation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from reactorsync.resources import ObjectMeta, Resource

LAST_APPLIED: Final = "reactorsync.dev/last-applied-configuration"

Fields = Mapping[str, JsonValue]


def declared_fields(resource: Resource) -> dict[str, JsonValue]:
    """Return spec, labels and annotations as far as the manifest sets them itself."""
    written = resource.model_dump(mode="json", by_alias=True, exclude_unset=True)
    metadata = written["metadata"]
    fields: dict[str, JsonValue] = {"spec": written["spec"]}
    for name in ("labels", "annotations"):
        values = {
            key: value for key, value in metadata.get(name, {}).items() if key != LAST_APPLIED
        }
        if values:
            fields[name] = values
    return fields


def newly(declared: Resource) -> Resource:
    """Return the object to create for a declaration that has no stored counterpart."""
    return _with(declared, declared_fields(declared), declared_fields(declared))


def merged(declared: Resource, stored: Resource) -> Resource:
    """Return ``stored`` with the declaration merged in; equal to ``stored`` if it changes nothing.

    A resource version in the declaration says nothing: merging is safe from whatever version, and
    every status moves it.
    """
    fields = declared_fields(declared)
    current: dict[str, JsonValue] = {
        "spec": stored.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        "labels": dict(stored.metadata.labels),
        "annotations": {
            key: value for key, value in stored.metadata.annotations.items() if key != LAST_APPLIED
        },
    }
    return _with(stored, merge(current, fields, _last_applied(stored)), fields)


def changes(old: Resource, new: Resource) -> bool:
    """Return whether writing ``new`` over ``old`` would change anything."""
    return (
        old.spec != new.spec
        or old.metadata.labels != new.metadata.labels
        or old.metadata.annotations != new.metadata.annotations
    )


def merge(current: Fields, declared: Fields, previous: Fields) -> dict[str, JsonValue]:
    """Merge three ways, recursively through mappings; a declared null takes the field away."""
    result = {
        key: value for key, value in current.items() if key not in previous or key in declared
    }
    for key, value in declared.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merge(_fields(current.get(key)), value, _fields(previous.get(key)))
        else:
            result[key] = value
    return result


def _fields(value: JsonValue) -> Fields:
    return value if isinstance(value, dict) else {}


def _last_applied(stored: Resource) -> Fields:
    try:
        return _fields(json.loads(stored.metadata.annotations.get(LAST_APPLIED, "{}")))
    except ValueError:
        return {}


def _with(base: Resource, fields: Fields, last_applied: Fields) -> Resource:
    kept = json.dumps(last_applied, separators=(",", ":"), sort_keys=True)
    metadata: ObjectMeta = base.metadata.model_copy(
        update={
            "labels": dict(_fields(fields.get("labels"))),
            "annotations": {**_fields(fields.get("annotations")), LAST_APPLIED: kept},
        }
    )
    spec = type(base.spec).model_validate(fields["spec"])
    return base.model_copy(update={"metadata": metadata, "spec": spec})
