"""One folder per part, each with one typed package that every tool knows."""

import importlib.util
import operator
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest


def test_the_folder_operator_does_not_hide_the_standard_library(root: Path) -> None:
    assert not (root / "operator" / "__init__.py").exists()
    assert operator.__file__ is not None
    assert Path(operator.__file__).is_relative_to(sysconfig.get_path("stdlib"))


def test_python_started_in_the_repository_finds_the_standard_operator(root: Path) -> None:
    script = "import collections, operator; assert operator.add(1, 1) == 2"
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", script], cwd=root, env=environment, check=True)


def test_every_package_in_the_tree_is_in_the_wheel(root: Path, packages: list[Path]) -> None:
    in_the_tree = {path.parent for path in root.glob("*/reactorsync*/__init__.py")}

    assert set(packages) == in_the_tree


def test_every_package_ships_its_types(packages: list[Path]) -> None:
    untyped = [package.name for package in packages if not (package / "py.typed").is_file()]

    assert untyped == []


@pytest.mark.parametrize(
    "path",
    [("mypy", "mypy_path"), ("ruff", "src")],
    ids="-".join,
)
def test_the_tools_look_in_every_part(
    pyproject: dict[str, Any], packages: list[Path], path: tuple[str, str]
) -> None:
    tool, key = path

    assert sorted(pyproject["tool"][tool][key]) == sorted(
        package.parent.name for package in packages
    )


def test_the_import_rules_cover_every_package(
    pyproject: dict[str, Any], packages: list[Path]
) -> None:
    covered = pyproject["tool"]["importlinter"]["root_packages"]

    assert sorted(covered) == sorted(package.name for package in packages)


SHARED_EXTRAS = {"kubernetes"}
"""What several parts need, and no part is named after."""


def test_the_local_extra_runs_every_part(pyproject: dict[str, Any], packages: list[Path]) -> None:
    extras = set(pyproject["project"]["optional-dependencies"])
    parts = {package.parent.name for package in packages} - {"core"}

    assert extras == parts | SHARED_EXTRAS
    own = next(
        requirement
        for requirement in pyproject["project"]["optional-dependencies"]["local"]
        if requirement.startswith("reactorsync[")
    )
    assert set(own.removeprefix("reactorsync[").removesuffix("]").split(",")) == parts - {"local"}


def test_every_command_leads_to_a_function(pyproject: dict[str, Any]) -> None:
    for target in pyproject["project"]["scripts"].values():
        module_name, function = target.split(":")
        assert importlib.util.find_spec(module_name) is not None, target
        assert callable(getattr(importlib.import_module(module_name), function)), target
