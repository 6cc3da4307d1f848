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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Final, Literal, TypeVar, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import uvloop
from prometheus_client import REGISTRY, Gauge, make_wsgi_app
from pydantic import ValidationError

from reactorsync.settings import PREFIX, Settings, SettingsError, explain_settings_error

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

_READY = Gauge(
    "reactorsync_dependency_ready", "Whether a dependency of this part works.", ["dependency"]
)


LOOP_BLOCKED_SECONDS: Final = 5.0
"""A part that beats, and whose event loop then does nothing else for so long, is not alive."""


PROBLEMS_TOLD: Final = 8
"""How many problems of one dependency are logged before it works again."""


@dataclass(slots=True)
class Liveness:
    """Whether a part can still heal by itself; ``/healthz`` fails while it says it cannot.

    What is failing outside belongs to :class:`Readiness`: a restart would not bring it back.
    Everything here may be called from the event loop while the probes' thread asks.
    """

    clock: Callable[[], float] = time.monotonic
    _problems: dict[str, str] = field(default_factory=dict)
    _beat_at: float | None = None

    def beat(self) -> None:
        """Say that the event loop runs. From the first call on it must be said again and again."""
        self._beat_at = self.clock()

    def works(self, name: str) -> None:
        """Say that ``name`` is as it should be."""
        if self._problems.pop(name, None) is not None:
            log.info("%s: alive again", name)

    def fails(self, name: str, problem: str) -> None:
        """Say that only a restart will help ``name``, and why in one line."""
        if name not in self._problems:
            log.error("%s: %s", name, problem)
        self._problems[name] = problem

    def problems(self) -> dict[str, str]:
        """Return what is wrong, by name; nothing while the part is alive."""
        problems = dict(self._problems)
        beat_at = self._beat_at
        blocked = 0.0 if beat_at is None else self.clock() - beat_at
        if blocked > LOOP_BLOCKED_SECONDS:
            problems["event loop"] = f"blocked for {blocked:.0f} s"
        return problems


@dataclass(slots=True)
class Readiness:
    """Which dependencies of a part work now; the part is ready when all of them do.

    A part declares its dependencies at start, so that it is not ready before each has worked once.
    ``liveness`` says whether the part itself works. A note says what is amiss in a corner that the
    part does without.
    """

    liveness: Liveness = field(default_factory=Liveness)
    _problems: dict[str, str | None] = field(default_factory=dict)
    _told: dict[str, set[str]] = field(default_factory=dict)
    _notes: dict[str, str] = field(default_factory=dict)

    def note(self, notes: Mapping[str, str]) -> None:
        """Report these, by name, instead of earlier ones; they do not count against the part."""
        self._notes = dict(notes)

    def expect(self, *dependencies: str) -> None:
        """Declare dependencies; each counts as failing until :meth:`works` is called."""
        for dependency in dependencies:
            self.fails(dependency, "not yet reached")

    def works(self, dependency: str) -> None:
        """Say that ``dependency`` works."""
        if self._problems.get(dependency, "") is not None:
            log.info("%s: ready", dependency)
        self._told.pop(dependency, None)
        self._problems[dependency] = None
        _READY.labels(dependency).set(1)

    def drop(self, dependency: str) -> None:
        """Say that ``dependency``, which may have been failing, is of no concern any more."""
        if self._problems.pop(dependency, None) is not None:
            log.info("%s: no longer failing", dependency)
            self._told.pop(dependency, None)
            _READY.labels(dependency).set(1)

    def fails(self, dependency: str, problem: str) -> None:
        """Say that ``dependency`` does not work, and why in one line.

        Each problem is logged once until it works again, however they alternate.
        """
        told = self._told.setdefault(dependency, set())
        if problem not in told and len(told) < PROBLEMS_TOLD:
            told.add(problem)
            log.warning("%s: %s", dependency, problem)
        self._problems[dependency] = problem
        _READY.labels(dependency).set(0)

    @property
    def ready(self) -> bool:
        """Whether every declared dependency works; not before any has been declared."""
        problems = self._problems.values()
        return bool(problems) and all(problem is None for problem in problems)

    def report(self) -> dict[str, str]:
        """Return ``ok`` or the problem, by dependency, and what was noted."""
        problems = {name: problem or "ok" for name, problem in self._problems.items()}
        return dict(sorted((self._notes | problems).items()))


