"""What both kinds share: object metadata, conditions and how models travel as JSON."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, cast
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
)
from pydantic.alias_generators import to_camel

GROUP: Final = "reactorsync.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "reactorsync.dev/v1alpha1"
"""Group and version; spelt out so that it is a literal to type checkers."""

NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""RFC 1123 label: names end up in labels, topics and URLs."""


LABEL_KEY_PATTERN: Final = (
    r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
LABEL_VALUE_PATTERN: Final = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"


def _qualified_keys(entries: dict[str, str]) -> dict[str, str]:
    for key in entries:
        if not re.fullmatch(LABEL_KEY_PATTERN, key):
            raise ValueError(
                f"key '{key}' must be letters, digits, '-', '_' and '.', at most 63 characters, "
                "after a domain and '/' if need be"
            )
    return entries


QualifiedKeys = AfterValidator(_qualified_keys)
"""Holds the keys of a map to the form of label keys."""

_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[-+][0-9]{2}:[0-9]{2})?"
)


RFC3339_PATTERN: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[-+][0-9]{2}:[0-9]{2})$"
)
"""A time as both sides read it; by its format alone an API server takes small letters, too, and
then stumbles over them in the rules of the whole object."""


def _from_rfc3339(value: object) -> object:
    """Read text as an API server does: Pydantic would take numbers and looser spellings too."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(value)
    raise ValueError("must be a time such as 2026-01-31T12:00:00Z")


def _to_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("must carry a time zone, for example 2026-01-31T12:00:00Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must lie in the years from 1 to 9999, in UTC") from error


def _to_rfc3339(moment: datetime) -> str:
    timespec = "microseconds" if moment.microsecond else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


Time = Annotated[
    datetime,
    BeforeValidator(_from_rfc3339),
    AfterValidator(_to_utc),
    PlainSerializer(_to_rfc3339, return_type=str, when_used="json"),
]
"""A moment in UTC; RFC 3339 with ``Z`` in JSON."""


class Model(BaseModel):
    """Base of everything a manifest can hold: camelCase outside, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        use_enum_values=False,
    )

    def to_json(self) -> dict[str, JsonValue]:
        """Return the JSON form: camelCase keys, absent optionals left out."""
        return cast(
            "dict[str, JsonValue]",
            self.model_dump(mode="json", by_alias=True, exclude_none=True),
        )


class ObjectMeta(Model):
    """Kubernetes object metadata, as far as ReactorSync reads or writes it.

    Fields that only an API server sets are ignored when they come in with a manifest.
    """

    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1, max_length=63, pattern=NAME_PATTERN)
    namespace: str = Field(default="default", min_length=1, max_length=63, pattern=NAME_PATTERN)
    labels: Annotated[
        dict[str, Annotated[str, Field(max_length=63, pattern=LABEL_VALUE_PATTERN)]],
        QualifiedKeys,
    ] = Field(default_factory=dict)
    annotations: Annotated[dict[str, str], QualifiedKeys] = Field(default_factory=dict)
    uid: UUID | None = None
    generation: int = Field(default=0, ge=0)
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One aspect of an object's state, as ``metav1.Condition``."""

    type: str = Field(
        min_length=1, max_length=316, description="Aspect in CamelCase, for example Ready."
    )
    status: ConditionStatus = Field(description="True, False or Unknown.")
    observed_generation: int | None = Field(
        default=None, ge=0, description="Generation of the spec that this condition was set for."
    )
    last_transition_time: Time = Field(description="When the status last changed.")
    reason: str = Field(
        min_length=1,
        max_length=1024,
        pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        description="Machine-readable cause of the last change, in CamelCase.",
    )
    message: str = Field(
        default="", max_length=32768, description="What a person should know about it."
    )


class Kind(StrEnum):
    """The kinds of resources."""

    REACTOR = "Reactor"
    ANOMALY_SCENARIO = "AnomalyScenario"


ApiVersion = Literal["reactorsync.dev/v1alpha1"]


def condition_of(conditions: list[Condition], type_: str) -> Condition | None:
    """Return the condition of that type, ``None`` when it was never set."""
    return next((condition for condition in conditions if condition.type == type_), None)
