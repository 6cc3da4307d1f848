"""The embedded Postgres: safe on a shared machine, and intact after any kill."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy.engine import make_url

from reactorsync_local.embedded import EmbeddedPostgres, PostgresUnavailable
from reactorsync_local.embedded.postgres import SETTINGS
from reactorsync_local.supervisor import (
    Account,
    Child,
    Command,
    LocalError,
    LogFile,
    ProcessState,
    SupervisedProcess,
    free_port,
    is_alive,
)
from tests.local.supervisor.programs import elsewhere, first_line, says, until
from tests.servers import TEST_SETTINGS, PostgresServer

Start = Callable[[], AbstractAsyncContextManager[tuple[EmbeddedPostgres, SupervisedProcess]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for the tests of this module, which start and stop servers on it in turn."""
    return tmp_path_factory.mktemp("state") / "postgres"


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Start:
    """Runs a server on the module's folder."""

    @asynccontextmanager
    async def start() -> AsyncIterator[tuple[EmbeddedPostgres, SupervisedProcess]]:
        postgres = EmbeddedPostgres(folder, port=free_port(), settings=TEST_SETTINGS)
        process = SupervisedProcess(postgres.service(), log=LogFile(tmp_path / "postgres.log"))
        await process.start()
        try:
            yield postgres, process
        finally:
            await process.stop()

    return start


RUN_ELSEWHERE = """
import asyncio, sys
from pathlib import Path
from reactorsync_local.embedded import EmbeddedPostgres
from reactorsync_local.supervisor import LogFile, SupervisedProcess, free_port

async def main(folder, log):
    postgres = EmbeddedPostgres(Path(folder), port=free_port())
    await SupervisedProcess(postgres.service(), log=LogFile(Path(log))).start()
    print("running", flush=True)
    await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""


def ask(url: str, query: str) -> object:
    """First value of a query's first row."""
    with psycopg.connect(libpq(url)) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row is not None else None


def do(url: str, statement: str) -> None:
    """Execute and commit."""
    with psycopg.connect(libpq(url)) as connection:
        connection.execute(statement)


