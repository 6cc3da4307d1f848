"""Probes and metrics, outside ``/api/v1`` and without login."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from reactorsync_api.context import InContext
from reactorsync_api.openapi import answers

router = APIRouter(tags=["system"])


def _readiness(description: str, example: dict[str, str]) -> dict[str, Any]:
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


@router.get("/healthz", operation_id="healthz", responses=answers({"status": "ok"}))
async def healthz() -> dict[str, str]:
    """Say that the process lives; asks no dependency."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    operation_id="readyz",
    responses={
        200: _readiness("Every dependency works.", {"postgres": "ok"}),
        503: _readiness(
            "A dependency fails; the body says which and why.",
            {"live-kafka": "ok", "postgres": "Postgres: connection refused"},
        ),
    },
)
async def readyz(context: InContext) -> JSONResponse:
    """Say whether every dependency works, and which does not."""
    ready = context.readiness.ready
    return JSONResponse(
        context.readiness.report(),
        status_code=HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE,
    )


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=Response,
    responses={
        200: {
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": "# TYPE reactorsync_ws_clients gauge\nreactorsync_ws_clients 3.0\n",
                }
            }
        }
    },
)
async def metrics() -> Response:
    """Metrics in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
