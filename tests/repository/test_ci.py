"""CI runs the README's own test command, with the fewest rights, from pinned actions."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def workflows(root: Path) -> list[Path]:
    return sorted((root / ".github" / "workflows").glob("*.y*ml"))


def jobs(root: Path) -> list[dict[str, Any]]:
    documents = [yaml.safe_load(path.read_text()) for path in workflows(root)]
    return [job for document in documents for job in document["jobs"].values()]


def test_every_action_is_pinned_by_commit(root: Path) -> None:
    used = [
        line.split("uses:", 1)[1].strip()
        for path in workflows(root)
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]

    assert used
    assert [action for action in used if not PINNED.match(action)] == []


def test_a_job_gets_only_the_rights_it_names(root: Path) -> None:
    for path in workflows(root):
        assert yaml.safe_load(path.read_text())["permissions"] == {}, path.name
    for job in jobs(root):
        assert "write" not in job["permissions"].values()


def test_every_job_ends(root: Path) -> None:
    assert all(job["timeout-minutes"] <= 60 for job in jobs(root))


def test_the_workflow_runs_what_the_machine_runs(root: Path) -> None:
    commands = [step["run"] for job in jobs(root) for step in job["steps"] if "run" in step]

    assert ".ci/run" in commands


def test_ci_calls_the_test_command_of_the_readme(root: Path) -> None:
    script = root / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert re.search(r"^make test\b", script.read_text(), re.MULTILINE)
    assert re.search(r"^make lint\b", script.read_text(), re.MULTILINE)


@pytest.mark.parametrize("script", [".ci/run", "scripts/venv"])
def test_a_script_stops_at_the_first_error(root: Path, script: str) -> None:
    assert "set -euo pipefail" in (root / script).read_text().splitlines()


def test_commit_hooks_fetch_nothing(root: Path) -> None:
    hooks = yaml.safe_load((root / ".pre-commit-config.yaml").read_text())

    assert {repository["repo"] for repository in hooks["repos"]} == {"local"}


def test_ci_tests_the_operator_on_an_api_server(root: Path) -> None:
    commands = [step["run"] for job in jobs(root) for step in job["steps"] if "run" in step]

    assert "make test-cluster" in commands


def test_the_operator_may_do_the_same_in_one_namespace_as_in_all(root: Path) -> None:
    deploy = root / "operator" / "deploy"
    everywhere, *_ = yaml.safe_load_all((deploy / "base" / "cluster_role.yaml").read_text())
    in_one, *_ = yaml.safe_load_all((deploy / "namespaced" / "access" / "role.yaml").read_text())

    assert in_one["rules"] == everywhere["rules"]
