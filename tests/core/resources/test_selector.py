"""Label and field selectors mean what they mean in Kubernetes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reactorsync.resources.selector import (
    FieldSelector,
    LabelRequirement,
    LabelSelector,
    SelectorOperator,
    SelectorSyntaxError,
    field_text,
    parse_field_selector,
    parse_label_selector,
)

BRUCE = {"site": "bruce", "unit": "1"}
NAMELESS = {"unit": "1"}
NOTHING: dict[str, str] = {}


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("", NOTHING, True),
        ("site=bruce", BRUCE, True),
        ("site==bruce", BRUCE, True),
        ("site = bruce", BRUCE, True),
        ("site=bruce", NAMELESS, False),
        ("site=bruce,unit=1", BRUCE, True),
        ("site=bruce,unit=2", BRUCE, False),
        ("site=", {"site": ""}, True),
        ("site=", NOTHING, False),
        ("site!=bruce", BRUCE, False),
        ("site!=pickering", BRUCE, True),
        ("site!=bruce", NAMELESS, True),
        ("site in (bruce,pickering)", BRUCE, True),
        ("site in ( bruce , pickering )", BRUCE, True),
        ("site in (bruce)", NAMELESS, False),
        ("site notin (bruce,pickering)", BRUCE, False),
        ("site notin (bruce)", NAMELESS, True),
        ("site", BRUCE, True),
        ("site", NAMELESS, False),
        ("!site", BRUCE, False),
        ("!site", NAMELESS, True),
        ("example.com/role=spare,!site", {"example.com/role": "spare"}, True),
        ("site in (a,b),unit notin (2,3)", {"site": "b"}, True),
    ],
)
def test_what_a_selector_matches(text: str, labels: dict[str, str], *, expected: bool) -> None:
    assert parse_label_selector(text).matches(labels) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("site bruce", "cannot read 'site bruce'"),
        ("=bruce", "cannot read '=bruce'"),
        ("site=a=b", "cannot read 'site=a=b'"),
        ("site in bruce", "cannot read 'site in bruce'"),
        ("site in (a", "cannot read"),
        ("site=a,site=b", "label 'site' is asked to have two values"),
        (f"site={'x' * 64}", "cannot read 'xxx"),
        (f"{'x' * 318}", "cannot read 'xxx"),
        (",".join(f"l{n}=1" for n in range(33)), "at most 32 items"),
    ],
)
def test_what_is_no_selector(text: str, message: str) -> None:
    with pytest.raises(SelectorSyntaxError) as error:
        parse_label_selector(text)

    assert message in str(error.value)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        selector = parse_label_selector(text)
    except SelectorSyntaxError:
        return
    assert selector.matches({}) in (True, False)


@given(st.dictionaries(st.sampled_from("abc"), st.sampled_from("12")))
def test_in_and_not_in_exclude_each_other(labels: dict[str, str]) -> None:
    requirement = {"key": "a", "values": ["1"]}
    chosen = LabelRequirement.model_validate(requirement | {"operator": "In"})
    others = LabelRequirement.model_validate(requirement | {"operator": "NotIn"})

    assert chosen.matches(labels) != others.matches(labels)


@pytest.mark.parametrize(
    ("operator", "values"),
    [
        (SelectorOperator.IN, []),
        (SelectorOperator.NOT_IN, []),
        (SelectorOperator.EXISTS, ["a"]),
        (SelectorOperator.DOES_NOT_EXIST, ["a"]),
    ],
)
def test_values_must_fit_the_operator(operator: SelectorOperator, values: list[str]) -> None:
    with pytest.raises(ValidationError, match="`values`"):
        LabelRequirement(key="site", operator=operator, values=values)


def test_an_empty_selector_matches_everything() -> None:
    assert LabelSelector().matches({})
    assert FieldSelector().matches({})


# Fields

DOCUMENT = {
    "metadata": {"name": "bruce-1"},
    "spec": {"design": "Candu6", "seed": 7, "site": None},
    "status": {"ready": True},
}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("spec.design", "Candu6"),
        ("spec.seed", "7"),
        ("status.ready", "true"),
        ("spec.site", ""),
        ("spec.site.name", ""),
        ("spec.colour", ""),
        ("spec.design.name", ""),
    ],
)
def test_a_field_as_text(path: str, text: str) -> None:
    assert field_text(DOCUMENT, path) == text  # type: ignore[arg-type] # a dict of plain values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("spec.design=Candu6", True),
        ("spec.design==Candu6,metadata.name=bruce-1", True),
        ("spec.design=Pwr3Loop", False),
        ("spec.design!=Pwr3Loop", True),
        ("spec.design!=Candu6", False),
        ("spec.colour=", True),
    ],
)
def test_what_a_field_selector_matches(text: str, *, expected: bool) -> None:
    assert parse_field_selector(text).matches(DOCUMENT) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["spec.design", "spec.design in (a)", "=x"])
def test_what_is_no_field_selector(text: str) -> None:
    with pytest.raises(SelectorSyntaxError, match="expected path=value"):
        parse_field_selector(text)
