"""A body is taken or refused as the API server of Kubernetes would take or refuse it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import RunningApi
from tests.api.test_resources import REACTOR, REACTORS, SCENARIO, SCENARIOS, with_spec
from tests.core.resources.cases import ACCEPTED, REFUSED, Refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

STAGE = SCENARIO["spec"]["stages"][0]


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1)} if levels else {}


def collection_of(document: dict[str, Any]) -> str:
    return REACTORS if document["kind"] == "Reactor" else SCENARIOS


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=ACCEPTED)
async def test_what_the_definition_accepts_is_created(
    api: RunningApi, document: dict[str, Any]
) -> None:
    answer = await api.client.post(collection_of(document), json=document)

    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
async def test_what_the_definition_refuses_is_refused(api: RunningApi, case: Refused) -> None:
    answer = await api.client.post(collection_of(case.document), json=case.document)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"]


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        (
            with_spec(REACTOR, powerSetpointPermille="900"),
            "/spec/powerSetpointPermille",
            "must be a whole number, not the text '900'",
        ),
        (
            with_spec(REACTOR, powerSetpointPermille=900.0),
            "/spec/powerSetpointPermille",
            "must be a whole number, not the number 900.0",
        ),
        (
            with_spec(REACTOR, powerSetpointPermille=True),
            "/spec/powerSetpointPermille",
            "must be a whole number, not true",
        ),
        (
            with_spec(REACTOR, power_setpoint_permille=900),
            "/spec/power_setpoint_permille",
            "is no field here; did you mean `powerSetpointPermille`?",
        ),
        (
            REACTOR | {"metadata": {"name": "a", "lables": {"site": "bruce"}}},
            "/metadata/lables",
            "is no field here; did you mean `labels`?",
        ),
        (
            REACTOR | {"metadata": {"name": "a", "labels": {"example.org/unit": 1}}},
            "/metadata/labels/example.org~1unit",
            "must be text, not the number 1",
        ),
        (
            with_spec(SCENARIO, stages=[STAGE, STAGE | {"name": "b", "durationSeconds": "5"}]),
            "/spec/stages/1/durationSeconds",
            "must be a whole number, not the text '5'",
        ),
        (with_spec(SCENARIO, startTime=1769860800), "/spec/startTime", "must be a time"),
        ([REACTOR], "", "must be a JSON object"),
        (with_spec(REACTOR, site=nested(60)), "", "must not be nested deeper"),
    ],
    ids=[
        "a number as text",
        "a number with a fraction",
        "a boolean for a number",
        "a field by its Python name",
        "misspelt metadata",
        "a label that is a number",
        "an item of a list",
        "a time as a number",
        "a list",
        "too deep",
    ],
)
async def test_the_problem_says_where_and_what_is_allowed(
    api: RunningApi, body: Any, pointer: str, said: str
) -> None:
    path = SCENARIOS if isinstance(body, dict) and body["kind"] != "Reactor" else REACTORS

    answer = await api.client.post(path, json=body)

    assert answer.status_code == 422
    first = answer.json()["errors"][0]
    assert first["pointer"] == pointer
    assert first["detail"].startswith(said)


async def test_all_that_is_wrong_is_said_at_once(api: RunningApi) -> None:
    body = with_spec(REACTOR, design="Rbmk", seed="1") | {"metadata": {"name": "a", "nmae": "b"}}

    answer = await api.client.post(REACTORS, json=body)

    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert pointers == {"/metadata/nmae", "/spec/design", "/spec/seed"}


async def test_what_a_caller_read_it_may_send_back(api: RunningApi) -> None:
    stored = (await api.client.post(REACTORS, json=REACTOR)).json()

    same = await api.client.put(f"{REACTORS}/default/cernavoda-1", json=stored)
    other = with_spec(stored, powerSetpointPermille=900)
    changed = await api.client.put(f"{REACTORS}/default/cernavoda-1", json=other)

    assert same.json()["metadata"] == stored["metadata"]
    assert changed.json()["metadata"]["generation"] == 2


async def test_a_body_that_is_no_json_has_no_pointer_but_a_place(api: RunningApi) -> None:
    answer = await api.client.post(
        REACTORS, content='{"metadata" 1}', headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "", "detail": "is not JSON: Expecting ':' delimiter at character 12"}
    ]


@pytest.mark.parametrize("content", ["", "null"])
async def test_a_body_that_is_missing_is_a_problem_of_all_of_it(
    api: RunningApi, content: str
) -> None:
    answer = await api.client.post(
        REACTORS, content=content, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [""]
