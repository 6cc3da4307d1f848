"""Requests: what is sent, what failures mean, and when a request is sent again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from uuid import UUID

import kmock as kmock_
import pytest

from reactorsync.kube import ApiError, ApiUnavailable, Cluster, KubeClient
from reactorsync.kube.credentials import (
    TOKEN_FILE_SECONDS,
    Credential,
    StaticCredentials,
    TokenFile,
)

Server = kmock_.RawHandler
pytestmark = pytest.mark.kmock(cls=kmock_.RawHandler)

REACTORS = "/apis/reactorsync.dev/v1alpha1/namespaces/default/reactors"
UID = UUID("7a0bbd5c-22a2-4d0e-92f3-6f9fb3b3d0a1")


def cluster(server: Server, *, token: str = "") -> Cluster:
    credentials = StaticCredentials(Credential(f"Bearer {token}" if token else None))
    return Cluster(server=str(server.url).rstrip("/"), credentials=credentials)


@pytest.fixture
async def client(kmock: Server) -> AsyncIterator[KubeClient]:
    async with KubeClient(
        cluster(kmock, token="s3cret"), field_manager="tests", timeout_seconds=0.5
    ) as client:
        yield client


def hang_up(request: kmock_.Request) -> bytes:
    """End the connection instead of answering."""
    raw = request._raw_request
    assert raw is not None
    assert raw.transport is not None
    raw.transport.close()
    return b""


class TestWrites:
    async def test_apply_names_the_field_manager_and_takes_over(
        self, kmock: Server, client: KubeClient
    ) -> None:
        kmock[f"patch {REACTORS}/a/status"] << {"kind": "Reactor"}

        assert await client.apply(f"{REACTORS}/a/status", {"status": {}}) == {"kind": "Reactor"}

        (request,) = kmock["patch"]
        assert request.params == {"fieldManager": "tests", "force": "true"}
        assert request.headers["Content-Type"] == "application/apply-patch+yaml"
        assert request.headers["Authorization"] == "Bearer s3cret"
        assert json.loads(request.body) == {"status": {}}

    async def test_merge_patch_and_put_name_the_field_manager(
        self, kmock: Server, client: KubeClient
    ) -> None:
        kmock << {}

        await client.merge_patch(f"{REACTORS}/a", {"spec": None})
        await client.put(f"{REACTORS}/a", {"spec": {}})
        await client.post(REACTORS, {"spec": {}})

        assert [request.params for request in kmock] == [{"fieldManager": "tests"}] * 3
        assert [request.headers["Content-Type"] for request in kmock] == [
            "application/merge-patch+json",
            "application/json",
            "application/json",
        ]

    async def test_delete_carries_preconditions(self, kmock: Server, client: KubeClient) -> None:
        kmock << {"kind": "Status"}

        await client.delete(f"{REACTORS}/a", uid=UID, resource_version="7")

        (request,) = kmock["delete"]
        assert json.loads(request.body)["preconditions"] == {
            "uid": str(UID),
            "resourceVersion": "7",
        }


class TestErrors:
    async def test_carry_what_the_server_says(self, kmock: Server, client: KubeClient) -> None:
        details = {"name": "a", "causes": [{"field": "spec.design", "message": "is immutable"}]}
        (
            kmock
            << 422
            << {
                "kind": "Status",
                "reason": "Invalid",
                "message": "Reactor a is invalid",
                "details": details,
            }
        )

        with pytest.raises(ApiError, match="422 Invalid: Reactor a is invalid") as refused:
            await client.put(f"{REACTORS}/a", {})

        assert refused.value.code == 422
        assert refused.value.reason == "Invalid"
        assert refused.value.details == details

    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    async def test_not_now_is_no_answer(
        self, kmock: Server, client: KubeClient, status: int
    ) -> None:
        kmock << status << b"<html>busy</html>"

        with pytest.raises(ApiUnavailable, match=str(status)):
            await client.get(REACTORS)

        assert len(kmock) == 1

    async def test_a_dropped_connection_is_no_answer(
        self, kmock: Server, client: KubeClient
    ) -> None:
        kmock << hang_up

        with pytest.raises(ApiUnavailable, match="cannot be reached"):
            await client.post(REACTORS, {})

        assert len(kmock) == 1, "a creation must not be sent twice"

    async def test_nobody_there_is_no_answer(self) -> None:
        async with KubeClient(Cluster("http://127.0.0.1:9"), field_manager="tests") as client:
            with pytest.raises(ApiUnavailable, match="cannot be reached"):
                await client.get("/version")

    async def test_silence_is_no_answer(self, kmock: Server, client: KubeClient) -> None:
        kmock << (lambda: asyncio.sleep(5))

        with pytest.raises(ApiUnavailable, match="in time"):
            await client.get(REACTORS)

    @pytest.mark.parametrize("body", [b"ok", b"[]", b'{"kind": '])
    async def test_what_is_no_json_object_is_no_answer(
        self, kmock: Server, client: KubeClient, body: bytes
    ) -> None:
        kmock << body

        with pytest.raises(ApiUnavailable, match="JSON"):
            await client.get("/version")

    async def test_never_show_the_token(self, kmock: Server, client: KubeClient) -> None:
        kmock << 401 << {"kind": "Status", "reason": "Unauthorized", "message": "Unauthorized"}

        with pytest.raises(ApiError) as refused:
            await client.get(REACTORS)

        shown = f"{refused.value!r} {refused.value} {client.cluster!r}"
        assert "s3cret" not in shown


class TestRetryAfter:
    @pytest.mark.parametrize("status", [429, 503])
    async def test_is_honoured(self, kmock: Server, client: KubeClient, status: int) -> None:
        kmock[:2] << status << {"Retry-After": "0.1"} << {"kind": "Status"}
        kmock[2:] << {"kind": "Reactor"}
        clock = asyncio.get_running_loop().time
        begun = clock()

        assert await client.put(f"{REACTORS}/a", {"spec": 1}) == {"kind": "Reactor"}

        assert len(kmock) == 3
        assert 0.2 <= clock() - begun < 2.0
        assert all(json.loads(request.body) == {"spec": 1} for request in kmock)

    async def test_is_honoured_a_few_times_only(self, kmock: Server, client: KubeClient) -> None:
        kmock << 429 << {"Retry-After": "0"} << {"kind": "Status", "message": "slow down"}

        with pytest.raises(ApiUnavailable, match="429: slow down"):
            await client.get(REACTORS)

        assert len(kmock) == 5


class TestBeforeAChange:
    async def test_each_attempt_is_asked_for(self, kmock: Server) -> None:
        kmock << 429 << {"Retry-After": "0.05"} << {"kind": "Status", "message": "slow down"}
        asked = 0

        def may_change() -> None:
            nonlocal asked
            asked += 1
            if asked == 3:
                raise PermissionError("somebody else leads now")

        async with KubeClient(
            cluster(kmock), field_manager="tests", before_change=may_change
        ) as client:
            with pytest.raises(PermissionError, match="somebody else"):
                await client.put(f"{REACTORS}/a", {})

        assert len(kmock) == 2, "nothing was sent once it said no"

    async def test_who_only_reads_need_not_ask(self, kmock: Server) -> None:
        kmock << {"kind": "Reactor"}

        def never() -> None:
            raise PermissionError

        async with KubeClient(cluster(kmock), field_manager="tests", before_change=never) as client:
            assert await client.get(f"{REACTORS}/a") == {"kind": "Reactor"}
            for request in (
                client.post(REACTORS, {}),
                client.merge_patch(f"{REACTORS}/a", {}),
                client.apply(f"{REACTORS}/a", {}),
                client.delete(f"{REACTORS}/a"),
            ):
                with pytest.raises(PermissionError):
                    await request

        assert len(kmock) == 1


class TestCredentials:
    async def test_a_token_file_is_read_again_when_its_token_was_refused(
        self, kmock: Server, tmp_path: Path
    ) -> None:
        token = tmp_path / "token"
        token.write_text("old\n")
        kmock[{"Authorization": "Bearer new"}] << {"ok": True}
        kmock << 401 << {"kind": "Status", "message": "expired"}
        used = Cluster(str(kmock.url).rstrip("/"), credentials=TokenFile(token))

        async with KubeClient(used, field_manager="tests") as client:
            with pytest.raises(ApiError, match="expired"):
                await client.get("/version")
            assert len(kmock) == 1, "the same token is not tried twice"

            token.write_text("new\n")
            assert await client.get("/version") == {"ok": True}

        assert [request.headers["Authorization"] for request in kmock] == [
            "Bearer old",
            "Bearer old",
            "Bearer new",
        ]

    async def test_a_token_file_is_read_again_in_time(self, kmock: Server, tmp_path: Path) -> None:
        token, now = tmp_path / "token", [0.0]
        token.write_text("first")
        kmock << {}
        credentials = TokenFile(token, clock=lambda: now[0])
        used = Cluster(str(kmock.url).rstrip("/"), credentials=credentials)

        async with KubeClient(used, field_manager="tests") as client:
            await client.get("/version")
            token.write_text("second")
            await client.get("/version")
            now[0] += TOKEN_FILE_SECONDS
            await client.get("/version")
            token.unlink()
            now[0] += TOKEN_FILE_SECONDS
            await client.get("/version")

        assert [request.headers["Authorization"].split()[1] for request in kmock] == [
            "first",
            "first",
            "second",
            "second",
        ]

    async def test_a_redirect_takes_no_token_elsewhere(
        self, kmock: Server, client: KubeClient
    ) -> None:
        kmock["get /version"] << 307 << {"Location": "/elsewhere"} << {"kind": "Status"}

        await client.get("/version")

        assert len(kmock) == 1


class TestStream:
    async def test_yields_a_document_a_line(self, kmock: Server, client: KubeClient) -> None:
        long = "x" * 1_000_000
        kmock << (
            b'{"n": 1}\n{"n"',
            b': 2}\n\n{"n": "',
            long.encode(),
            b'"}\n{"cut off": ',
        )

        found = [document async for document in client.stream(REACTORS, params={"watch": "true"})]

        assert found == [{"n": 1}, {"n": 2}, {"n": long}]
        (request,) = kmock
        assert request.params == {"watch": "true"}

    async def test_tells_when_the_server_begins_to_answer(
        self, kmock: Server, client: KubeClient
    ) -> None:
        kmock << (b"\n", lambda: asyncio.sleep(30), b'{"n": 1}\n')
        opened = asyncio.Event()
        documents = client.stream(REACTORS, params={}, opened=opened.set)

        async with aclosing(documents):
            first = asyncio.ensure_future(anext(documents))
            await asyncio.wait_for(opened.wait(), 5)

            assert not first.done()
            first.cancel()
            await asyncio.wait([first])

    async def test_is_given_up_when_silent(self, kmock: Server, client: KubeClient) -> None:
        kmock << (b'{"n": 1}\n', lambda: asyncio.sleep(30))

        documents = client.stream(REACTORS, params={}, inactivity_seconds=0.3)
        assert await anext(documents) == {"n": 1}
        with pytest.raises(ApiUnavailable, match="in time"):
            await anext(documents)

    async def test_that_the_server_refuses(self, kmock: Server, client: KubeClient) -> None:
        kmock << 410 << {"kind": "Status", "reason": "Expired", "message": "too old"}

        with pytest.raises(ApiError, match="410 Expired: too old"):
            _ = [document async for document in client.stream(REACTORS, params={})]

    async def test_outlives_the_time_that_other_requests_have(
        self, kmock: Server, client: KubeClient
    ) -> None:
        kmock << (b'{"n": 1}\n', lambda: asyncio.sleep(0.8), b'{"n": 2}\n')

        found = [document async for document in client.stream(REACTORS, params={})]

        assert found == [{"n": 1}, {"n": 2}]
