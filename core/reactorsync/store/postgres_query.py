"""Resources as SQL: how a row becomes the JSON of a resource, and selectors become conditions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import ARRAY, ColumnElement, Text, and_, cast, func, literal, literal_column, not_
from sqlalchemy.dialects.postgresql import JSON

from reactorsync.db.models import ResourceRow
from reactorsync.resources import API_VERSION, FieldSelector, LabelSelector
from reactorsync.resources.selector import LabelRequirement, SelectorOperator
from reactorsync.store.port import R
from reactorsync.store.reading import read_all, unreadable

DOCUMENT_SQL: Final = f"""json_build_object(
    'apiVersion', '{API_VERSION}', 'kind', resource.kind,
    'metadata', json_build_object(
        'name', resource.name, 'namespace', resource.namespace,
        'labels', resource.labels, 'annotations', resource.annotations,
        'uid', resource.uid, 'generation', resource.generation,
        'resourceVersion', resource.resource_version::text,
        'creationTimestamp', resource.created_at, 'deletionTimestamp', resource.deleted_at),
    'spec', resource.spec, 'status', resource.status)"""
"""A row of ``resource`` as the JSON of the resource, so that Pydantic parses it in one go."""

document: Final = literal_column(DOCUMENT_SQL, JSON)

_COLUMNS: Final[dict[str, ColumnElement[Any]]] = {
    "spec": literal_column("resource.spec", JSON),
    "status": literal_column("resource.status", JSON),
}


def parse_document(kind: type[R], document: str) -> R:
    """Return the resource that a document is of. Raises :class:`Unreadable`."""
    try:
        return kind.model_validate_json(document)
    except ValidationError as error:
        raise unreadable(kind, document_name(document), error) from error


def document_name(document: str) -> str:
    """Return ``namespace/name`` of a document, whatever else is in it."""
    metadata = json.loads(document)["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}"


def parse_documents(kind: type[R], documents: Sequence[str]) -> list[R | None]:
    """Return the resources that documents are of, ``None`` for each that cannot be read."""
    return read_all(kind, documents, parse_document)


def matches_labels(selector: LabelSelector) -> ColumnElement[bool]:
    """Return the condition that is true where ``selector.matches`` is."""
    return and_(literal(value=True), *_label_conditions(selector))


def _label_conditions(selector: LabelSelector) -> Iterator[ColumnElement[bool]]:
    if selector.match_labels:
        yield ResourceRow.labels.contains(selector.match_labels)
    for requirement in selector.match_expressions:
        yield _meets(requirement)


def _meets(requirement: LabelRequirement) -> ColumnElement[bool]:
    exists: ColumnElement[bool] = ResourceRow.labels.has_key(requirement.key)
    value = ResourceRow.labels[requirement.key].astext
    is_one_of = func.coalesce(value == func.any(cast(requirement.values, ARRAY(Text))), False)
    match requirement.operator:
        case SelectorOperator.IN:
            return is_one_of
        case SelectorOperator.NOT_IN:
            return not_(is_one_of)
        case SelectorOperator.EXISTS:
            return exists
        case SelectorOperator.DOES_NOT_EXIST:
            return not_(exists)


def matches_fields(selector: FieldSelector) -> ColumnElement[bool]:
    """Return the condition that is true where ``selector.matches`` is, of paths to plain values."""
    return and_(
        literal(value=True),
        *(_field_text(path) == value for path, value in selector.equal.items()),
        *(_field_text(path) != value for path, value in selector.unequal.items()),
    )


def _field_text(path: str) -> ColumnElement[str]:
    """Return the value at ``path`` as text, empty where there is none.

    A number in the path is a key like any other; written as subscript it would index a list.
    """
    value: ColumnElement[Any]
    *parents, last = path.split(".")
    if parents and parents[0] in _COLUMNS:
        value, parents = _COLUMNS[parents[0]], parents[1:]
    else:
        value = document
    for key in parents:
        value = value.op("->")(literal(key))
    return func.coalesce(value.op("->>")(literal(last)), "")
