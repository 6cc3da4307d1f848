"""What a part says of what it depends on, and how often."""

import logging
import os
import socket
import subprocess
import sys

import pytest

from reactorsync.service import PROBLEMS_TOLD, OutageLog, Readiness

PART = """
from reactorsync.service import load_settings, run_part
from reactorsync.settings import Settings

async def part(stopping, readiness):
    stopping.set()

run_part(part, load_settings(Settings))
"""


def test_problems_that_alternate_are_logged_once_until_it_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    readiness = Readiness()
    for _ in range(10):
        readiness.fails("store", "connection refused")
        readiness.fails("store", "timed out")
    readiness.works("store")
    readiness.fails("store", "timed out")
    assert [one.getMessage() for one in caplog.records] == [
        "store: connection refused",
        "store: timed out",
        "store: ready",
        "store: timed out",
    ]
    assert readiness.report() == {"store": "timed out"}


def test_problems_that_are_always_new_do_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    readiness = Readiness()
    for number in range(100):
        readiness.fails("store", f"attempt {number}")
    assert len(caplog.records) == PROBLEMS_TOLD
    assert readiness.report() == {"store": "attempt 99"}


def test_what_is_of_no_concern_any_more_does_not_count() -> None:
    readiness = Readiness()
    readiness.works("store")
    readiness.fails("statuses", "not written")
    assert not readiness.ready
    readiness.drop("statuses")
    assert readiness.ready
    assert readiness.report() == {"store": "ok"}


def test_an_outage_is_logged_less_and_less_often(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 0.0
    outage = OutageLog(logging.getLogger("tests"), "lease", clock=lambda: now)
    for second in range(101):
        now = float(second)
        outage.fails("refused")
    outage.works()
    outage.works()
    assert [one.getMessage() for one in caplog.records] == [
        "lease: refused",
        "lease: for 30 s now: refused",
        "lease: for 90 s now: refused",
        "lease: works again after 100 s",
    ]


@pytest.mark.parametrize(("variable", "value"), [("LOG_LEVEL", "LOUD"), ("METRICS_PORT", "taken")])
def test_settings_that_cannot_be_used_are_named_in_one_line(variable: str, value: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        name = f"REACTORSYNC_{variable}"
        ended = subprocess.run(
            [sys.executable, "-c", PART],
            env={**os.environ, name: port if value == "taken" else value},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"{name}: ")


def test_a_log_level_may_be_written_in_small_letters() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PART],
        env={**os.environ, "REACTORSYNC_LOG_LEVEL": "debug"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0
