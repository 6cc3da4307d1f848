"""Starting everything in order, and what the running whole needs besides its processes."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from reactorsync_local.embedded import EmbeddedBroker, EmbeddedPostgres
from reactorsync_local.machine.generator_pool import follow_pool
from reactorsync_local.machine.parts import (
    SERVERS_STAGE,
    Part,
    Parts,
    Surroundings,
    migration,
    topics_of_now,
    write_private,
)
from reactorsync_local.machine.probes import Probes
from reactorsync_local.machine.progress import Progress
from reactorsync_local.machine.samples import apply_sample_fleet, find_sample_fleet
from reactorsync_local.server import API_URL, Server, find_token
from reactorsync_local.state_dir import DATABASE_FILE_NAME
from reactorsync_local.supervisor import (
    LocalError,
    LogFile,
    Supervisor,
    describe_exit,
    ensure_free,
    run_to_end,
)
from reactorsync_local.supervisor.ports import LOOPBACK

_OFFERED: Final = "sample-fleet-offered"
"""File whose existence says that the first start is over: an empty fleet is then meant."""

_SHOWN_LINES: Final = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the user chose for `up`."""

    state_dir: Path
    api_port: int
    empty: bool


class Installation:
    """All parts on this machine, under one supervisor that the caller has entered.

    While its context lasts, the number of generators follows the operator's wish.
    """

    def __init__(self, supervisor: Supervisor, options: Options, progress: Progress) -> None:
        self._supervisor = supervisor
        self._options = options
        self._progress = progress
        self._probes = Probes()
        self._state_dir = supervisor.state_dir
        self._pool_file = self._state_dir / "generator-pool.json"
        self._parts: Parts | None = None
        self._following: asyncio.Task[None] | None = None
        self.server = Server(f"http://{LOOPBACK}:{options.api_port}", find_token())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self._probes.close()

    def waiting_for(self, process: str) -> str:
        """Return what a starting process says it lacks, empty when it says nothing."""
        return "" if self._parts is None else self._parts.waiting_for.get(process, "")

    async def start(self) -> None:
        """Start servers, migrate, start the parts, and offer the sample fleet at the first start.

        Raises:
            LocalError: something cannot be started; what has been started still runs.
        """
        ensure_free(self._options.api_port, option="--api-port")
        # What an earlier run wanted says nothing about this one.
        self._pool_file.unlink(missing_ok=True)
        surroundings = await self._start_servers()
        self._parts = parts = Parts(self._supervisor, surroundings, self._probes)
        self._supervisor.add_pool(parts.generators())
        # A generator takes long to start and knows no database: it need not wait for one.
        await asyncio.gather(
            self._migrate_and_start(surroundings, parts),
            self._supervisor.scale(Part.GENERATOR, 1),
        )
        self._following = asyncio.create_task(follow_pool(self._supervisor, self._pool_file))
        self._following.add_done_callback(_report_end)
        await self._offer_samples()
        self._supervisor.publish_url(API_URL, self.server.url)

    async def _start_servers(self) -> Surroundings:
        postgres = EmbeddedPostgres(
            self._state_dir / "postgres", port=self._supervisor.port("postgres")
        )
        broker = EmbeddedBroker(port=self._supervisor.port("broker"), topics=topics_of_now)
        await self._supervisor.start(
            postgres.service(stage=SERVERS_STAGE), broker.service(stage=SERVERS_STAGE)
        )
        url_file = self._state_dir / DATABASE_FILE_NAME
        write_private(url_file, postgres.database_url)
        return Surroundings(
            database_url_file=url_file,
            kafka_bootstrap=broker.bootstrap,
            pool_file=self._pool_file,
            api_port=self._options.api_port,
        )

    async def _migrate_and_start(self, surroundings: Surroundings, parts: Parts) -> None:
        await self._migrate(surroundings)
        await self._supervisor.start(parts.operator(), parts.historian(), parts.api())

    async def _migrate(self, surroundings: Surroundings) -> None:
        step = "migrations"
        self._progress.begin(step)
        log = LogFile(self._supervisor.log_dir / "migrations.log")
        code = await run_to_end(migration(surroundings), log=log)
        if code != 0:
            lines = "".join(f"\n    {line}" for line in log.last_lines(_SHOWN_LINES))
            raise LocalError(
                f"the database could not be brought up to date ({describe_exit(code)})",
                action=f"see {log.path}{lines}",
            )
        self._progress.end(step)

    async def _offer_samples(self) -> None:
        """Declare the sample fleet, once in the life of a state folder."""
        offered = self._state_dir / _OFFERED
        if offered.exists():
            return
        folder = find_sample_fleet()
        if folder is not None and not self._options.empty:
            step = "sample fleet"
            self._progress.begin(step)
            count = await apply_sample_fleet(self.server, folder)
            self._progress.end(step, f"{count} reactors")
        offered.touch()


def _report_end(following: asyncio.Task[None]) -> None:
    """Say when the pool is no longer followed though nobody asked for that."""
    if not following.cancelled() and (error := following.exception()) is not None:
        log.error("the number of generators is no longer followed", exc_info=error)
