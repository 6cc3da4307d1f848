"""Resources as SQL: how a row becomes the JSON of a resource, and selectors become conditions."""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final

from prometheus_client import Counter
from pydantic import ValidationError
from sqlalchemy import ARRAY, ColumnElement, Text, and_, cast, func, literal, literal_column, not_
from sqlalchemy.dialects.postgresql import JSON

from reactorsync.db.models import ResourceRow
from reactorsync.resources import API_VERSION, FieldSelector, LabelSelector
from reactorsync.resources.selector import LabelRequirement, SelectorOperator
from reactorsync.store.port import R, Unreadable

log = logging.getLogger(__name__)

UNREADABLE: Final = Counter(
    "reactorsync_store_unreadable_total",
    "Stored resources that were passed over because they are not valid, each time they were read.",
    ["kind"],
)

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


def kind_name(kind: type[R]) -> str:
    """Return the name of a kind, as it stands in manifests."""
    return str(kind.model_fields["kind"].default)


def parse_document(kind: type[R], document: str) -> R:
    """Return the resource that a document is of. Raises :class:`Unreadable`."""
    try:
        return kind.model_validate_json(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unreadable(
            f"{kind_name(kind)} {document_name(document)}: {where}: {first['msg']}"
        ) from error


def document_name(document: str) -> str:
    """Return ``namespace/name`` of a document, whatever else is in it."""
    metadata = json.loads(document)["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}"


def parse_documents(kind: type[R], documents: Sequence[str]) -> list[R | None]:
    """Return the resources that documents are of, ``None`` for each that cannot be read.

    One that an earlier release let in must not hide all others: it is counted and logged.

    The garbage collector pauses: it would search the growing heap over and over for cycles that
    parsing does not make, which takes four times as long as the parsing.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return [_parsed(kind, document) for document in documents]
    finally:
        if was_enabled:
            gc.enable()


def _parsed(kind: type[R], document: str) -> R | None:
    try:
        return parse_document(kind, document)
    except Unreadable as error:
        UNREADABLE.labels(kind_name(kind)).inc()
        log.error("passing over what cannot be read: %s", error)
        return None


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
