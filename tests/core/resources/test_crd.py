"""The CRDs: made from the models, structural, bounded, described, and as strict as the models."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from reactorsync.faults import FaultKind
from reactorsync.resources import AnomalyScenario, Kind, Reactor, Resource
from reactorsync.resources.crd import crd, file_name, main, to_yaml
from reactorsync.resources.crd_rules import FIELD_RULES, MODEL_RULES
from reactorsync.store.port import Invalid
from reactorsync.store.rules import check_update
from tests.core.resources.api_server import defaulted, refusals

Json = Any

COMMITTED = Path(__file__).parents[3] / "crds"


def schema_of(kind: Kind) -> Json:
    return crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def fields(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Yield every field and every item of a list, by path."""
    for name, part in schema.get("properties", {}).items():
        yield f"{path}.{name}", part
        yield from fields(part, f"{path}.{name}")
    if "items" in schema:
        yield f"{path}[]", schema["items"]
        yield from fields(schema["items"], f"{path}[]")


ALL_FIELDS = [
    (f"{kind}{path}", part)
    for kind in Kind
    for path, part in fields(schema_of(kind))
    if path not in (".apiVersion", ".kind", ".metadata")
]
INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]

# Made from the models


@pytest.mark.parametrize("kind", Kind)
def test_the_committed_definition_is_that_of_the_models(kind: Kind) -> None:
    """When this fails: ``make crds``."""
    assert (COMMITTED / file_name(kind)).read_text(encoding="utf-8") == to_yaml(kind)


def test_the_command_writes_one_file_for_each_kind(tmp_path: Path) -> None:
    main([str(tmp_path / "crds")])

    written = {path.name: yaml.safe_load(path.read_text()) for path in tmp_path.rglob("*.yaml")}
    assert written == {file_name(kind): crd(kind) for kind in Kind}


@pytest.mark.parametrize("kind", Kind)
def test_a_definition_fits_into_an_annotation(kind: Kind) -> None:
    """``kubectl apply`` keeps the whole object in one, of 256 KiB at most."""
    assert len(to_yaml(kind).encode()) < 100_000


def test_names_are_these() -> None:
    assert [crd(kind)["metadata"]["name"] for kind in Kind] == [
        "reactors.reactorsync.dev",
        "anomalyscenarios.reactorsync.dev",
    ]
    assert [crd(kind)["spec"]["names"]["shortNames"] for kind in Kind] == [["rx"], ["anom"]]
    assert all(crd(kind)["spec"]["names"]["categories"] == ["reactorsync"] for kind in Kind)


# Structural and bounded


def test_every_field_is_described() -> None:
    bare = [
        path
        for path, part in ALL_FIELDS
        if not (path.endswith("[]") and part["type"] != "object")
        and not re.fullmatch(r"[A-Z][^\n]*[.)]", part.get("description", ""))
    ]

    assert bare == []


def test_every_schema_is_structural() -> None:
    forbidden = {"$ref", "allOf", "oneOf", "not", "nullable", "title", "const", "definitions"}
    types = {"object", "array", "string", "integer", "boolean"}

    def is_structural(part: Json) -> bool:
        if forbidden & part.keys() or part.get("additionalProperties") is False:
            return False
        if part.get("x-kubernetes-int-or-string"):
            return bool(part["anyOf"] == INT_OR_STRING and "type" not in part)
        return "anyOf" not in part and part["type"] in types

    assert [path for path, part in ALL_FIELDS if not is_structural(part)] == []


def test_everything_has_a_bound() -> None:
    """What keeps objects small and the API server's estimate of a rule's cost low."""

    def is_bounded(path: str, part: Json) -> bool:
        match part.get("type"):
            case "string":
                return "enum" in part or "maxLength" in part or "format" in part
            case "integer":
                return "minimum" in part and ("maximum" in part or ".status" in path)
            case "array":
                return "maxItems" in part
            case "object":
                return "properties" in part or "maxProperties" in part
            case "boolean":
                return True
        return "maxLength" in part

    assert [path for path, part in ALL_FIELDS if not is_bounded(path, part)] == []


