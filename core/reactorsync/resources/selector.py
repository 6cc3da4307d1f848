"""Label and field selectors, with the meaning Kubernetes gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, JsonValue, ValidationError, model_validator

from reactorsync.resources.meta import (
    LABEL_KEY_PATTERN,
    LABEL_VALUE_PATTERN,
    Model,
    QualifiedKeys,
)


class SelectorOperator(StrEnum):
    """How a requirement compares a label."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


_LabelKey = Annotated[str, Field(min_length=1, max_length=317, pattern=LABEL_KEY_PATTERN)]
_LabelValue = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE_PATTERN)]


class LabelRequirement(Model):
    """One expression of a label selector."""

    key: _LabelKey = Field(description="Label key.")
    operator: SelectorOperator = Field(description="In, NotIn, Exists or DoesNotExist.")
    values: list[_LabelValue] = Field(
        default_factory=list,
        max_length=64,
        description="Values for In and NotIn; must be empty for Exists and DoesNotExist.",
    )

    @model_validator(mode="after")
    def _values_fit_operator(self) -> Self:
        wants_values = self.operator in (SelectorOperator.IN, SelectorOperator.NOT_IN)
        if wants_values != bool(self.values):
            verb = "must be set" if wants_values else "must be empty"
            raise ValueError(f"`values` {verb} for operator '{self.operator}'")
        return self

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether ``labels`` meet the requirement; a missing label meets ``NotIn``."""
        match self.operator:
            case SelectorOperator.IN:
                return labels.get(self.key) in self.values
            case SelectorOperator.NOT_IN:
                return self.key not in labels or labels[self.key] not in self.values
            case SelectorOperator.EXISTS:
                return self.key in labels
            case SelectorOperator.DOES_NOT_EXIST:
                return self.key not in labels


class LabelSelector(Model):
    """Requirements that must all hold; an empty selector matches everything."""

    model_config = ConfigDict(json_schema_extra={"x-map-type": "atomic"})

    match_labels: Annotated[dict[str, _LabelValue], QualifiedKeys] = Field(
        default_factory=dict, max_length=32, description="Labels that must have these values."
    )
    match_expressions: list[LabelRequirement] = Field(
        default_factory=list, max_length=32, description="Expressions that must hold."
    )

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether ``labels`` meet every requirement."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            requirement.matches(labels) for requirement in self.match_expressions
        )


class SelectorSyntaxError(ValueError):
    """A selector written as text cannot be read."""


_SET_TERM = re.compile(r"^(?P<key>[^\s!=,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUALITY_TERM = re.compile(r"^(?P<key>[^\s!=,()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s!=,()]*)$")
_EXISTS_TERM = re.compile(r"^(?P<absent>!?)\s*(?P<key>[^\s!=,()]+)$")


def parse_label_selector(text: str) -> LabelSelector:
    """Read kubectl's form: ``site=Bruce,unit in (1,2),!retired``.

    Raises:
        SelectorSyntaxError: a term cannot be read, which the message names, or the selector is
            larger than one in a manifest may be.
    """
    try:
        return _parse_label_selector(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise SelectorSyntaxError(f"cannot read {first['input']!r}: {first['msg']}") from error


def _parse_label_selector(text: str) -> LabelSelector:
    labels: dict[str, str] = {}
    requirements: list[LabelRequirement] = []
    for term in _split_terms(text):
        if match := _SET_TERM.match(term):
            operator = SelectorOperator.IN if match["op"] == "in" else SelectorOperator.NOT_IN
            values = [value.strip() for value in match["values"].split(",")]
            requirements.append(
                LabelRequirement(key=match["key"], operator=operator, values=values)
            )
        elif match := _EQUALITY_TERM.match(term):
            if match["op"] == "!=":
                requirements.append(
                    LabelRequirement(
                        key=match["key"], operator=SelectorOperator.NOT_IN, values=[match["value"]]
                    )
                )
            elif labels.setdefault(match["key"], match["value"]) != match["value"]:
                raise SelectorSyntaxError(f"label {match['key']!r} is asked to have two values")
        elif match := _EXISTS_TERM.match(term):
            operator = (
                SelectorOperator.DOES_NOT_EXIST if match["absent"] else SelectorOperator.EXISTS
            )
            requirements.append(LabelRequirement(key=match["key"], operator=operator))
        else:
            raise SelectorSyntaxError(
                f"cannot read {term!r}: expected key=value, key!=value, key in (a,b), "
                "key notin (a,b), key or !key"
            )
    return LabelSelector(match_labels=labels, match_expressions=requirements)


def _split_terms(text: str) -> list[str]:
    terms = re.split(r",(?![^()]*\))", text)
    return [term.strip() for term in terms if term.strip()]


class FieldSelector(Model):
    """Fields that must, or must not, have a value; paths as ``spec.design``."""

    equal: dict[str, str] = Field(default_factory=dict)
    unequal: dict[str, str] = Field(default_factory=dict)

    def matches(self, document: Mapping[str, JsonValue]) -> bool:
        """Return whether the JSON form of a resource meets the selector."""
        return all(
            field_text(document, path) == value for path, value in self.equal.items()
        ) and all(field_text(document, path) != value for path, value in self.unequal.items())


def parse_field_selector(text: str) -> FieldSelector:
    """Read kubectl's form: ``spec.design=Candu6,spec.state!=Suspended``.

    Raises:
        SelectorSyntaxError: a term cannot be read; the message names the term.
    """
    equal: dict[str, str] = {}
    unequal: dict[str, str] = {}
    for term in _split_terms(text):
        match = _EQUALITY_TERM.match(term)
        if match is None:
            raise SelectorSyntaxError(f"cannot read {term!r}: expected path=value or path!=value")
        (unequal if match["op"] == "!=" else equal)[match["key"]] = match["value"]
    return FieldSelector(equal=equal, unequal=unequal)


def field_text(document: Mapping[str, JsonValue], path: str) -> str:
    """Return the value at a dotted path as text, empty where there is none."""
    value: JsonValue | Mapping[str, JsonValue] = document
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return ""
        value = value[part]
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
