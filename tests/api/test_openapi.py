"""The description: complete enough to write a client by it, with examples that are true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.api.conftest import RunningApi

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = Any
PROBLEM = "application/problem+json"


async def described(api: RunningApi) -> Json:
    return (await api.client.get("/api/v1/openapi.json")).json()


def operations(document: Json) -> Iterator[Json]:
    for path in document["paths"].values():
        yield from path.values()


def contents(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Yield every body of a request or an answer: its place, its media type, what is said."""
    for operation in operations(document):
        name = operation["operationId"]
        for media_type, said in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name} request", media_type, said
        for status, response in operation["responses"].items():
            for media_type, said in response.get("content", {}).items():
                yield f"{name} {status}", media_type, said


def examples(said: Json) -> list[Json]:
    named = [example["value"] for example in said.get("examples", {}).values()]
    return [said["example"], *named] if "example" in said else named


async def test_it_is_openapi_3_1_with_an_operation_name_for_every_route(api: RunningApi) -> None:
    document = await described(api)

    names = [operation["operationId"] for operation in operations(document)]
    assert document["openapi"].startswith("3.1")
    assert len(set(names)) == len(names)
    assert {"listReactors", "getTelemetry", "abortScenario"} <= set(names)


async def test_every_body_has_a_schema_and_an_example(api: RunningApi) -> None:
    document = await described(api)

    bare = [
        (place, media_type)
        for place, media_type, said in contents(document)
        if not said.get("schema") or ("arrow" not in media_type and not examples(said))
    ]

    assert bare == []


async def test_every_example_fits_its_schema(api: RunningApi) -> None:
    document = await described(api)

    for place, _, said in contents(document):
        schema = said["schema"] | {"components": document["components"]}
        for example in examples(said):
            errors = list(Draft202012Validator(schema).iter_errors(example))
            assert errors == [], place


async def test_every_error_is_described_as_a_problem_with_its_status(api: RunningApi) -> None:
    document = await described(api)

    for operation in operations(document):
        for status, response in operation["responses"].items():
            if status < "400" or operation["operationId"] == "readyz":
                continue
            assert list(response["content"]) == [PROBLEM], operation["operationId"]
            said = response["content"][PROBLEM]
            assert said["schema"]["$ref"].endswith("/Problem")
            assert said["example"]["status"] == int(status)


async def test_a_request_of_the_examples_works(api: RunningApi) -> None:
    document = await described(api)

    for path in ("/api/v1/reactors", "/api/v1/scenarios"):
        (example,) = examples(
            document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        )
        assert (await api.client.post(path, json=example)).status_code == 201


async def test_telemetry_is_described_in_every_encoding(api: RunningApi) -> None:
    document = await described(api)

    path = "/api/v1/reactors/{namespace}/{name}/telemetry"
    content = document["paths"][path]["get"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/csv", "application/vnd.apache.arrow.stream"}
