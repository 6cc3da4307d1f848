import pytest

from reactorsync_local.errors import BadInput
from reactorsync_local.field_docs import FieldDoc, ObjectDoc, find_field
from reactorsync_local.kinds import REACTORS, SCENARIOS


def explained(path: str) -> ObjectDoc:
    doc = find_field(path)
    assert doc is not None
    return doc


def below(path: str, name: str) -> FieldDoc:
    return next(field for field in explained(path).fields if field.name == name)


def test_an_object_lists_its_fields_as_manifests_write_them() -> None:
    names = [field.name for field in explained("reactor.spec").fields]
    assert names[:3] == ["design", "site", "powerSetpointPermille"]


def test_a_field_says_its_bounds_and_default() -> None:
    interval = below("reactor.spec.telemetry", "intervalMilliseconds")
    assert interval.type == "integer"
    assert interval.allowed == "100 to 60000; multiple of 100; default 1000"
    assert "milliseconds" in interval.description


def test_an_enumeration_lists_what_there_is() -> None:
    assert below("reactor.spec", "design").allowed == "one of Candu6, Pwr3Loop"
    assert below("reactor.spec", "design").required


def test_lists_are_looked_into() -> None:
    doc = explained("scenario.spec.stages")
    assert doc.field.type == "[]object"
    assert below("anom.spec.stages", "fault").allowed.startswith("one of PumpTrip")


def test_a_field_of_two_types_says_both() -> None:
    assert below("scenario.spec.targets", "count").type == "integer or string"


@pytest.mark.parametrize("kind", [*REACTORS.names, *SCENARIOS.names])
def test_every_name_of_a_kind_can_be_explained(kind: str) -> None:
    assert [field.name for field in explained(kind).fields][-2:] == ["spec", "status"]


def test_every_field_of_every_kind_is_described() -> None:
    pending = ["reactor.spec", "reactor.status", "scenario.spec", "scenario.status"]
    while pending:
        path = pending.pop()
        for field in explained(path).fields:
            assert field.description, f"{path}.{field.name}"
            pending.append(f"{path}.{field.name}")


def test_an_unknown_field_is_refused_with_what_there_is() -> None:
    with pytest.raises(BadInput, match=r"reactor\.spec has no field 'telemetri'") as caught:
        find_field("reactor.spec.telemetri")
    assert caught.value.hint == "did you mean reactor.spec.telemetry?"


def test_what_names_no_kind_is_no_field() -> None:
    assert find_field("pump-trip") is None
