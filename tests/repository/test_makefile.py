"""`make help` is the list of what can be done here, and the documents name only what is on it."""

import re
import subprocess
from pathlib import Path

import pytest

TARGET = re.compile(r"^([a-z-]+):(?!=)", re.MULTILINE)
DOCUMENTS = ("README.md", "CONTRIBUTING.md")


@pytest.fixture(scope="session")
def targets(root: Path) -> set[str]:
    return set(TARGET.findall((root / "Makefile").read_text()))


def test_help_lists_every_target(root: Path, targets: set[str]) -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    explained = re.findall(r"^ +([a-z-]+) +\S", shown, re.MULTILINE)

    assert sorted(explained) == sorted(targets)


def test_every_target_is_phony(root: Path, targets: set[str]) -> None:
    phony = re.findall(r"^\.PHONY: (\S+)$", (root / "Makefile").read_text(), re.MULTILINE)

    assert sorted(phony) == sorted(targets)


@pytest.mark.parametrize(
    "target", ["up", "down", "test", "check", "bench", "lock", "format", "crds"]
)
def test_a_promised_target_exists(targets: set[str], target: str) -> None:
    assert target in targets


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_name_only_targets_that_exist(
    root: Path, targets: set[str], document: str
) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (root / document).read_text(), re.MULTILINE))

    assert {"up", "test"} <= named
    assert named <= targets
