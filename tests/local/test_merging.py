"""The rules of `apply`, as kubectl has them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reactorsync.resources import AnomalyScenario, Reactor, Resource
from reactorsync.resources.scenario import ScenarioState
from reactorsync_local.merging import LAST_APPLIED, changes, declared_fields, merge, merged, newly


def reactor(**spec: Any) -> Reactor:
    return Reactor.model_validate(
        {"metadata": {"name": "embalse"}, "spec": {"design": "Candu6", **spec}}
    )


def scenario(**spec: Any) -> AnomalyScenario:
    stage = {"name": "pumps-lost", "fault": "PumpTrip", "durationSeconds": 60}
    required = {"targets": {"names": ["embalse"]}, "stages": [stage]}
    return AnomalyScenario.model_validate(
        {"metadata": {"name": "pump-trip"}, "spec": {**required, **spec}}
    )


def labelled(labels: dict[str, str]) -> Reactor:
    return Reactor.model_validate(
        {"metadata": {"name": "embalse", "labels": labels}, "spec": {"design": "Candu6"}}
    )


def test_only_what_the_manifest_says_itself_is_declared() -> None:
    assert declared_fields(reactor(powerSetpointPermille=800)) == {
        "spec": {"design": "Candu6", "powerSetpointPermille": 800}
    }


def test_applying_the_same_again_changes_nothing() -> None:
    stored = newly(reactor(powerSetpointPermille=800))
    assert not changes(stored, merged(reactor(powerSetpointPermille=800), stored))


def test_a_declared_field_is_set() -> None:
    stored = newly(reactor(powerSetpointPermille=800))
    result = merged(reactor(powerSetpointPermille=900), stored)
    assert isinstance(result, Reactor)
    assert result.spec.power_setpoint_permille == 900


def test_a_field_no_longer_declared_goes_back_to_its_default() -> None:
    stored = newly(reactor(powerSetpointPermille=800, telemetry={"noise": "Off"}))
    result = merged(reactor(), stored)
    assert isinstance(result, Reactor)
    assert result.spec == reactor().spec


def test_a_nested_field_no_longer_declared_goes_back_alone() -> None:
    stored = newly(reactor(telemetry={"noise": "Off", "intervalMilliseconds": 500}))
    result = merged(reactor(telemetry={"intervalMilliseconds": 500}), stored)
    assert isinstance(result, Reactor)
    assert result.spec.telemetry.interval_milliseconds == 500
    assert result.spec.telemetry.noise == "Nominal"


def test_what_somebody_else_set_stays_theirs() -> None:
    """`scenario run` sets a token and `scenario abort` a state: applying must not start a run."""
    stored = newly(scenario())
    assert isinstance(stored, AnomalyScenario)
    spec = stored.spec.model_copy(update={"run_token": "again-1", "state": ScenarioState.ABORTED})
    stored = stored.model_copy(update={"spec": spec})
    assert not changes(stored, merged(scenario(), stored))


def test_labels_of_others_stay_and_own_ones_go_with_the_declaration() -> None:
    stored = newly(labelled({"mine": "1", "old": "1"}))
    metadata = stored.metadata.model_copy(update={"labels": {**stored.metadata.labels, "its": "1"}})
    stored = stored.model_copy(update={"metadata": metadata})
    assert merged(labelled({"mine": "2"}), stored).metadata.labels == {"mine": "2", "its": "1"}


def test_a_broken_note_of_the_last_apply_is_as_none() -> None:
    stored: Resource = newly(reactor(powerSetpointPermille=800))
    metadata = stored.metadata.model_copy(update={"annotations": {LAST_APPLIED: "{not json"}})
    stored = stored.model_copy(update={"metadata": metadata})
    result = merged(reactor(), stored)
    assert isinstance(result, Reactor)
    assert result.spec.power_setpoint_permille == 800


def test_an_exported_object_can_be_applied_again() -> None:
    stored = newly(reactor(powerSetpointPermille=800))
    exported = Reactor.model_validate(stored.to_json())
    result = merged(exported, stored)
    assert result.spec == stored.spec
    assert LAST_APPLIED not in declared_fields(exported).get("annotations", {})  # type: ignore[operator]


VALUES = st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2)
FIELDS = st.recursive(
    st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3),
    lambda below: st.dictionaries(st.sampled_from("abc"), VALUES | below, max_size=3),
    max_leaves=8,
)


@given(current=FIELDS, declared=FIELDS, previous=FIELDS)
def test_merging_twice_is_merging_once(
    current: dict[str, Any], declared: dict[str, Any], previous: dict[str, Any]
) -> None:
    once = merge(current, declared, previous)
    assert merge(once, declared, declared) == once


@given(current=FIELDS, declared=FIELDS)
def test_nothing_is_lost_that_nobody_declared(
    current: dict[str, Any], declared: dict[str, Any]
) -> None:
    result = merge(current, declared, {})
    assert set(result) == set(current) | set(declared)
