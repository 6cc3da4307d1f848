"""Pages of resources: filter, sort, and a cursor that survives changes."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from reactorsync.resources import AnomalyScenario, Reactor, condition_of
from reactorsync.resources.selector import parse_field_selector, parse_label_selector
from reactorsync_api.problems import ProblemError, invalid

R = TypeVar("R", Reactor, AnomalyScenario)

SortValue = str | int
SortKey = Callable[[R], SortValue]


@dataclass(frozen=True, slots=True)
class Query:
    """What a caller asked for. Selectors are in kubectl's form."""

    namespace: str | None
    label_selector: str
    field_selector: str
    search: str
    sort: str
    limit: int
    cursor: str


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """One page; ``next_cursor`` is empty on the last one, ``total`` counts all matches."""

    items: list[R]
    total: int
    next_cursor: str


def _created(resource: Reactor | AnomalyScenario) -> str:
    moment = resource.metadata.creation_timestamp
    return moment.isoformat() if moment else ""


def _ready(resource: Reactor | AnomalyScenario) -> str:
    condition = condition_of(resource.status.conditions, "Ready")
    return condition.status.value if condition else "Unknown"


REACTOR_SORTS: dict[str, SortKey[Reactor]] = {
    "name": lambda reactor: reactor.metadata.name,
    "created": _created,
    "design": lambda reactor: reactor.spec.design.value,
    "site": lambda reactor: reactor.spec.site.name if reactor.spec.site else "",
    "power": lambda reactor: reactor.status.power_permille or 0,
    "health": lambda reactor: (
        reactor.status.health.score if reactor.status.health and reactor.status.health.score else 0
    ),
    "ready": _ready,
}

SCENARIO_SORTS: dict[str, SortKey[AnomalyScenario]] = {
    "name": lambda scenario: scenario.metadata.name,
    "created": _created,
    "ready": _ready,
    "start": lambda scenario: (
        scenario.status.run.start_time.isoformat() if scenario.status.run else ""
    ),
}


def page_of(resources: Iterable[R], query: Query, sorts: dict[str, SortKey[R]]) -> Page[R]:
    """Return the page that ``query`` asks for.

    Objects are ordered by the sort key, then by namespace and name, so that a cursor (the last
    object's place in that order) stays right while objects come and go.
    """
    descending = query.sort.startswith("-")
    name = query.sort.removeprefix("-")
    key = sorts.get(name)
    if key is None:
        raise invalid("sort", f"must be one of {', '.join(sorts)}, with - before it to reverse")
    matches = _matching(resources, query)

    def place(resource: R) -> tuple[SortValue, str, str]:
        return (key(resource), resource.metadata.namespace, resource.metadata.name)

    ordered = sorted(matches, key=place, reverse=descending)
    total = len(ordered)
    if query.cursor:
        after = _decode_cursor(query.cursor, query.sort)
        try:
            ordered = [
                resource
                for resource in ordered
                if (place(resource) < after if descending else place(resource) > after)
            ]
        except TypeError as error:
            raise _bad_cursor() from error
    items = ordered[: query.limit]
    more = len(ordered) > len(items)
    return Page(items, total, _encode_cursor(query.sort, place(items[-1])) if more else "")


def _matching(resources: Iterable[R], query: Query) -> list[R]:
    labels = parse_label_selector(query.label_selector) if query.label_selector else None
    fields = parse_field_selector(query.field_selector) if query.field_selector else None
    needle = query.search.lower()
    return [
        resource
        for resource in resources
        if (query.namespace is None or resource.metadata.namespace == query.namespace)
        and (labels is None or labels.matches(resource.metadata.labels))
        and (not needle or needle in _searchable(resource))
        and (fields is None or fields.matches(resource.to_json()))
    ]


def _searchable(resource: Reactor | AnomalyScenario) -> str:
    words = [resource.metadata.name]
    if isinstance(resource, Reactor) and resource.spec.site:
        words += [resource.spec.site.name, resource.spec.site.country or ""]
    return " ".join(words).lower()


def _encode_cursor(sort: str, place: tuple[SortValue, str, str]) -> str:
    text = json.dumps([sort, *place], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode_cursor(cursor: str, sort: str) -> tuple[SortValue, str, str]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        made_for, value, namespace, name = json.loads(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise _bad_cursor() from error
    if made_for != sort:
        raise invalid("cursor", f"belongs to sort '{made_for}', not '{sort}'")
    if not (isinstance(value, str | int) and isinstance(namespace, str) and isinstance(name, str)):
        raise _bad_cursor()
    return value, namespace, name


def _bad_cursor() -> ProblemError:
    return invalid("cursor", "must be a `nextCursor` of an earlier page")
