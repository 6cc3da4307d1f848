"""``up``: run everything on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from reactorsync_local.arguments import StateDirOption
from reactorsync_local.commands.version import this_version
from reactorsync_local.console import is_terminal, output, tell, write_line
from reactorsync_local.errors import BadInput
from reactorsync_local.fleet.monitor import FleetMonitor
from reactorsync_local.fleet.plain import stamped
from reactorsync_local.fleet.show import show_lines, show_screen
from reactorsync_local.machine.detached import start_detached
from reactorsync_local.machine.installation import Installation, Options
from reactorsync_local.machine.progress import LiveProgress, PlainProgress, note_event, shown
from reactorsync_local.machine.samples import find_sample_fleet
from reactorsync_local.server import API_URL, check_exposure
from reactorsync_local.state_dir import find_state_dir, running_instance
from reactorsync_local.supervisor import AlreadyRunning, ProcessEvent, Stopping, Supervisor

_DEFAULT_PORT: Final = 8000
_LOG_NAME: Final = "supervisor.log"
SCREEN_FOOTER: Final = (
    "Ctrl-C stops everything · in another terminal: reactorsync apply -f samples/scenarios/"
    "pump-trip.yaml · watch ringhals-3"
)


def up(
    api_port: Annotated[
        int,
        typer.Option(
            "--api-port",
            envvar="REACTORSYNC_API_PORT",
            min=1,
            max=65535,
            metavar="PORT",
            help="Port of the API.",
        ),
    ] = _DEFAULT_PORT,
    state_dir: StateDirOption = None,
    empty: Annotated[
        bool, typer.Option("--empty", help="Do not declare the sample fleet at the first start.")
    ] = False,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Print lines instead of a screen, as without a terminal."),
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Run in the background; `down` stops it.")
    ] = False,
) -> None:
    """Run everything on this machine: Postgres, broker, operator, generators, historian, API."""
    options = Options(state_dir=find_state_dir(state_dir), api_port=api_port, empty=empty)
    check_exposure()
    if detach:
        _detach(options)
        return
    with _logging_to(options.state_dir):
        _run(options, plain=plain or not is_terminal())


def _detach(options: Options) -> None:
    running = running_instance(options.state_dir)
    if running is not None:
        write_line(_already(running.pid, running.urls.get(API_URL)))
        return
    arguments = ["--state-dir", str(options.state_dir), "--api-port", str(options.api_port)]
    if options.empty:
        arguments.append("--empty")
    url = start_detached(options.state_dir, arguments, write=write_line)
    write_line(f"ReactorSync runs in the background at {url}")
    write_line("  reactorsync watch    shows the fleet")
    write_line("  reactorsync down     stops it")


def _already(pid: int, url: str | None) -> str:
    where = f" at {url}" if url else ", still starting"
    return (
        f"ReactorSync is already running{where} (pid {pid}); `reactorsync watch` shows the fleet."
    )


def _run(options: Options, *, plain: bool) -> None:
    try:
        asyncio.run(_Session(options, plain=plain).run())
    except AlreadyRunning as error:
        running = running_instance(options.state_dir)
        tell(_already(error.pid or 0, running.urls.get(API_URL) if running else None))
        raise typer.Exit(1) from error
    except Stopping as error:
        write_line("Stopped before it was ready.")
        raise typer.Exit(130) from error


class _Session:
    """One run of `up` in the foreground."""

    def __init__(self, options: Options, *, plain: bool) -> None:
        self._options = options
        self._plain = plain
        self._console: Console = output()
        self._installation: Installation | None = None
        self._progress = self._new_progress("Starting ReactorSync", "ready")

    async def run(self) -> None:
        """Start, show the fleet until asked to stop, stop."""
        async with Supervisor(
            self._options.state_dir, listener=self._note, handle_signals=True
        ) as supervisor:
            asyncio.get_running_loop().add_signal_handler(
                signal.SIGHUP, supervisor.stop_requested.set
            )
            try:
                async with Installation(supervisor, self._options, self._progress) as installation:
                    self._installation = installation
                    with self._drawn():
                        await installation.start()
                    self._say_where(installation)
                    await self._show(installation, supervisor.stop_requested)
            finally:
                self._progress = self._new_progress("Stopping ReactorSync", "stopped")
                with self._drawn():
                    await supervisor.stop()
        self._say("Everything has stopped.")

    def _new_progress(self, title: str, verb: str) -> LiveProgress | PlainProgress:
        if self._plain:
            return PlainProgress(self._say, verb=verb)
        return LiveProgress(title, self._waiting_for)

    def _waiting_for(self, process: str) -> str:
        return self._installation.waiting_for(process) if self._installation is not None else ""

    def _note(self, event: ProcessEvent) -> None:
        note_event(self._progress, event)

    @contextlib.contextmanager
    def _drawn(self) -> Iterator[None]:
        if isinstance(self._progress, LiveProgress):
            with shown(self._progress, self._console):
                yield
        else:
            yield

    def _say(self, line: str) -> None:
        write_line(stamped(datetime.now(UTC), line) if self._plain else line)

    def _say_where(self, installation: Installation) -> None:
        url = installation.server.url
        self._say(
            f"ReactorSync is ready: API {url}/api/v1, live {installation.server.websocket_url}"
        )
        if find_sample_fleet() is None:
            self._say("No sample fleet here: declare reactors with `reactorsync apply -f FILE`.")

    async def _show(self, installation: Installation, stopping: asyncio.Event) -> None:
        monitor = FleetMonitor(installation.server, self._options.state_dir, release=this_version())
        if self._plain:
            await show_lines(monitor, write_line, stopping)
        else:
            await show_screen(monitor, self._console, stopping, footer=SCREEN_FOOTER)


@contextlib.contextmanager
def _logging_to(state_dir: Path) -> Iterator[None]:
    """Keep what the supervisor logs in a file: the terminal is for the user."""
    path = state_dir / "logs" / _LOG_NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = logging.FileHandler(path, encoding="utf-8")
        path.chmod(0o600)
    except OSError as error:
        raise BadInput(
            f"cannot write to {path}: {error.strerror}", hint="choose a folder with --state-dir"
        ) from error
    formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(os.environ.get("REACTORSYNC_LOG_LEVEL", "INFO").upper())
    for noisy in ("httpx", "httpcore", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