def test_every_list_says_how_it_is_merged() -> None:
    def is_merged(part: Json) -> bool:
        match part.get("x-kubernetes-list-type"):
            case "map":
                return {*part["x-kubernetes-list-map-keys"]} <= {*part["items"]["required"]}
            case "set":
                return bool(part["items"]["type"] == "string")
            case kind:
                return bool(kind == "atomic")

    lists = [(path, part) for path, part in ALL_FIELDS if part.get("type") == "array"]
    assert [path for path, part in lists if not is_merged(part)] == []


def test_every_default_is_valid() -> None:
    wrong = [
        path
        for path, part in ALL_FIELDS
        if "default" in part
        and not Draft202012Validator(part).is_valid(defaulted(part, part["default"]))
    ]

    assert wrong == []


@pytest.mark.parametrize("kind", Kind)
def test_a_status_has_a_subresource_and_begins_unobserved(kind: Kind) -> None:
    """An object that nobody has looked at must not pass for healthy (kstatus)."""
    version = crd(kind)["spec"]["versions"][0]

    assert version["subresources"] == {"status": {}}
    assert defaulted(schema_of(kind), {"spec": {}})["status"]["observedGeneration"] == 0


@pytest.mark.parametrize("kind", Kind)
def test_columns_and_selectable_fields_exist(kind: Kind) -> None:
    version = crd(kind)["spec"]["versions"][0]
    known = dict(fields(schema_of(kind)))
    types = known | {".metadata.creationTimestamp": {"type": "string"}}

    for column in version["additionalPrinterColumns"]:
        path = re.sub(r"\[[^]]*\]", "[]", column["jsonPath"])
        assert types[path]["type"] == column["type"].replace("date", "string")
    for field in version["selectableFields"]:
        assert known[field["jsonPath"]]["type"] == "string"


# As strict as the models

REACTOR: Json = {
    "apiVersion": "reactorsync.dev/v1alpha1",
    "kind": "Reactor",
    "metadata": {"name": "bruce-1"},
    "spec": {"design": "Candu6"},
}
STAGE: Json = {"name": "leak", "fault": "PrimaryLeak"}
SCENARIO: Json = {
    "apiVersion": "reactorsync.dev/v1alpha1",
    "kind": "AnomalyScenario",
    "metadata": {"name": "small-leak"},
    "spec": {"targets": {"names": ["bruce-1"]}, "stages": [STAGE]},
}
PROBE: Json = {"name": "seen", "alarm": {"signal": "primary_pressure_mpa"}}
SENSOR: Json = {"sensor": {"signal": "primary_pressure_mpa"}}


def with_spec(base: Json, **spec: Json) -> Json:
    return base | {"spec": base["spec"] | spec}


def with_stage(**stage: Json) -> Json:
    return with_spec(SCENARIO, stages=[STAGE | stage])


def with_targets(**targets: Json) -> Json:
    return with_spec(SCENARIO, targets=targets)


def with_requirement(**requirement: Json) -> Json:
    return with_targets(selector={"matchExpressions": [{"key": "site"} | requirement]})


def named(base: Json, name: str) -> Json:
    return base | {"metadata": {"name": name}}


SCHEDULE: Json = {"cron": "0 6 * * 1", "timeZone": "Europe/Bucharest"}
START = "2030-01-01T00:00:00Z"

