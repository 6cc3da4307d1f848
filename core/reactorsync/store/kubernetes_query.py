"""Selectors for an API server, and what is left to select of its answer.

What a server would refuse, or takes differently, is selected here: a field that is not selectable,
a label that could not exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reactorsync.resources import FieldSelector, Kind, LabelSelector, Resource
from reactorsync.resources.crd_presentation import PRESENTATIONS
from reactorsync.resources.meta import LABEL_KEY_PATTERN
from reactorsync.resources.selector import LabelRequirement, SelectorOperator
from reactorsync.store.port import R
from reactorsync.store.reading import kind_name

_KEY: Final = re.compile(LABEL_KEY_PATTERN)
_VALUE: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LONGEST: Final = 2000
"""Characters of a label selector; a longer one would make a URL that not every proxy lets by."""


@dataclass(frozen=True, slots=True)
class Query:
    """``parameters`` are for the server; ``labels`` and ``fields`` are left to be looked at."""

    parameters: Mapping[str, str]
    labels: LabelSelector | None = None
    fields: FieldSelector | None = None

    def leaves(self, resource: Resource) -> bool:
        """Return whether a resource that the server found is among the wanted ones."""
        return (self.labels is None or self.labels.matches(resource.metadata.labels)) and (
            self.fields is None or self.fields.matches(resource.to_json())
        )


def query(kind: type[R], labels: LabelSelector | None, fields: FieldSelector | None) -> Query:
    """Return how to find what matches both selectors."""
    parameters: dict[str, str] = {}
    if labels is not None:
        terms = list(_label_terms(labels))
        sent = ",".join(term for term in terms if term is not None)
        if sent and len(sent) <= _LONGEST:
            parameters["labelSelector"] = sent
        if None not in terms and len(sent) <= _LONGEST:
            labels = None
    if fields is not None:
        fields = _send_fields(kind, fields, parameters)
    return Query(parameters, labels, fields)


def _send_fields(
    kind: type[R], fields: FieldSelector, parameters: dict[str, str]
) -> FieldSelector | None:
    """Add what the server can select to ``parameters``; return the selector if that is not all."""
    shown: Sequence[str] = PRESENTATIONS[Kind(kind_name(kind))].selectable_fields
    known = {"metadata.name", "metadata.namespace", *(path.removeprefix(".") for path in shown)}
    sent = [f"{path}={_escaped(text)}" for path, text in fields.equal.items() if path in known]
    sent += [f"{path}!={_escaped(text)}" for path, text in fields.unequal.items() if path in known]
    if sent:
        parameters["fieldSelector"] = ",".join(sent)
    return fields if len(sent) < len(fields.equal) + len(fields.unequal) else None


def _escaped(value: str) -> str:
    return re.sub(r"([\\,=])", r"\\\1", value)


def _label_terms(selector: LabelSelector) -> Iterator[str | None]:
    """Yield each requirement as the server takes it, ``None`` where it would not."""
    for key, value in selector.match_labels.items():
        is_possible = _KEY.fullmatch(key) and _VALUE.fullmatch(value)
        yield f"{key}={value}" if is_possible else None
    for requirement in selector.match_expressions:
        yield _label_term(requirement)


def _label_term(requirement: LabelRequirement) -> str | None:
    key = requirement.key
    if not _KEY.fullmatch(key) or not all(map(_VALUE.fullmatch, requirement.values)):
        return None
    match requirement.operator:
        case SelectorOperator.IN:
            return f"{key} in ({','.join(requirement.values)})"
        case SelectorOperator.NOT_IN:
            return f"{key} notin ({','.join(requirement.values)})"
        case SelectorOperator.EXISTS:
            return key
        case SelectorOperator.DOES_NOT_EXIST:
            return f"!{key}"
