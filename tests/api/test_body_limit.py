"""A body that is too long is refused, whether it says so or not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from reactorsync_api.body_limit import MAX_BODY_BYTES
from tests.api.conftest import RunningApi
from tests.api.test_resources import REACTOR, REACTORS

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}


async def test_an_announced_length_is_refused_at_once(api: RunningApi) -> None:
    answer = await api.client.post(REACTORS, content=b" " * (MAX_BODY_BYTES + 1), headers=JSON)

    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:reactorsync:problem:too-large"


async def test_a_stream_is_refused_when_it_grows_too_long(api: RunningApi) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * (MAX_BODY_BYTES // 2)

    answer = await api.client.post(REACTORS, content=endless(), headers=JSON)

    assert answer.status_code == 413


async def test_text_that_is_no_unicode_is_a_problem(api: RunningApi) -> None:
    annotated = {"name": "a", "annotations": {"a": "\ud800"}}
    body = json.dumps(REACTOR | {"metadata": annotated}).encode()

    answer = await api.client.post(REACTORS, content=body, headers=JSON)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