ACCEPTED: dict[str, Json] = {
    "the least reactor": REACTOR,
    "a full reactor": with_spec(
        REACTOR,
        site={"name": "Bruce", "latitudeMicrodegrees": 44325000, "country": "CA"},
        powerSetpointPermille=600,
        telemetry={"intervalMilliseconds": 500, "noise": "Off"},
        seed=0,
        state="Suspended",
    ),
    "a name of 63 characters": named(REACTOR, "a" * 63),
    "the least scenario": SCENARIO,
    "an empty selector": with_targets(selector={}),
    "labels": with_targets(selector={"matchLabels": {"site": "Bruce"}}),
    "In with values": with_requirement(operator="In", values=["Bruce"]),
    "Exists without values": with_requirement(operator="Exists"),
    "count as a number": with_targets(names=["a"], count=3),
    "count as a share": with_targets(names=["a"], count="25%"),
    "a sensor fault with its sensor": with_stage(fault="SensorDrift", **SENSOR),
    "a ramp": with_stage(shape="Ramp", rampSeconds=60),
    "a ramp as long as the stage": with_stage(shape="Ramp", rampSeconds=60, durationSeconds=60),
    "a pulse longer than the stage": with_stage(shape="Pulse", rampSeconds=60, durationSeconds=30),
    "a start time": with_spec(SCENARIO, startTime=START),
    "a start delay": with_spec(SCENARIO, startDelaySeconds=5),
    "a schedule": with_spec(SCENARIO, schedule=SCHEDULE),
    "a probe": with_spec(SCENARIO, probes=[PROBE], abortWhen=[PROBE]),
}
REFUSED: dict[str, Json] = {
    "no design": REACTOR | {"spec": {}},
    "an unknown design": with_spec(REACTOR, design="Rbmk1000"),
    "power out of range": with_spec(REACTOR, powerSetpointPermille=1001),
    "an odd interval": with_spec(REACTOR, telemetry={"intervalMilliseconds": 150}),
    "noise as a boolean": with_spec(REACTOR, telemetry={"noise": False}),
    "a country in words": with_spec(REACTOR, site={"name": "Bruce", "country": "Canada"}),
    "a name of 64 characters": named(REACTOR, "a" * 64),
    "a scenario's name with a dot": named(SCENARIO, "small.leak"),
    "a reactor's name with a dot": named(REACTOR, "bruce.1"),
    "no stages": with_spec(SCENARIO, stages=[]),
    "17 stages": with_spec(SCENARIO, stages=[STAGE | {"name": f"s{n}"} for n in range(17)]),
    "two stages of one name": with_spec(SCENARIO, stages=[STAGE, STAGE]),
    "two probes of one name": with_spec(SCENARIO, probes=[PROBE, PROBE]),
    "neither selector nor names": with_targets(count=1),
    "both selector and names": with_targets(selector={}, names=["a"]),
    "a name twice": with_targets(names=["a", "a"]),
    "In without values": with_requirement(operator="In"),
    "NotIn with no values": with_requirement(operator="NotIn", values=[]),
    "Exists with values": with_requirement(operator="Exists", values=["a"]),
    "count 0": with_targets(names=["a"], count=0),
    "count above the limit": with_targets(names=["a"], count=100_001),
    "count 0%": with_targets(names=["a"], count="0%"),
    "count 101%": with_targets(names=["a"], count="101%"),
    "count in other digits": with_targets(names=["a"], count="٥%"),
    "count as text": with_targets(names=["a"], count="3"),
    "a sensor fault without a sensor": with_stage(fault="SensorBias"),
    "a process fault with a sensor": with_stage(**SENSOR),
    "an unknown signal": with_stage(fault="SensorBias", sensor={"signal": "mood"}),
    "a ramp without length": with_stage(shape="Ramp"),
    "a step with a ramp": with_stage(rampSeconds=5),
    "a ramp longer than the stage": with_stage(shape="Ramp", rampSeconds=61, durationSeconds=60),
    "two starts": with_spec(SCENARIO, startTime=START, startDelaySeconds=5),
    "a schedule and a delay": with_spec(SCENARIO, schedule=SCHEDULE, startDelaySeconds=0),
    "a probe without a check": with_spec(SCENARIO, probes=[{"name": "seen"}]),
    "a probe with two checks": with_spec(
        SCENARIO, probes=[PROBE | {"http": {"url": "http://localhost"}}]
    ),
    "a run token with a blank": with_spec(SCENARIO, runToken="a b"),
}


def load(document: Json) -> Resource:
    kind = Reactor if document["kind"] == "Reactor" else AnomalyScenario
    return kind.model_validate(document)


