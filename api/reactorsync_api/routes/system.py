"""Probes and metrics, outside ``/api/v1`` and without login."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from reactorsync_api.context import InContext

router = APIRouter(tags=["system"])


@router.get("/healthz", operation_id="healthz")
async def healthz() -> dict[str, str]:
    """Say that the process lives; asks no dependency."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    operation_id="readyz",
    responses={503: {"description": "A dependency fails; the body says which and why."}},
)
async def readyz(context: InContext) -> JSONResponse:
    """Say whether every dependency works, and which does not."""
    ready = context.readiness.ready
    return JSONResponse(
        context.readiness.report(),
        status_code=HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE,
    )


@router.get("/metrics", operation_id="metrics", response_class=Response)
async def metrics() -> Response:
    """Metrics in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
