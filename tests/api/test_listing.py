"""Pages stay right while the fleet changes under them."""

from __future__ import annotations

import base64
import json

import pytest

from reactorsync.resources import Reactor
from reactorsync_api.listing import REACTOR_SORTS, Query, page_of
from reactorsync_api.problems import ProblemError


def reactor(name: str, *, site: str = "Bruce", design: str = "Candu6", unit: str = "1") -> Reactor:
    return Reactor.model_validate(
        {
            "metadata": {"name": name, "labels": {"unit": unit}},
            "spec": {"design": design, "site": {"name": site}},
        }
    )


def cursor_of(content: list[object] | str) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def query(**changes: object) -> Query:
    asked: dict[str, object] = {
        "namespace": None,
        "label_selector": "",
        "field_selector": "",
        "search": "",
        "sort": "name",
        "limit": 2,
        "cursor": "",
    }
    return Query(**(asked | changes))  # type: ignore[arg-type]


FLEET = [reactor(name) for name in ("d", "b", "e", "a", "c")]


def names_of_all_pages(sort: str) -> list[str]:
    names: list[str] = []
    cursor = ""
    while True:
        page = page_of(FLEET, query(sort=sort, cursor=cursor), REACTOR_SORTS)
        assert page.total == len(FLEET)
        names += [item.metadata.name for item in page.items]
        cursor = page.next_cursor
        if not cursor:
            return names


@pytest.mark.parametrize(("sort", "expected"), [("name", "abcde"), ("-name", "edcba")])
def test_pages_follow_each_other_without_overlap(sort: str, expected: str) -> None:
    assert "".join(names_of_all_pages(sort)) == expected


def test_a_cursor_survives_the_deletion_of_its_object() -> None:
    first = page_of(FLEET, query(), REACTOR_SORTS)
    smaller = [item for item in FLEET if item.metadata.name != "b"]

    second = page_of(smaller, query(cursor=first.next_cursor), REACTOR_SORTS)

    assert [item.metadata.name for item in second.items] == ["c", "d"]


def test_filters_combine() -> None:
    fleet = [
        reactor("one", unit="1"),
        reactor("two", unit="2"),
        reactor("three", unit="2", design="Pwr3Loop", site="Surry"),
    ]

    def found(**changes: object) -> list[str]:
        page = page_of(fleet, query(limit=10, **changes), REACTOR_SORTS)
        return [item.metadata.name for item in page.items]

    assert found(label_selector="unit=2") == ["three", "two"]
    assert found(label_selector="unit=2", field_selector="spec.design=Candu6") == ["two"]
    assert found(search="surr") == ["three"]
    assert found(namespace="elsewhere") == []


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"sort": "colour"}, "sort"),
        ({"cursor": "no cursor"}, "cursor"),
        ({"cursor": "WyJzaXRlIiwiYSIsImIiLCJjIl0"}, "cursor"),
        ({"sort": "power", "cursor": cursor_of(["power", "abc", "default", "a"])}, "cursor"),
        ({"sort": "-name", "cursor": cursor_of(["-name", 5, "default", "a"])}, "cursor"),
        ({"cursor": cursor_of("[" * 50_000)}, "cursor"),
    ],
    ids=[
        "unknown sort",
        "not a cursor",
        "cursor of another sort",
        "text instead of a number",
        "a number instead of text",
        "endlessly nested",
    ],
)
def test_what_cannot_be_read_names_its_parameter(changes: dict[str, object], pointer: str) -> None:
    with pytest.raises(ProblemError) as caught:
        page_of(FLEET, query(**changes), REACTOR_SORTS)

    assert caught.value.problem.errors[0].pointer == pointer