def schema_for(document: Json) -> Json:
    return schema_of(Kind(document["kind"]))


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=ACCEPTED)
def test_both_accept(document: Json) -> None:
    load(document)
    assert refusals(schema_for(document), document) == []


@pytest.mark.parametrize("document", REFUSED.values(), ids=REFUSED)
def test_both_refuse(document: Json) -> None:
    with pytest.raises(ValidationError):
        load(document)
    assert refusals(schema_for(document), document)


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=ACCEPTED)
def test_defaults_are_those_of_the_models(document: Json) -> None:
    """Whoever reads ``-o yaml`` sees what the parts take for granted."""
    spec = load(document).to_json()["spec"]

    assert _without_empty(defaulted(schema_for(document), document)["spec"]) == _without_empty(spec)


def _without_empty(value: Json) -> Json:
    """Leave out empty lists and maps, which are the same as none, but for an empty selector."""
    if isinstance(value, dict):
        return {
            name: _without_empty(part)
            for name, part in value.items()
            if part not in ([], {}) or name == "selector"
        }
    return [_without_empty(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("fault", FaultKind)
def test_every_fault_of_the_catalogue_can_be_declared(fault: FaultKind) -> None:
    stage = {"fault": fault.value, **(SENSOR if fault.value.startswith("Sensor") else {})}

    assert refusals(schema_of(Kind.ANOMALY_SCENARIO), with_stage(**stage)) == []


# Changes


def with_run(document: Json, *, injected: bool = True, token: str = "") -> Json:
    run = {"number": 1, "phase": "Running", "startTime": START, "endTime": START}
    if injected:
        run |= {"injectedTime": START}
    return with_spec(document, runToken=token) | {"status": {"run": run}}


OTHER_STAGES = with_stage(severityPercent=50)
OTHER_TARGETS = with_targets(names=["bruce-2"])

CHANGES: dict[str, tuple[Json, Json, bool]] = {
    "the power": (REACTOR, with_spec(REACTOR, powerSetpointPermille=600), True),
    "the design": (REACTOR, with_spec(REACTOR, design="Pwr3Loop"), False),
    "stages before there is a run": (SCENARIO, OTHER_STAGES, True),
    "stages before injection": (
        with_run(SCENARIO, injected=False),
        with_run(OTHER_STAGES, injected=False),
        True,
    ),
    "stages after injection": (with_run(SCENARIO), with_run(OTHER_STAGES), False),
    "targets after injection": (with_run(SCENARIO), with_run(OTHER_TARGETS), False),
    "stages for another run": (with_run(SCENARIO), with_run(OTHER_STAGES, token="2"), True),
    "the state after injection": (
        with_run(SCENARIO),
        with_run(with_spec(SCENARIO, state="Aborted")),
        True,
    ),
    "the status after injection": (
        with_run(SCENARIO),
        with_run(SCENARIO) | {"status": {"summary": "x"}},
        True,
    ),
}


@pytest.mark.parametrize(("old", "new", "allowed"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_allowed_by_all_or_by_none(old: Json, new: Json, *, allowed: bool) -> None:
    assert (refusals(schema_for(new), new, old) == []) == allowed
    try:
        check_update(load(old), load(new))
    except Invalid:
        assert not allowed
    else:
        assert allowed


def test_every_rule_is_broken_by_some_case_here() -> None:
    """A rule that nothing here breaks would be one that nobody has tried."""
    rules = [
        rule for group in (MODEL_RULES, FIELD_RULES) for part in group.values() for rule in part
    ]
    cases = [(document, None) for document in REFUSED.values()]
    cases += [(new, old) for old, new, _ in CHANGES.values()]
    broken = {text for new, old in cases for text in refusals(schema_for(new), new, old)}

    assert {rule.message for rule in rules} <= broken


# Samples


def test_an_api_server_would_take_every_sample() -> None:
    samples = Path(__file__).parents[3] / "samples"
    for path in samples.rglob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            plain = json.loads(json.dumps(document, default=str))
            assert refusals(schema_for(plain), plain) == [], path