def libpq(url: str) -> str:
    """An URL as psycopg itself takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def modes_in(folder: Path) -> dict[str, int]:
    """Permissions of what lies in a folder."""
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def processes_of(folder: Path) -> list[psutil.Process]:
    """The server of a folder and its children."""
    for process in psutil.process_iter():
        try:
            if process.name() == "postgres" and str(folder / "cluster") in process.cmdline():
                return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    return []


class TestAccess:
    """Who can reach the data."""

    def test_the_common_role_owns_its_database_and_is_no_superuser(
        self, postgres_server: PostgresServer
    ) -> None:
        url = postgres_server.postgres.database_url

        assert ask(url, "SELECT current_user || '/' || current_database()") == (
            "reactorsync/reactorsync"
        )
        assert ask(url, "SELECT current_setting('is_superuser')") == "off"

    def test_vectors_are_there_in_every_database(self, empty_database_url: str) -> None:
        do(empty_database_url, "CREATE EXTENSION IF NOT EXISTS vector")

        assert ask(empty_database_url, "SELECT '[1,2]'::halfvec <-> '[1,5]'::halfvec") == 3.0

    @pytest.mark.parametrize("user", ["reactorsync", "postgres"])
    def test_nobody_comes_in_without_the_password(
        self, postgres_server: PostgresServer, user: str
    ) -> None:
        url = make_url(postgres_server.postgres.database_url).set(username=user, password="guess")

        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            ask(url.render_as_string(hide_password=False), "SELECT 1")

    def test_it_listens_on_the_loopback_address_and_on_no_socket_file(
        self, postgres_server: PostgresServer
    ) -> None:
        postgres = postgres_server.postgres
        listening = {
            c.laddr.ip
            for c in psutil.net_connections(kind="tcp")
            if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == postgres.port
        }

        assert listening == {"127.0.0.1"}
        url = postgres.url("postgres", superuser=True)
        assert ask(url, "SHOW unix_socket_directories") == ""

    async def test_the_passwords_are_for_the_owner_alone(self, server: Start, folder: Path) -> None:
        async with server():
            pass

        assert modes_in(folder) == {
            "cluster": 0o700,
            "credentials.json": 0o600,
            "initdb.log": 0o600,
        }

    @pytest.mark.skipif(os.geteuid() != 0, reason="as a normal user the server is that user's")
    async def test_for_root_the_server_runs_as_another_user(
        self, server: Start, folder: Path
    ) -> None:
        async with server():
            users = {process.uids().effective for process in processes_of(folder)}

        assert len(users) == 1
        assert 0 not in users
        assert (folder / "cluster").stat().st_uid in users


class TestSettings:
    """How the server is set up."""

    def test_commits_wait_for_the_disk_unless_a_test_says_otherwise(self) -> None:
        assert SETTINGS["synchronous_commit"] == "on"
        assert "fsync" not in SETTINGS

    def test_settings_of_the_caller_win(self, postgres_server: PostgresServer) -> None:
        url = postgres_server.postgres.database_url

        assert ask(url, "SHOW shared_buffers") == TEST_SETTINGS["shared_buffers"]
        assert ask(url, "SHOW max_locks_per_transaction") == "256"
        assert ask(url, "SHOW timezone") == "UTC"

    def test_text_is_ordered_alike_on_every_machine(self, empty_database_url: str) -> None:
        query = "SELECT string_agg(n, '' ORDER BY n) FROM unnest(ARRAY['b','A','é','a']) n"

        assert ask(empty_database_url, query) == "Aabé"
        assert ask(empty_database_url, "SELECT upper('é')") == "É"


class TestLife:
    """Stops, kills and starts over one data folder."""

    async def test_rows_outlive_a_restart(self, server: Start) -> None:
        async with server() as (postgres, _):
            do(postgres.database_url, "CREATE TABLE restarted AS SELECT 42 AS answer")
        async with server() as (postgres, process):
            assert ask(postgres.database_url, "SELECT answer FROM restarted") == 42
        assert process.last_exit == "exit code 0"

    async def test_a_stop_does_not_wait_for_idle_clients(self, server: Start) -> None:
        async with server() as (postgres, process):
            with psycopg.connect(libpq(postgres.database_url)):
                await asyncio.wait_for(process.stop(), 5)

        assert process.last_exit == "exit code 0"

    async def test_committed_rows_outlive_kill_9_of_every_process(
        self, server: Start, folder: Path
    ) -> None:
        async with server() as (postgres, process):
            do(postgres.database_url, "CREATE TABLE killed AS SELECT 42 AS answer")
            for victim in processes_of(folder):
                victim.kill()
            async with asyncio.timeout(10):
                while process.restarts == 0 or process.state is not ProcessState.READY:
                    await asyncio.sleep(0.02)

            assert ask(postgres.database_url, "SELECT answer FROM killed") == 42

    async def test_a_busy_backend_does_not_hold_up_the_restart_of_its_killed_server(
        self, server: Start, folder: Path
    ) -> None:
        endless = "SELECT count(*) FROM generate_series(1, 10000000000)"
        async with server() as (postgres, process):
            async with await psycopg.AsyncConnection.connect(libpq(postgres.database_url)) as busy:
                query = asyncio.create_task(busy.execute(endless))
                await asyncio.sleep(0.2)
                processes_of(folder)[0].kill()
                async with asyncio.timeout(10):
                    while process.restarts == 0 or process.state is not ProcessState.READY:
                        await asyncio.sleep(0.02)
                with pytest.raises(psycopg.OperationalError):
                    await query

            assert process.restarts == 1
            assert ask(postgres.database_url, "SELECT 1") == 1

    @pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has a parent death signal")
    async def test_the_server_ends_with_a_killed_supervisor(
        self, server: Start, folder: Path, tmp_path: Path
    ) -> None:
        with elsewhere(RUN_ELSEWHERE, folder, tmp_path / "other.log") as other:
            assert first_line(other) == "running"
            left = processes_of(folder)
            other.kill()
        await until(lambda: not any(is_alive(process) for process in left))

        assert left
        assert says(tmp_path / "other.log", "database system is shut down")
        async with server() as (postgres, _):
            assert ask(postgres.database_url, "SELECT 1") == 1

    async def test_a_server_left_running_is_ended_first(
        self, server: Start, folder: Path, tmp_path: Path
    ) -> None:
        postgres = EmbeddedPostgres(folder, port=free_port(), settings=TEST_SETTINGS)
        service = postgres.service()
        assert service.prepare is not None
        await service.prepare()
        left = Child.spawn(service.command(), log=LogFile(tmp_path / "left.log"))
        while not await postgres.is_ready():
            await asyncio.sleep(0.02)

        async with server() as (postgres, process):
            assert ask(postgres.database_url, "SELECT 1") == 1
            assert process.restarts == 0
        assert await left.wait() == 0

    @pytest.mark.parametrize("used", [True, False], ids=["pid in use", "pid not in use"])
    async def test_a_stale_pid_file_does_not_keep_the_server_from_starting(
        self, server: Start, folder: Path, tmp_path: Path, used: bool
    ) -> None:
        async with server():
            content = (folder / "cluster" / "postmaster.pid").read_text().split("\n")
            account = processes_of(folder)[0].uids().effective
        command = Command(
            argv=("sleep", "600"),
            account=Account(uid=account, gid=account) if os.geteuid() == 0 else None,
            cwd=Path("/"),
        )
        # Postgres itself takes a living process of its own user for a second server.
        stranger = Child.spawn(command, log=LogFile(tmp_path / "stranger.log"))
        pid = stranger.pid if used else 2**22 + 1
        (folder / "cluster" / "postmaster.pid").write_text("\n".join([str(pid), *content[1:]]))
        try:
            async with server() as (postgres, process):
                assert ask(postgres.database_url, "SELECT 1") == 1
                assert process.restarts == 0
            assert stranger.poll() is None
        finally:
            stranger.kill()
            await stranger.wait()

    async def test_an_initdb_that_was_killed_is_begun_anew(self, tmp_path: Path) -> None:
        half = tmp_path / "postgres" / "cluster.new"
        half.mkdir(parents=True)
        (half / "PG_VERSION").write_text("18\n")
        postgres = EmbeddedPostgres(tmp_path / "postgres", port=free_port(), settings=TEST_SETTINGS)
        process = SupervisedProcess(postgres.service(), log=LogFile(tmp_path / "postgres.log"))
        await process.start()
        await process.stop()

        assert process.restarts == 0
        assert not half.exists()


class TestRefusals:
    """Folders that cannot be used are said to be so, at once and with what to do."""

    @pytest.fixture
    def copy(self, tmp_path: Path) -> Path:
        """A data folder with its version and no passwords."""
        (tmp_path / "cluster").mkdir()
        (tmp_path / "cluster" / "PG_VERSION").write_text("18\n")
        if os.geteuid() == 0:
            shutil.chown(tmp_path / "cluster", "nobody")
        return tmp_path

    async def refusal(self, folder: Path) -> LocalError:
        """The error of a start."""
        service = EmbeddedPostgres(folder, port=free_port()).service()
        process = SupervisedProcess(service, log=LogFile(folder / "postgres.log"))
        with pytest.raises(LocalError) as error:
            await process.start()
        assert process.restarts == 0
        return error.value

    async def test_data_of_another_version(self, copy: Path) -> None:
        (copy / "cluster" / "PG_VERSION").write_text("16\n")

        error = await self.refusal(copy)

        assert isinstance(error, PostgresUnavailable)
        assert error.problem == f"{copy / 'cluster'} was made by Postgres 16, this is 18"

    @pytest.mark.parametrize("content", [None, "", "{}", "[1]"], ids=repr)
    async def test_lost_passwords(self, copy: Path, content: str | None) -> None:
        if content is not None:
            (copy / "credentials.json").write_text(content)

        error = await self.refusal(copy)

        assert "passwords" in error.problem
        assert f"remove {copy} to begin anew" in error.action

    async def test_wrong_passwords(self, server: Start, folder: Path) -> None:
        file = folder / "credentials.json"
        async with server():
            kept = file.read_text()
        file.write_text('{"superuser_password": "wrong", "password": "wrong"}')
        try:
            with pytest.raises(PostgresUnavailable, match="does not take the password"):
                async with server():
                    pass
        finally:
            file.write_text(kept)

    async def test_an_initdb_that_fails_shows_its_last_words(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("reactorsync_local.embedded.cluster.SUPERUSER", "pg_reserved")

        error = await self.refusal(tmp_path)

        assert error.problem == "initdb failed (exit code 1)"
        assert 'superuser name "pg_reserved" is disallowed' in error.action
