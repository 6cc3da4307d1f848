"""The CRDs: made from the models, structural, bounded, described, and as strict as the models."""

import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from reactorsync.faults import FaultKind
from reactorsync.resources import AnomalyScenario, Kind, Reactor, Resource
from reactorsync.resources.crd import crd, file_name, main, to_yaml
from reactorsync.resources.crd_rules import FIELD_RULES, MODEL_RULES, Rule
from reactorsync.store.port import Invalid
from reactorsync.store.rules import check_update
from tests.core.resources.api_server import asked, defaulted, refusals
from tests.core.resources.cases import (
    ACCEPTED,
    CHANGES,
    REFUSED,
    SENSOR,
    Change,
    Refused,
    with_cron,
    with_stage,
)

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
ALL_RULES = [
    rule for group in (MODEL_RULES, FIELD_RULES) for rules in group.values() for rule in rules
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


def load(document: Json) -> Resource:
    kind = Reactor if document["kind"] == "Reactor" else AnomalyScenario
    return kind.model_validate(document)


def schema_for(document: Json) -> Json:
    return schema_of(Kind(document["kind"]))


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=ACCEPTED)
def test_both_accept(document: Json) -> None:
    load(document)
    assert refusals(schema_for(document), document) == []


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_both_refuse(case: Refused) -> None:
    with pytest.raises(ValidationError):
        load(case.document)
    assert refusals(schema_for(case.document), case.document)


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


NUMBERS = st.integers(0, 70).map(str)
TERMS = st.one_of(
    st.just("*"),
    NUMBERS,
    st.tuples(NUMBERS, NUMBERS).map("-".join),
    st.sampled_from(["L", "LW", "5L", "FRI#2", "mon", "Sun-Sat", "JAN", "feb-oct", "?", "1-", ""]),
)
STEPPED = st.tuples(TERMS, NUMBERS).map("/".join)
CRON_FIELDS = st.lists(st.one_of(TERMS, STEPPED), min_size=1, max_size=3).map(",".join)


@given(st.lists(CRON_FIELDS, min_size=5, max_size=5).map(" ".join))
@example("0 2 * * *")
@settings(max_examples=500, deadline=None)
def test_no_schedule_is_refused_that_the_models_take(cron: str) -> None:
    document = with_cron(cron)
    try:
        load(document)
    except ValidationError:
        return

    assert refusals(schema_for(document), document) == []


@pytest.mark.parametrize("fault", FaultKind)
def test_every_fault_of_the_catalogue_can_be_declared(fault: FaultKind) -> None:
    stage = {"fault": fault.value, **(SENSOR if fault.value.startswith("Sensor") else {})}

    assert refusals(schema_of(Kind.ANOMALY_SCENARIO), with_stage(**stage)) == []


# Changes


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_allowed_by_all_or_by_none(change: Change) -> None:
    broken = refusals(schema_for(change.new), change.new, change.old)

    if change.refusal is None:
        assert broken == []
        check_update(load(change.old), load(change.new))
    else:
        assert broken
        with pytest.raises(Invalid) as refused:
            check_update(load(change.old), load(change.new))
        assert refused.value.field == change.refusal.field


def test_every_rule_is_broken_by_some_case_and_held_by_another() -> None:
    """A rule that no case breaks would be one that nobody has tried; the same of one none meets."""
    refused = [(case.document, None) for case in REFUSED.values()]
    refused += [(change.new, change.old) for change in CHANGES.values() if change.refusal]
    broken = {text for new, old in refused for text in refusals(schema_for(new), new, old)}
    accepted = [(document, None) for document in ACCEPTED.values()]
    accepted += [(change.new, change.old) for change in CHANGES.values() if not change.refusal]
    held = {text for new, old in accepted for text in asked(schema_for(new), new, old)}

    assert {rule.message for rule in ALL_RULES} <= broken
    assert {rule.message for rule in ALL_RULES} <= held


@pytest.mark.parametrize("rule", {rule.message: rule for rule in ALL_RULES}.values())
def test_every_rule_says_what_must_be_and_where(rule: Rule) -> None:
    """The server puts the field's path before it; fields and values are marked in the text."""
    assert "must" in rule.message
    assert "`" in rule.message or rule in chain.from_iterable(FIELD_RULES.values())


# Samples


def test_an_api_server_would_take_every_sample() -> None:
    samples = Path(__file__).parents[3] / "samples"
    for path in samples.rglob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            plain = json.loads(json.dumps(document, default=str))
            assert refusals(schema_for(plain), plain) == [], path
