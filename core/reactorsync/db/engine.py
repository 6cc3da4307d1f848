"""Connections to Postgres, the same for every part."""

from __future__ import annotations

from typing import Final

from pydantic import SecretStr
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

DRIVER: Final = "postgresql+psycopg"

CONNECT_SECONDS: Final = 5
PEER_SILENCE_SECONDS: Final = 10
"""How long sent data may stay unacknowledged before the connection counts as lost."""


def create_engine(
    url: SecretStr | str,
    *,
    application_name: str,
    pool_size: int = 4,
    statement_timeout_seconds: float = 30.0,
) -> AsyncEngine:
    """Return an engine; nothing connects before its first use.

    Sessions are in UTC. A statement that takes longer than ``statement_timeout_seconds`` is
    cancelled, and so is a transaction that idles for a minute: nothing here keeps one open while it
    waits. A connection is tried before it is handed out, so a restart of Postgres costs the work
    that was under way and nothing after. ``application_name`` shows in ``pg_stat_activity``.

    At most ``pool_size`` connections are open; who needs one more waits up to ten seconds.

    Raises:
        ValueError: the URL is not of Postgres through psycopg.
    """
    return create_async_engine(
        _session_url(
            url,
            application_name=application_name,
            statement_timeout_seconds=statement_timeout_seconds,
        ),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10.0,
        pool_pre_ping=True,
    )


def _session_url(
    url: SecretStr | str, *, application_name: str, statement_timeout_seconds: float
) -> URL:
    """Return the URL with all a session needs, for whoever connects by it without the pool."""
    parsed = make_url(url.get_secret_value() if isinstance(url, SecretStr) else url)
    if parsed.drivername != DRIVER:
        raise ValueError(f"database URL must start with {DRIVER}://, not {parsed.drivername}://")
    session = {
        "timezone": "UTC",
        "statement_timeout": f"{round(statement_timeout_seconds * 1000)}ms",
        "idle_in_transaction_session_timeout": "60s",
    }
    options = " ".join(f"-c {name}={value}" for name, value in session.items())
    given = parsed.query.get("options", "")
    return parsed.update_query_dict(
        {
            "application_name": application_name,
            "connect_timeout": str(CONNECT_SECONDS),
            "keepalives_idle": "30",
            "tcp_user_timeout": str(PEER_SILENCE_SECONDS * 1000),
            # What the URL itself asks for comes last and wins.
            "options": f"{options} {given if isinstance(given, str) else ' '.join(given)}".strip(),
        }
    )