class OutageLog:
    """Logs that something fails, and that it works again, but not each attempt in between.

    After the first failure the next line comes after ``first_seconds``, then after twice as long,
    up to ``limit_seconds``. ``clock`` returns monotonic seconds.
    """

    def __init__(
        self,
        logger: logging.Logger,
        name: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        first_seconds: float = 30.0,
        limit_seconds: float = 600.0,
    ) -> None:
        self._log = logger
        self._name = name
        self._clock = clock
        self._first_seconds = first_seconds
        self._limit_seconds = limit_seconds
        self._since: float | None = None
        self._next_at = 0.0
        self._pause = first_seconds

    def fails(self, problem: str) -> None:
        """Note another failure."""
        now = self._clock()
        if self._since is None:
            self._since, self._pause = now, self._first_seconds
            self._log.warning("%s: %s", self._name, problem)
        elif now >= self._next_at:
            self._log.warning("%s: for %.0f s now: %s", self._name, now - self._since, problem)
            self._pause = min(2 * self._pause, self._limit_seconds)
        else:
            return
        self._next_at = now + self._pause

    def works(self) -> None:
        """Note a success."""
        if self._since is not None:
            away = self._clock() - self._since
            self._log.info("%s: works again after %.0f s", self._name, away)
            self._since = None


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

    Yields the port, ``None`` when ``port`` is ``None`` and nothing is served. Raises
    :class:`SettingsError` when it cannot listen there.
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
            problems = readiness.liveness.problems()
            status = "503 Service Unavailable" if problems else "200 OK"
            body = {"status": "failing" if problems else "ok"} | problems
        elif path == "/readyz":
            status = "200 OK" if readiness.ready else "503 Service Unavailable"
            body = readiness.report()
        else:
            status, body = "404 Not Found", {"status": "no such probe"}
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]

    try:
        made = make_server(
            host, port, answer, server_class=_ThreadingServer, handler_class=_QuietHandler
        )
    except OSError as error:
        raise SettingsError(
            f"{PREFIX}METRICS_PORT: cannot listen on {host}:{port}: {error.strerror}"
        ) from error
    with made as server:
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


LogFormat = Literal["text", "json"]

_ABOUT: Final = ("kind", "namespace", "name")


def about(kind: str, namespace: str, name: str) -> dict[str, str]:
    """Return ``extra`` of a log record that is about one object, so that it can be searched by."""
    return {"object_kind": kind, "object_namespace": namespace, "object_name": name}


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the keys of the object a record is :func:`about`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        written = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": written.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for key in _ABOUT:
            value = getattr(record, f"object_{key}", None)
            if value is not None:
                line[key] = str(value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logging(level: str, log_format: LogFormat = "text") -> None:
    """Log to standard error: UTC time, level, logger, message."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        formatter.converter = time.gmtime
        handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    # Offsets of a slot that was just deleted are tried for seconds, with a line for each partition;
    # whoever commits is told by an exception.
    logging.getLogger("aiokafka.consumer.group_coordinator").addFilter(_is_no_offset_failure)


def _is_no_offset_failure(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("OffsetCommit failed")


def heed_signals(stopping: asyncio.Event) -> None:
    """Set ``stopping`` at the first SIGTERM or SIGINT; end the process at the second."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if stopping.is_set():
            raise SystemExit(1)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def run_part(part: Part, settings: Settings) -> None:
    """Run a part until SIGTERM or SIGINT: the first asks it to stop, the second ends it."""
    configure_logging(settings.log_level, settings.log_format)

    async def main() -> None:
        stopping = asyncio.Event()
        readiness = Readiness()
        heed_signals(stopping)
        async with probe_server(settings.metrics_host, settings.metrics_port, readiness):
            await part(stopping, readiness)

    try:
        uvloop.run(main())
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(EXIT_SETTINGS) from error
