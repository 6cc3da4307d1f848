"""The locks pin everything the project asks for, by hash, and work behind any package index."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

LOCKS = ("requirements.lock", "requirements-dev.lock")
PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)")


def pins(lock: Path) -> dict[str, Version]:
    found = (PIN.match(line) for line in lock.read_text().splitlines())
    return {pin["name"]: Version(pin["version"]) for pin in found if pin}


def group(pyproject: dict[str, Any], name: str) -> Iterator[Requirement]:
    for entry in pyproject["dependency-groups"][name]:
        if isinstance(entry, str):
            yield Requirement(entry)
        else:
            yield from group(pyproject, entry["include-group"])


def asked_for(pyproject: dict[str, Any], groups: list[str]) -> list[Requirement]:
    project = pyproject["project"]
    extras = project["optional-dependencies"].values()
    written = [*project["dependencies"], *(entry for extra in extras for entry in extra)]
    requirements = [
        *map(Requirement, written),
        *(requirement for name in groups for requirement in group(pyproject, name)),
    ]
    return [requirement for requirement in requirements if requirement.name != project["name"]]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_host(root: Path, name: str) -> None:
    text = (root / name).read_text()

    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash=)", text, re.MULTILINE), "only hashes"


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_of_a_lock_is_a_pin_with_its_hashes(root: Path, name: str) -> None:
    joined = (root / name).read_text().replace("\\\n", " ")
    requirements = [
        line for line in joined.splitlines() if line and not line.lstrip().startswith("#")
    ]

    assert len(requirements) > 30
    for requirement in requirements:
        assert PIN.match(requirement), requirement
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", requirement), requirement


@pytest.mark.parametrize(
    ("name", "groups"), [("requirements.lock", ["build"]), ("requirements-dev.lock", ["dev"])]
)
def test_a_lock_satisfies_the_project(
    root: Path, pyproject: dict[str, Any], name: str, groups: list[str]
) -> None:
    locked = pins(root / name)

    for requirement in asked_for(pyproject, groups):
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in {name}: run make lock"
        assert requirement.specifier.contains(version, prereleases=True), (
            f"{requirement}: make lock"
        )


def test_what_is_tested_is_what_runs(root: Path) -> None:
    running, testing = (pins(root / name) for name in LOCKS)

    assert running.items() <= testing.items()
