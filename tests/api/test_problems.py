"""Every error is a problem, those that nobody expected included."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from reactorsync_api import problems
from reactorsync_api.hosts import LoopbackHosts


def application() -> FastAPI:
    app = FastAPI()
    problems.install(app)
    app.add_middleware(LoopbackHosts, allowed_origins=[])

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("password=hunter2")

    return app


def client_of(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


async def test_a_mistake_in_the_code_is_a_problem_that_tells_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with client_of(application()) as client:
        answer = await client.get("/broken")

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:reactorsync:problem:internal-server-error"
    assert "hunter2" not in answer.text
    assert "GET /broken: RuntimeError" in caplog.text


@pytest.mark.parametrize(
    "headers", [{"Host": "["}, {"Host": "[::1"}, {"Origin": "http://["}], ids=str
)
async def test_a_host_that_is_none_is_a_stranger(headers: dict[str, str]) -> None:
    async with client_of(application()) as client:
        answer = await client.get("/broken", headers=headers)

    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
