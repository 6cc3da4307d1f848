"""Which settings go together."""

import pytest
from pydantic import ValidationError

from reactorsync.settings import explain_settings_error
from reactorsync_operator.settings import OperatorSettings


def problem(**settings: object) -> str:
    with pytest.raises(ValidationError) as caught:
        OperatorSettings.model_validate(settings)
    return str(explain_settings_error(caught.value))


def on_kubernetes(**settings: object) -> OperatorSettings:
    return OperatorSettings.model_validate({"control_plane": "kubernetes", **settings})


def test_kubernetes_needs_no_database() -> None:
    assert on_kubernetes().database_url is None


def test_namespaces_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_kubernetes().served_namespaces is None
    monkeypatch.setenv("REACTORSYNC_CONTROL_PLANE", "kubernetes")
    monkeypatch.setenv("REACTORSYNC_NAMESPACES", "east, west,east")
    assert OperatorSettings().served_namespaces == ("east", "west")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "REACTORSYNC_DATABASE_URL: needed by the control plane postgres"),
        (
            {"database_url": "postgresql://x", "namespaces": "east"},
            "REACTORSYNC_NAMESPACES: only the control plane kubernetes can do that",
        ),
        (
            {"database_url": "postgresql://x", "generator_workload": "deployment/generator"},
            "REACTORSYNC_GENERATOR_WORKLOAD: only the control plane kubernetes can do that",
        ),
        (
            {"control_plane": "kubernetes", "namespaces": "East"},
            "REACTORSYNC_NAMESPACES: Value error, 'East' is no name of a namespace",
        ),
        (
            {
                "control_plane": "kubernetes",
                "generator_workload": "deployment/generator",
                "generator_pool_file": "pool.json",
            },
            "REACTORSYNC_GENERATOR_POOL_FILE: must not be set with generator_workload",
        ),
        (
            {
                "control_plane": "kubernetes",
                "generator_min_replicas": 3,
                "generator_max_replicas": 2,
            },
            "REACTORSYNC_GENERATOR_MIN_REPLICAS: must not exceed generator_max_replicas",
        ),
    ],
)
def test_what_does_not_go_together_names_the_variable(
    settings: dict[str, object], says: str
) -> None:
    assert problem(**settings) == says


@pytest.mark.parametrize("workload", ["generator", "pod/generator", "deployment/", "deployment/A"])
def test_a_workload_is_a_statefulset_or_a_deployment(workload: str) -> None:
    assert "GENERATOR_WORKLOAD" in problem(control_plane="kubernetes", generator_workload=workload)


def test_every_setting_says_what_it_means() -> None:
    for name, field in OperatorSettings.model_fields.items():
        assert field.description, name
