"""What every long-running part does alike: logs, probes and metrics, orderly stop, back-off."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Final, TypeVar, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import uvloop
from prometheus_client import REGISTRY, Gauge, make_wsgi_app
from pydantic import ValidationError

from reactorsync.settings import Settings, SettingsError, explain_settings_error

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

_READY = Gauge(
    "reactorsync_dependency_ready", "Whether a dependency of this part works.", ["dependency"]
)


@dataclass(slots=True)
class Readiness:
    """Which dependencies of a part work now; the part is ready when all of them do.

    A part declares its dependencies at start, so that it is not ready before each has worked once.
    """

    _problems: dict[str, str | None] = field(default_factory=dict)

    def expect(self, *dependencies: str) -> None:
        """Declare dependencies; each counts as failing until :meth:`works` is called."""
        for dependency in dependencies:
            self.fails(dependency, "not yet reached")

    def works(self, dependency: str) -> None:
        """Say that ``dependency`` works."""
        if self._problems.get(dependency, "") is not None:
            log.info("%s: ready", dependency)
        self._problems[dependency] = None
        _READY.labels(dependency).set(1)

    def fails(self, dependency: str, problem: str) -> None:
        """Say that ``dependency`` does not work, and why in one line."""
        if self._problems.get(dependency) != problem:
            log.warning("%s: %s", dependency, problem)
        self._problems[dependency] = problem
        _READY.labels(dependency).set(0)

    @property
    def ready(self) -> bool:
        """Whether every declared dependency works."""
        return all(problem is None for problem in self._problems.values())

    def report(self) -> dict[str, str]:
        """Return ``ok`` or the problem, by dependency."""
        return {name: problem or "ok" for name, problem in sorted(self._problems.items())}


@dataclass(slots=True)
class Backoff:
    """Growing pauses between attempts: exponential, jittered, bounded.

    ``first_seconds`` doubles with every pause up to ``limit_seconds``; the jitter takes up to half
    of each pause away so that parts do not come back all at once.
    """

    first_seconds: float = 0.2
    limit_seconds: float = 10.0
    _attempt: int = 0

    def next_pause(self) -> float:
        """Return how long to wait before the next attempt, in seconds."""
        pause = min(self.first_seconds * 2.0**self._attempt, self.limit_seconds)
        self._attempt = min(self._attempt + 1, 32)
        return float(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret

    def reset(self) -> None:
        """Start small again, after a success."""
        self._attempt = 0


async def pause(seconds: float, stopping: asyncio.Event) -> bool:
    """Wait, but not longer than until ``stopping``; return whether it is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), timeout=seconds)
    return stopping.is_set()


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Probes come every few seconds: they are not worth a line."""


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@contextlib.asynccontextmanager
async def probe_server(
    host: str, port: int | None, readiness: Readiness
) -> AsyncIterator[int | None]:
    """Serve ``/healthz``, ``/readyz`` and ``/metrics`` while the context lasts.

    Yields the port, ``None`` when ``port`` is ``None`` and nothing is served.
    """
    if port is None:
        yield None
        return
    metrics = make_wsgi_app(REGISTRY)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return cast("Iterable[bytes]", metrics(environ, start_response))
        if path == "/healthz":
            status, body = "200 OK", {"status": "ok"}
        elif path == "/readyz":
            status = "200 OK" if readiness.ready else "503 Service Unavailable"
            body = readiness.report()
        else:
            status, body = "404 Not Found", {"status": "no such probe"}
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]

    with make_server(
        host, port, answer, server_class=_ThreadingServer, handler_class=_QuietHandler
    ) as server:
        thread = threading.Thread(target=server.serve_forever, name="probes", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            await asyncio.to_thread(server.shutdown)


Part = Callable[[asyncio.Event, Readiness], Awaitable[None]]
"""A part's main coroutine: runs until the event is set, then cleans up and returns."""

EXIT_SETTINGS: Final = 2

S = TypeVar("S", bound=Settings)


def load_settings(settings_class: type[S]) -> S:
    """Return the part's settings, or end the process with one line per variable that is wrong."""
    try:
        try:
            return settings_class()
        except ValidationError as error:
            raise explain_settings_error(error) from error
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(EXIT_SETTINGS) from error


def configure_logging(level: str) -> None:
    """Log to standard error: UTC time, level, logger, message."""
    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        force=True,
    )
    logging.Formatter.converter = time.gmtime
    logging.getLogger("aiokafka").setLevel(logging.ERROR)


def run_part(part: Part, settings: Settings) -> None:
    """Run a part until SIGTERM or SIGINT: the first asks it to stop, the second ends it."""
    configure_logging(settings.log_level)

    async def main() -> None:
        stopping = asyncio.Event()
        readiness = Readiness()
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if stopping.is_set():
                raise SystemExit(1)
            stopping.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        async with probe_server(settings.metrics_host, settings.metrics_port, readiness):
            await part(stopping, readiness)

    uvloop.run(main())
