"""Errors as RFC 9457 problems: one stable type per cause, the field where there is one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
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

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(
        description="JSON pointer into the body (empty: all of it), or the parameter's name.",
        examples=["/spec/powerSetpointPermille"],
    )
    detail: str = Field(description="What is allowed.", examples=["must be at most 1000, not 1200"])


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

    def body(self) -> dict[str, Any]:
        """Return the problem as JSON, without what is empty."""
        return self.problem.model_dump(exclude_defaults=True)

    def response(self) -> JSONResponse:
        """Return the answer."""
        return JSONResponse(
            self.body(),
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
        errors = [_field_problem(item) for item in error.errors()]
        detail = "; ".join(f"{item.pointer or 'body'}: {item.detail}" for item in errors[:5])
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

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        # Starlette raises it again, and the server then logs where it came from.
        log.error("%s %s: %s", request.method, request.url.path, type(error).__name__)
        return ProblemError(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal-server-error",
            "something is wrong in the API: its log says what",
        ).response()


def _answering(status: HTTPStatus, kind: str) -> Any:
    async def answer(_: Request, error: Exception) -> JSONResponse:
        return ProblemError(status, kind, str(error)).response()

    return answer


def _field_problem(item: Mapping[str, Any]) -> FieldProblem:
    if item["type"] == "json_invalid":
        # FastAPI gives the place in the text where a path into the body should be.
        where = item["loc"][-1]
        return FieldProblem(
            pointer="", detail=f"is not JSON: {item['ctx']['error']} at character {where}"
        )
    return FieldProblem(pointer=_pointer(item["loc"]), detail=item["msg"])


def _pointer(location: Sequence[int | str]) -> str:
    where, *rest = location
    if where == "body":
        return "".join(f"/{_escaped(str(part))}" for part in rest)
    return ".".join(str(part) for part in rest) or str(where)


def _escaped(part: str) -> str:
    """Return one part of a JSON pointer (RFC 6901, section 3)."""
    return part.replace("~", "~0").replace("/", "~1")
