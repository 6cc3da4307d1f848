"""What the OpenAPI description says beyond the models: examples, and the problems of a route."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI

from reactorsync.resources import Resource
from reactorsync_api.problems import MEDIA_TYPE, FieldProblem, Problem, ProblemError

Responses = dict[int | str, dict[str, Any]]
"""Responses by status, as FastAPI takes them."""

_REF: Final = "#/components/schemas/{model}"

_FASTAPI_ERRORS: Final = ("HTTPValidationError", "ValidationError")

_PROBLEMS: Final = {
    401: (
        "No valid token.",
        ProblemError(
            HTTPStatus.UNAUTHORIZED, "unauthorized", "send `Authorization: Bearer <token>`"
        ),
    ),
    404: (
        "No such object.",
        ProblemError(HTTPStatus.NOT_FOUND, "not-found", "no Reactor default/cernavoda-9"),
    ),
    409: (
        "It exists, or was changed since it was read.",
        ProblemError(
            HTTPStatus.CONFLICT, "conflict", "Reactor default/cernavoda-1 is at version 8, not 7"
        ),
    ),
    422: (
        "A field or parameter is wrong; `errors` says which and what is allowed.",
        ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid",
            "/spec/powerSetpointPermille: must be at most 1000, not 1200",
            errors=[
                FieldProblem(
                    pointer="/spec/powerSetpointPermille", detail="must be at most 1000, not 1200"
                )
            ],
        ),
    ),
    500: (
        "A mistake in the API; its log says what.",
        ProblemError(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal-server-error",
            "something is wrong in the API: its log says what",
        ),
    ),
    503: (
        "A dependency is away; try again.",
        ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, "store-unavailable", "Postgres: connection refused"
        ),
    ),
}


def problems_of(*statuses: int) -> Responses:
    """Return the problems a route may answer with, each with an example."""
    return {
        status: {
            "description": _PROBLEMS[status][0],
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": _REF.format(model=Problem.__name__)},
                    "example": _PROBLEMS[status][1].body(),
                }
            },
        }
        for status in statuses
    }


def answers(example: Any, *, status: int = HTTPStatus.OK) -> Responses:
    """Return an example of what a route answers with when all is well."""
    return {int(status): {"content": {"application/json": {"example": example}}}}


def as_stored(resource: Resource) -> dict[str, Any]:
    """Return a resource as it looks once it is stored."""
    document: dict[str, Any] = resource.to_json()
    document["metadata"] |= {
        "uid": "8f5ad1c2-4f0c-4a53-9d8e-2f6f7c2b9a10",
        "generation": 1,
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-31T12:00:00Z",
    }
    return document


def install(app: FastAPI) -> None:
    """Give the description the models of problems, in the place of FastAPI's own errors."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        document = plain()
        schemas = document["components"]["schemas"]
        if Problem.__name__ not in schemas:
            schema = Problem.model_json_schema(mode="serialization", ref_template=_REF)
            schemas |= schema.pop("$defs", {}) | {Problem.__name__: schema}
            for name in _FASTAPI_ERRORS:
                schemas.pop(name, None)
            for path in document["paths"].values():
                for operation in path.values():
                    _drop_fastapi_errors(operation["responses"])
        return document

    app.openapi = described  # type: ignore[method-assign] # FastAPI's way to extend it


def _drop_fastapi_errors(responses: dict[str, Any]) -> None:
    """Drop the 422 that every route with a parameter gets, even if any text will do for it."""
    wrong = _REF.format(model=_FASTAPI_ERRORS[0])
    for status, response in list(responses.items()):
        content = response.get("content", {}).get("application/json", {})
        if content.get("schema") == {"$ref": wrong}:
            del responses[status]
