import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def pyproject(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def packages(root: Path, pyproject: dict[str, Any]) -> list[Path]:
    """The folders of the packages that the wheel carries, one per part."""
    targets = pyproject["tool"]["hatch"]["build"]["targets"]
    return [root / package for package in targets["wheel"]["packages"]]


@pytest.fixture(scope="session")
def files(root: Path) -> list[Path]:
    """Every file that is or would be committed."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [root / name for name in listing.split("\0") if name and (root / name).is_file()]
