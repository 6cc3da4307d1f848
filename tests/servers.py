"""The real servers behind the fixtures of `conftest.py`, for annotations in tests."""

import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from reactorsync_local.embedded import EmbeddedBroker, EmbeddedPostgres
from reactorsync_local.supervisor import LogFile, SupervisedProcess

TEST_SETTINGS = {
    # The operating system survives these tests, so nothing has to be forced to the disk.
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "min_wal_size": "64MB",
}

_VACUUM_SECONDS = 30.0
"""How long the server's own vacuuming of a small database may hold up its end."""


class PostgresServer:
    """One embedded server; makes and drops databases for tests. URLs are SQLAlchemy's."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self.postgres = postgres
        self._numbers = count(1)

    def create_database(self, *, template: str = "template1") -> str:
        """URL of a new database, owned by the role that all parts connect as."""
        name = f"test_{next(self._numbers)}"
        self._execute(
            # Copying files is quicker than logging pages for a template that nobody writes to.
            sql.SQL("CREATE DATABASE {name} TEMPLATE {template} STRATEGY {strategy}").format(
                name=sql.Identifier(name),
                template=sql.Identifier(template),
                strategy=sql.Identifier("file_copy"),
            )
        )
        return self.postgres.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database, disconnecting whoever still uses it."""
        name = sql.Identifier(make_url(url).database or "")
        deadline = time.monotonic() + _VACUUM_SECONDS
        while True:
            try:
                self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            except psycopg.errors.InsufficientPrivilege:
                # The server itself is vacuuming it, and only a superuser may end that.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def _execute(self, statement: sql.Composed) -> None:
        url = make_url(self.postgres.database_url).set(drivername="postgresql")
        with psycopg.connect(
            url.render_as_string(hide_password=False), autocommit=True
        ) as connection:
            connection.execute(statement)


class FreshBroker:
    """An embedded broker of one test, which may restart it, kill it or leave it down."""

    def __init__(self, *, port: int, log: Path, topics: Mapping[str, int] | None = None) -> None:
        self.topics = dict(topics or {})
        """Partitions of the topics made at every start; a test may add to them."""
        self._broker = EmbeddedBroker(port=port, topics=lambda: self.topics)
        self._log = LogFile(log)
        self._process: SupervisedProcess | None = None

    @property
    def bootstrap(self) -> str:
        """Address for clients; the same after every restart."""
        return self._broker.bootstrap

    @property
    def cluster_id(self) -> str | None:
        """Kafka cluster id of the newest start."""
        return self._broker.cluster_id

    async def start(self) -> None:
        """Start and wait until it answers; from then on it is restarted if it dies."""
        self._process = SupervisedProcess(self._broker.service(), log=self._log)
        await self._process.start()

    async def stop(self) -> None:
        """Stop it, and keep it down until `start`."""
        if self._process is not None:
            await self._process.stop()
            self._process = None

    async def restart(self) -> None:
        """Stop and start: everything the broker held is forgotten."""
        await self.stop()
        await self.start()

    def kill(self) -> None:
        """SIGKILL it; the supervision starts it again after a fifth of a second."""
        if self._process is not None:
            self._process.kill()
