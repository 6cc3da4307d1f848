"""Whether a part is alive, as ``/healthz`` tells, and lines of the log as JSON."""

import asyncio
import json
import logging
import time
import urllib.error
import urllib.request

import pytest

from reactorsync.service import (
    LOOP_BLOCKED_SECONDS,
    JsonFormatter,
    Liveness,
    Readiness,
    about,
    probe_server,
)


def ask(port: int | None, path: str) -> tuple[int, dict[str, str]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


async def test_healthz_fails_with_its_reasons_and_recovers() -> None:
    readiness = Readiness()
    async with probe_server("127.0.0.1", 0, readiness) as port:
        assert await asyncio.to_thread(ask, port, "/healthz") == (200, {"status": "ok"})
        readiness.liveness.fails("watch", "deaf")
        assert await asyncio.to_thread(ask, port, "/healthz") == (
            503,
            {"status": "failing", "watch": "deaf"},
        )
        readiness.liveness.works("watch")
        assert await asyncio.to_thread(ask, port, "/healthz") == (200, {"status": "ok"})


async def test_what_is_away_outside_is_no_reason_to_restart() -> None:
    readiness = Readiness()
    readiness.expect("store")
    async with probe_server("127.0.0.1", 0, readiness) as port:
        assert (await asyncio.to_thread(ask, port, "/readyz"))[0] == 503
        assert (await asyncio.to_thread(ask, port, "/healthz"))[0] == 200


async def test_a_part_that_has_not_said_what_it_needs_is_not_ready() -> None:
    readiness = Readiness()
    async with probe_server("127.0.0.1", 0, readiness) as port:
        assert await asyncio.to_thread(ask, port, "/readyz") == (503, {})
        readiness.works("store")
        assert await asyncio.to_thread(ask, port, "/readyz") == (200, {"store": "ok"})


async def test_a_blocked_event_loop_is_seen_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reactorsync.service.LOOP_BLOCKED_SECONDS", 0.2)
    readiness = Readiness()
    async with probe_server("127.0.0.1", 0, readiness) as port:
        readiness.liveness.beat()
        asked = asyncio.get_running_loop().run_in_executor(None, _ask_later, port)
        time.sleep(0.8)  # noqa: ASYNC251 - this is what is tested
        status, body = await asked
        assert status == 503
        assert body["event loop"].startswith("blocked for ")


def _ask_later(port: int | None) -> tuple[int, dict[str, str]]:
    time.sleep(0.4)
    return ask(port, "/healthz")


def test_a_part_that_never_beats_is_not_asked_to() -> None:
    now = [0.0]
    liveness = Liveness(clock=lambda: now[0])
    now[0] = 10 * LOOP_BLOCKED_SECONDS
    assert liveness.problems() == {}
    liveness.beat()
    now[0] += LOOP_BLOCKED_SECONDS + 1
    assert liveness.problems() == {"event loop": "blocked for 6 s"}
    liveness.beat()
    assert liveness.problems() == {}


def test_a_json_line_names_the_object_it_is_about(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("test")
    with caplog.at_level(logging.INFO, "test"):
        log.info("status %s", "refused", extra=about("Reactor", "east", "bruce-1"))
        try:
            raise ValueError("two\nlines")
        except ValueError:
            log.exception("no plan")
    first, second = (json.loads(JsonFormatter().format(record)) for record in caplog.records)
    assert first["time"].endswith("Z")
    del first["time"]
    assert first == {
        "level": "INFO",
        "logger": "test",
        "message": "status refused",
        "kind": "Reactor",
        "namespace": "east",
        "name": "bruce-1",
    }
    assert "ValueError: two" in second["exception"]


def test_a_note_is_reported_and_does_not_count() -> None:
    readiness = Readiness()
    readiness.works("store")
    readiness.note({"namespace east": "forbidden"})
    assert readiness.ready
    assert readiness.report() == {"namespace east": "forbidden", "store": "ok"}
    readiness.note({})
    assert readiness.report() == {"store": "ok"}
