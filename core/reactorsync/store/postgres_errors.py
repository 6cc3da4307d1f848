"""Which failures mean that Postgres is away, and not that something is wrong with the request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
import sqlalchemy.exc

from reactorsync.store.port import StoreUnavailable

OUTAGES: Final = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    # Every connection of the pool is taken.
    sqlalchemy.exc.TimeoutError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    OSError,
)


def unavailable(error: Exception) -> StoreUnavailable:
    """Return the outage in one line, without the statement that met it."""
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return StoreUnavailable(f"Postgres: {lines[0]}")


@contextmanager
def outages_as_unavailable() -> Iterator[None]:
    """Raise :class:`StoreUnavailable` for what goes wrong inside because Postgres is away."""
    try:
        yield
    except OUTAGES as error:
        raise unavailable(error) from error
