"""A real API over a database and a broker of its own, and the command that talks to it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol

import pytest
from anyio.from_thread import BlockingPortal
from typer.testing import CliRunner

from reactorsync.db.migrate import upgrade
from reactorsync_local.machine.parts import Part, part_command
from reactorsync_local.machine.probes import Probes
from reactorsync_local.main import app
from reactorsync_local.supervisor import LogFile, Service, SupervisedProcess, free_port
from tests.servers import PostgresServer

TOPIC_PREFIX = "local-commands"

_namespaces = count(1)


@dataclass(frozen=True, kw_only=True)
class RunningApi:
    """The API's address, and what it works on."""

    url: str
    port: int
    database_url: str
    broker: str


@pytest.fixture(scope="session")
def api(
    servers_portal: BlockingPortal,
    postgres_server: PostgresServer,
    broker: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningApi]:
    """An API process of the session; tests keep apart by namespaces."""
    database_url = postgres_server.create_database()
    upgrade(database_url)
    port = free_port()
    environment = {
        "REACTORSYNC_DATABASE_URL": database_url,
        "REACTORSYNC_KAFKA_BOOTSTRAP": broker,
        "REACTORSYNC_TOPIC_PREFIX": TOPIC_PREFIX,
        "REACTORSYNC_API_PORT": str(port),
        "REACTORSYNC_API_TOKEN": "",
    }

    async def answers() -> bool:
        probes = Probes()
        try:
            readiness = await probes.readiness(port)
        finally:
            await probes.close()
        return "probe" not in readiness.problems

    service = Service(
        name="api", command=lambda: part_command(Part.API, environment), ready=answers
    )
    process = SupervisedProcess(service, log=LogFile(tmp_path_factory.mktemp("api") / "api.log"))
    servers_portal.call(process.start)
    yield RunningApi(
        url=f"http://127.0.0.1:{port}", port=port, database_url=database_url, broker=broker
    )
    servers_portal.call(process.stop)
    postgres_server.drop_database(database_url)


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and its exit code."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """The lines of the result."""
        return self.stdout.splitlines()


class Command(Protocol):
    """Runs `reactorsync` with these arguments."""

    def __call__(self, *arguments: str, stdin: str = "") -> Outcome: ...


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command in an empty folder, where nothing runs."""
    monkeypatch.chdir(tmp_path)
    for name in ("SERVER", "API_TOKEN", "API_TOKEN_FILE", "STATE_DIR", "API_PORT"):
        monkeypatch.delenv(f"REACTORSYNC_{name}", raising=False)

    def command(*arguments: str, stdin: str = "") -> Outcome:
        result = CliRunner().invoke(app, list(arguments), input=stdin, prog_name="reactorsync")
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return command


@pytest.fixture
def reactorsync(offline: Command, api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, with the running API as its server."""
    monkeypatch.setenv("REACTORSYNC_SERVER", api.url)
    return offline


@pytest.fixture
def namespace() -> str:
    """A namespace of this test alone."""
    return f"test-{next(_namespaces)}"


Manifest = Callable[..., str]


@pytest.fixture
def reactor_yaml(namespace: str) -> Manifest:
    """Writes a manifest of a reactor in the test's namespace."""

    def manifest(name: str, *, design: str = "Candu6", labels: str = "{}", spec: str = "") -> str:
        return (
            "apiVersion: reactorsync.dev/v1alpha1\nkind: Reactor\n"
            f"metadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}\n"
            f"spec:\n  design: {design}\n{spec}---\n"
        )

    return manifest


@pytest.fixture
def scenario_yaml(namespace: str) -> Manifest:
    """Writes a manifest of a scenario in the test's namespace."""

    def manifest(name: str, *, target: str = "unit-1", spec: str = "") -> str:
        return (
            "apiVersion: reactorsync.dev/v1alpha1\nkind: AnomalyScenario\n"
            f"metadata: {{name: {name}, namespace: {namespace}}}\n"
            f"spec:\n  targets: {{names: [{target}]}}\n"
            "  stages:\n    - {name: pumps-lost, fault: PumpTrip, durationSeconds: 60}\n"
            f"{spec}---\n"
        )

    return manifest
