"""Connections: every session is alike, and a restart of Postgres is survived."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from reactorsync.db.engine import create_engine


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(
        SecretStr(database_url),
        application_name="reactorsync-historian",
        pool_size=2,
        statement_timeout_seconds=0.3,
    )
    yield engine
    await engine.dispose()


async def show(engine: AsyncEngine, name: str) -> str:
    async with engine.connect() as connection:
        return str(await connection.scalar(text(f"SHOW {name}")))


async def test_sessions_are_in_utc_and_say_whose_they_are(engine: AsyncEngine) -> None:
    assert await show(engine, "timezone") == "UTC"
    assert await show(engine, "application_name") == "reactorsync-historian"


async def test_a_statement_that_takes_too_long_is_cancelled(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(OperationalError, match="statement timeout"):
            await connection.execute(text("SELECT pg_sleep(5)"))


async def test_options_of_the_url_win(database_url: str) -> None:
    engine = create_engine(
        f"{database_url}?options=-c%20statement_timeout%3D7s", application_name="test"
    )

    assert await show(engine, "statement_timeout") == "7s"
    assert await show(engine, "timezone") == "UTC"
    await engine.dispose()


async def test_a_connection_that_died_in_the_pool_is_replaced(engine: AsyncEngine) -> None:
    async with engine.connect() as one, engine.connect() as other:
        victim = await one.scalar(text("SELECT pg_backend_pid()"))
        await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": victim})
        with pytest.raises(OperationalError):
            await one.execute(text("SELECT 1"))

    for _ in range(3):
        assert await show(engine, "timezone") == "UTC"


@pytest.mark.parametrize("url", ["postgresql://a@b/c", "sqlite+aiosqlite:///x"])
def test_a_url_of_another_driver_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must start with postgresql\+psycopg"):
        create_engine(url, application_name="test")


def test_the_password_is_not_shown() -> None:
    engine = create_engine(
        SecretStr("postgresql+psycopg://a:hidden@127.0.0.1/c"), application_name="test"
    )

    assert "hidden" not in repr(engine)
