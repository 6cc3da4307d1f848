"""What the pages for people on a cluster say, held to what there is."""

import re
from pathlib import Path

import pytest
import yaml

from reactorsync_local.state_dir import STATE_DIR_VARIABLE
from reactorsync_operator.reconcile.reasons import ReactorReason, ScenarioReason
from reactorsync_operator.settings import OperatorSettings

ROOT = Path(__file__).parents[2]
KUBERNETES = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
GITOPS = (ROOT / "docs" / "gitops.md").read_text(encoding="utf-8")

REASONS = {*map(str, ReactorReason), *map(str, ScenarioReason)}


def troubleshooting() -> list[set[str]]:
    """The words in code of the second column, row by row."""
    rows = re.findall(r"^\| (?:Reactor|AnomalyScenario|both) \| (.+?) \|", KUBERNETES, re.MULTILINE)
    conditions = {"Nominal", "Ready", "Succeeded", "TargetsResolved", "Verified"}
    return [set(re.findall(r"`(\w+)`", row)) - conditions for row in rows]


def test_the_table_names_reasons_that_conditions_have() -> None:
    named = set().union(*troubleshooting())
    assert named - REASONS == set()


@pytest.mark.parametrize(
    "reason",
    [
        ReactorReason.GENERATOR_SILENT,
        ReactorReason.AWAITING_GENERATOR,
        ScenarioReason.DELIVERY_UNAVAILABLE,
        ScenarioReason.ENVIRONMENT_MISMATCH,
        ScenarioReason.GUARD_TRIPPED,
        ScenarioReason.INJECTION_OVERDUE,
        ScenarioReason.LIFT_OVERDUE,
        ScenarioReason.NO_TARGETS,
    ],
)
def test_whatever_does_not_pass_by_waiting_is_in_the_table(reason: str) -> None:
    assert any(reason in row for row in troubleshooting())


def test_settings_named_are_settings() -> None:
    known = {f"REACTORSYNC_{name.upper()}" for name in OperatorSettings.model_fields}
    known.add(STATE_DIR_VARIABLE)
    named = set(re.findall(r"REACTORSYNC_[A-Z_]+", KUBERNETES + GITOPS))
    assert named - known == set()


def test_fields_to_select_by_are_those_of_the_definitions() -> None:
    for path in (ROOT / "crds").glob("*.yaml"):
        version = yaml.safe_load(path.read_text())["spec"]["versions"][0]
        for field in version["selectableFields"]:
            assert f"`{field['jsonPath'].removeprefix('.')}`" in KUBERNETES


@pytest.mark.parametrize("page", [KUBERNETES, GITOPS], ids=["kubernetes", "gitops"])
def test_paths_named_exist(page: str) -> None:
    pattern = r"`((?:samples|gitops|operator/deploy|tests|docs|kustomize)/[\w./-]*)`"
    for name in re.findall(pattern, page):
        assert (ROOT / name).exists() or (ROOT / "samples" / name).exists(), name


def test_the_expressions_shown_are_those_in_the_file() -> None:
    shown = GITOPS.split("```yaml\n")[1].split("```")[0]
    [document] = yaml.safe_load(shown)["healthCheckExprs"]
    flux = next(yaml.safe_load_all((ROOT / "gitops/flux/reactors.yaml").read_text()))
    assert document in flux["spec"]["healthCheckExprs"]
