"""Bring a database's schema up to date: ``python -m reactorsync.db.migrate``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine

from reactorsync.settings import DatabaseSettings

log = logging.getLogger(__name__)

_SCRIPTS: Final = "reactorsync.db:migrations"

_alembic = threading.Lock()
"""Alembic keeps what it is doing in its modules, so within a process threads take turns as well."""


class UnknownRevision(Exception):
    """The schema is of a revision that this release does not know: a newer one wrote it."""


def upgrade(database_url: str) -> None:
    """Migrate to the newest revision; at it already, change nothing.

    Safe to call from several processes and threads at once: one migrates, the others wait and find
    it done.

    Raises:
        UnknownRevision: the schema is newer than this release.
        sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    with _alembic, _connect(database_url) as connection:
        _refuse_unknown(_revision(connection))
        command.upgrade(_config(connection), "head")


def downgrade(database_url: str, revision: str = "base") -> None:
    """Migrate back to ``revision``; ``base`` drops every table with all it holds."""
    with _alembic, _connect(database_url) as connection:
        command.downgrade(_config(connection), revision)


def current_revision(database_url: str) -> str | None:
    """Return the revision of the schema, ``None`` for a database without one."""
    with _connect(database_url) as connection:
        return _revision(connection)


def head_revision() -> str:
    """Return the newest revision this release knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise LookupError("no migrations are installed")
    return head


def _revision(connection: Connection) -> str | None:
    revision = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    return revision


def _refuse_unknown(revision: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise UnknownRevision(
            f"the database is at revision {revision}, this release knows none above "
            f"{head_revision()}: use the release that migrated it, or a newer one"
        )


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.attributes["connection"] = connection
    return config


@contextmanager
def _connect(database_url: str) -> Iterator[Connection]:
    engine = create_engine(
        database_url,
        poolclass=NullPool,
        connect_args={"application_name": "reactorsync-migrate", "connect_timeout": 10},
    )
    with engine.connect() as connection:
        yield connection


def main() -> None:
    """Migrate the database of the settings."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    url = DatabaseSettings().database_url.get_secret_value()
    upgrade(url)
    log.info("schema is at revision %s", current_revision(url))


if __name__ == "__main__":
    main()
