"""Errors as RFC 9457 problems: one stable type per cause, the field where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from reactorsync.resources.selector import SelectorSyntaxError
from reactorsync.store import (
    AlreadyExists,
    Conflict,
    Invalid,
    NotFound,
    StoreUnavailable,
)

MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(description="JSON pointer into the body, or the query parameter's name.")
    detail: str = Field(description="What is allowed.")


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(examples=["urn:reactorsync:problem:not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(default="", examples=["no Reactor default/cernavoda-9"])
    errors: list[FieldProblem] = Field(default_factory=list)


class ProblemError(Exception):
    """Raised by a route to answer with a problem."""

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(
            type=f"urn:reactorsync:problem:{kind}",
            title=kind.replace("-", " ").capitalize(),
            status=status,
            detail=detail,
            errors=list(errors),
        )
        self.headers = headers

    def response(self) -> JSONResponse:
        """Return the answer."""
        return JSONResponse(
            self.problem.model_dump(exclude_defaults=True),
            status_code=self.problem.status,
            media_type=MEDIA_TYPE,
            headers=self.headers,
        )


def invalid(pointer: str, detail: str) -> ProblemError:
    """Return the problem of one wrong field or parameter."""
    return ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid",
        f"{pointer}: {detail}",
        errors=[FieldProblem(pointer=pointer, detail=detail)],
    )


def install(app: FastAPI) -> None:
    """Turn every error a route can meet into a problem."""

    @app.exception_handler(ProblemError)
    async def _problem(_: Request, error: ProblemError) -> JSONResponse:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def _validation(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            FieldProblem(pointer=_pointer(item["loc"]), detail=item["msg"])
            for item in error.errors()
        ]
        detail = "; ".join(f"{item.pointer}: {item.detail}" for item in errors[:5])
        return ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail, errors=errors
        ).response()

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        kind = status.phrase.lower().replace(" ", "-")
        headers = dict(error.headers) if error.headers else None
        return ProblemError(status, kind, str(error.detail), headers=headers).response()

    for exception, status, kind in (
        (NotFound, HTTPStatus.NOT_FOUND, "not-found"),
        (AlreadyExists, HTTPStatus.CONFLICT, "already-exists"),
        (Conflict, HTTPStatus.CONFLICT, "conflict"),
        (SelectorSyntaxError, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid"),
    ):
        app.exception_handler(exception)(_answering(status, kind))

    @app.exception_handler(Invalid)
    async def _invalid(_: Request, error: Invalid) -> JSONResponse:
        return invalid("/" + error.field.replace(".", "/"), error.message).response()

    @app.exception_handler(StoreUnavailable)
    async def _unavailable(_: Request, error: StoreUnavailable) -> JSONResponse:
        return ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "store-unavailable",
            str(error),
            headers={"Retry-After": "2"},
        ).response()


def _answering(status: HTTPStatus, kind: str) -> Any:
    async def answer(_: Request, error: Exception) -> JSONResponse:
        return ProblemError(status, kind, str(error)).response()

    return answer


def _pointer(location: Sequence[int | str]) -> str:
    where, *rest = location
    if where == "body":
        return "/" + "/".join(str(part) for part in rest)
    return ".".join(str(part) for part in rest) or str(where)


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "content": {MEDIA_TYPE: {}}, "description": description}
    for status, description in (
        (401, "No valid token."),
        (404, "No such object."),
        (409, "It exists, or was changed since it was read."),
        (422, "A field or parameter is wrong; `errors` says which and what is allowed."),
        (503, "A dependency is away; try again."),
    )
}
"""Problems any route may answer with, for the OpenAPI description."""
