"""Connections to Postgres that come back by themselves, and what goes wrong with them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, conninfo, errors
from pydantic import SecretStr
from sqlalchemy.engine import make_url

log = logging.getLogger(__name__)

Connection = AsyncConnection[tuple[Any, ...]]

APPLICATION: Final = "reactorsync-historian"
"""Name of the sessions in ``pg_stat_activity``."""

TRANSACTION_SECONDS: Final = 30.0
"""A transaction that takes longer is given up: the server, or the way to it, is not there."""

_OPTIONS: Final = {
    "lock_timeout": "2s",
    # Ends the session of a process that was stopped between two statements.
    "idle_in_transaction_session_timeout": "10s",
    "timezone": "UTC",
}


class DatabaseUnavailable(Exception):
    """Postgres cannot be reached, or gave a transaction up; trying again later may help."""


def connection_string(database_url: SecretStr) -> str:
    """Return libpq's form of a SQLAlchemy URL."""
    url = make_url(database_url.get_secret_value()).set(drivername="postgresql")
    return conninfo.make_conninfo(
        url.render_as_string(hide_password=False),
        application_name=APPLICATION,
        connect_timeout=5,
        # An answer that never comes is noticed by the kernel, in ms and seconds.
        tcp_user_timeout=10_000,
        keepalives_idle=10,
        options=" ".join(f"-c {name}={value}" for name, value in _OPTIONS.items()),
    )


class Link:
    """One connection for one task, opened when it is needed and again after it broke.

    Args:
        conninfo: see :func:`connection_string`.
        stalled_seconds: a session that holds a lock needed here, and has kept the server waiting
            in a transaction for so long, is ended.
    """

    def __init__(self, conninfo: str, *, stalled_seconds: float = 5.0) -> None:
        self._conninfo = conninfo
        self._stalled_seconds = stalled_seconds
        self._connection: Connection | None = None

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Begin a transaction; commit at the end of the block, roll back when it raises.

        Raises:
            psycopg.errors.UniqueViolation, psycopg.errors.CheckViolation: they say something about
                the rows; the transaction was rolled back.
            DatabaseUnavailable: in place of any other error of Postgres. Whether a commit went
                through is then unknown.
        """
        try:
            async with asyncio.timeout(TRANSACTION_SECONDS):
                connection = await self._connected()
                async with connection.transaction():
                    yield connection
        except (errors.UniqueViolation, errors.CheckViolation):
            raise
        except errors.LockNotAvailable as error:
            await self._end_stalled_sessions()
            raise DatabaseUnavailable(_one_line(error)) from error
        except psycopg.Error as error:
            # Whatever is wrong with this session is not taken along into the next attempt.
            await self.close()
            raise DatabaseUnavailable(_one_line(error)) from error
        except TimeoutError as error:
            await self.close()
            raise DatabaseUnavailable(f"no answer within {TRANSACTION_SECONDS:.0f} s") from error

    async def close(self) -> None:
        """Disconnect; the next transaction connects anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
        return self._connection

    async def _end_stalled_sessions(self) -> None:
        """End sessions of historians that hold locks and have stopped talking.

        A process that was stopped in the middle of a COPY keeps its rows locked for ever: no
        timeout of the server ends a COPY that waits for its client. Ending such a session is always
        safe: its owner will take its partitions over again, or find that another one has.
        """
        with contextlib.suppress(psycopg.Error):
            connection = await self._connected()
            ended = await connection.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = %s AND datname = current_database()
                  AND usename = current_user AND pid <> pg_backend_pid()
                  AND wait_event = 'ClientRead' AND xact_start < now() - make_interval(secs => %s)
                """,
                (APPLICATION, self._stalled_seconds),
            )
            if ended.rowcount:
                log.warning("ended %d stalled sessions that held locks", ended.rowcount)


def _one_line(error: psycopg.Error) -> str:
    text = str(error).strip().split("\n", 1)[0]
    return text or type(error).__name__
