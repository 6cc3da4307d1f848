"""A whole installation in a temporary folder, started and stopped by the command itself."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reactorsync_local.main import app
from reactorsync_local.supervisor import InstanceState, free_port

COMMAND = Path(sys.executable).with_name("reactorsync")


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A state folder, and the command that works on it."""

    state_dir: Path
    api_port: int

    def __call__(
        self, *arguments: str, stdin: str = "", timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run `reactorsync` as a user would; its exit code is not checked."""
        return subprocess.run(
            [COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=self.state_dir.parent,
            env={**_clean_environment(), "REACTORSYNC_STATE_DIR": str(self.state_dir)},
        )

    def ask(self, *arguments: str) -> str:
        """Run `reactorsync` within this process, which is quicker; return what it prints."""
        environment: dict[str, str | None] = {"REACTORSYNC_STATE_DIR": str(self.state_dir)}
        result = CliRunner().invoke(app, list(arguments), env=environment)
        assert result.exit_code == 0, result.output
        return result.stdout

    def up(self) -> subprocess.CompletedProcess[str]:
        """Start everything in the background, without the sample fleet."""
        port = str(self.api_port)
        return self("up", "--plain", "--detach", "--empty", "--api-port", port, timeout=110)

    @property
    def state(self) -> InstanceState:
        """What the supervisor last wrote."""
        state = InstanceState.read(self.state_dir)
        assert state is not None
        return state


def _clean_environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if not name.startswith("REACTORSYNC_")
    }


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that is up for the tests of a module."""
    folder = tmp_path_factory.mktemp("installation")
    installation = Installation(state_dir=folder / ".reactorsync", api_port=free_port())
    started = installation.up()
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        yield installation
    finally:
        installation("down")
