"""Alembic's entry point; ``migrate`` hands the connection over in the configuration."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, text

from reactorsync.db.locks import MIGRATIONS
from reactorsync.db.models import Base


def run(connection: Connection) -> None:
    """Run what was asked for in one transaction, one process at a time.

    The lock comes before Alembic reads the revision, so a second process finds the work done.
    """
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATIONS})
        context.run_migrations()


run(context.config.attributes["connection"])
