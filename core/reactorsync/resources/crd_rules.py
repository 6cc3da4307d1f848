"""What the CRDs say beyond shapes and bounds: rules in CEL.

Each rule repeats one that the Pydantic models or the stores have; tests hold them against each
other. Messages follow the API conventions: "must", fields in back-quotes, values in single quotes.
A ``field_path`` makes ``kubectl`` begin the message with the field that is wrong instead of the
object that holds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reactorsync.faults import FAULTS
from reactorsync.resources.meta import LABEL_KEY_PATTERN
from reactorsync.resources.scenario import (
    MAX_TARGETS,
    START_BEFORE,
    START_FROM,
)
from reactorsync.resources.time_zones import TIME_ZONES


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL expression over ``self`` (and ``oldSelf``) that must be true."""

    expression: str
    message: str
    field_path: str | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, str]:
        """Return the rule as ``x-kubernetes-validations`` holds it."""
        parts = {
            "rule": self.expression,
            "message": self.message,
            "fieldPath": self.field_path,
            "reason": self.reason,
        }
        return {name: value for name, value in parts.items() if value is not None}


def _exactly_one(*fields: str) -> str:
    return f"[{', '.join(f'has(self.{field})' for field in fields)}].filter(set, set).size() == 1"


_SENSOR_FAULTS: Final = ", ".join(
    f"'{kind}'" for kind, info in FAULTS.items() if info.acts_on_sensor
)

_NAME: Final = Rule(
    "self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",
    "`metadata.name` must be at most 63 characters, without dots",
)


def _frozen(field: str) -> Rule:
    # On the root, for only there a rule sees both spec and status.
    return Rule(
        "!has(oldSelf.status) || !has(oldSelf.status.run) || !has(oldSelf.status.run.injectedTime)"
        " || self.spec.runToken != oldSelf.spec.runToken"
        f" || self.spec.{field} == oldSelf.spec.{field}",
        f"`{field}` must not change since faults were injected: set another `runToken` to start a "
        "new run, or `state` to 'Aborted' to end this one",
        field_path=f".spec.{field}",
        reason="FieldValueForbidden",
    )


def _kept(field: str) -> Rule:
    return Rule(
        "!has(oldSelf.status) || !has(oldSelf.status.run) || !has(oldSelf.status.run.injectedTime)"
        " || !(oldSelf.status.run.phase in ['Probing', 'Running'])"
        " || self.spec.runToken != oldSelf.spec.runToken"
        f" || (has(self.spec.{field}) == has(oldSelf.spec.{field})"
        f" && (!has(self.spec.{field}) || self.spec.{field} == oldSelf.spec.{field}))",
        f"`{field}` must not change from the injection of a run to its end: set `state` to "
        "'Aborted' to end it, or another `runToken` to start a new run",
        field_path=f".spec.{field}",
        reason="FieldValueForbidden",
    )


_IS_DECIDED: Final = (
    "(has(oldSelf.status.conditions) && oldSelf.status.conditions.exists(one,"
    " one.type == 'Succeeded' && (one.status != 'Unknown' || one.reason == 'NotReported')))"
)


def _judged(field: str) -> Rule:
    return Rule(
        "!has(oldSelf.status) || !has(oldSelf.status.run)"
        " || oldSelf.status.run.phase == 'Pending'"
        f" || {_IS_DECIDED}"
        " || self.spec.runToken != oldSelf.spec.runToken"
        f" || (has(self.spec.{field}) == has(oldSelf.spec.{field})"
        f" && (!has(self.spec.{field}) || self.spec.{field} == oldSelf.spec.{field}))",
        f"`{field}` must not change from the begin of a run until its outcome is final: set "
        "another `runToken` to start a new run",
        field_path=f".spec.{field}",
        reason="FieldValueForbidden",
    )


_NO_WAY_BACK: Final = Rule(
    "!has(oldSelf.status) || !has(oldSelf.status.run)"
    " || oldSelf.status.run.phase in ['Pending', 'Completed', 'Aborted']"
    " || self.spec.runToken == oldSelf.spec.runToken"
    " || self.spec.runToken != oldSelf.status.run.token",
    "`runToken` must not go back to that of a run that has yet to be ended: set another one",
    field_path=".spec.runToken",
    reason="FieldValueForbidden",
)
"""Without it, two edits at once would change what is frozen: away with it, and back."""


def _cron_field(value: str, *, also: str = "") -> str:
    term = rf"((\*|{value}(-{value})?)(/0*[1-9][0-9]*)?{also})"
    return f"{term}(,{term})*"


_MONTH: Final = "(0*([1-9]|1[0-2])|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
_WEEKDAY: Final = "(0*[0-7]|SUN|MON|TUE|WED|THU|FRI|SAT)"
_CRON: Final = r"\s+".join(
    (
        _cron_field("0*[1-5]?[0-9]"),
        _cron_field("0*(1?[0-9]|2[0-3])"),
        _cron_field("0*([1-9]|[12][0-9]|3[01])", also="|LW?(/0*[1-9][0-9]*)?"),
        _cron_field(_MONTH),
        _cron_field(_WEEKDAY, also=f"|{_WEEKDAY}#0*[1-5]|0*[0-7]L"),
    )
)
"""The grammar of schedules, which cannot say that ranges run forward and that February is short."""

MODEL_RULES: Final[Mapping[str, Sequence[Rule]]] = {
    "Reactor": (_NAME,),
    "AnomalyScenario": (
        _NAME,
        _frozen("stages"),
        _frozen("targets"),
        _kept("mode"),
        _kept("environment"),
        _judged("probes"),
        _judged("abortWhen"),
        _NO_WAY_BACK,
    ),
    "LabelRequirement": (
        Rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            "`values` must be set for operators 'In' and 'NotIn', and empty for the others",
            field_path=".values",
        ),
    ),
    "Targets": (
        Rule(_exactly_one("selector", "names"), "must set exactly one of `selector` and `names`"),
    ),
    "Stage": (
        Rule(
            f"(self.fault in [{_SENSOR_FAULTS}]) == has(self.sensor)",
            "`sensor` must be set for sensor faults, and for no other",
            field_path=".sensor",
        ),
        Rule(
            "(self.shape in ['Ramp', 'Pulse']) == has(self.rampSeconds)",
            "`rampSeconds` must be set for shapes 'Ramp' and 'Pulse', and for no other",
            field_path=".rampSeconds",
        ),
        Rule(
            "self.shape != 'Ramp' || !has(self.rampSeconds)"
            " || self.rampSeconds <= self.durationSeconds",
            "`rampSeconds` must not be longer than `durationSeconds`",
            field_path=".rampSeconds",
        ),
    ),
    "Probe": (
        Rule(
            _exactly_one("telemetry", "alarm", "diagnosis", "http"),
            "must set exactly one of `telemetry`, `alarm`, `diagnosis` and `http`",
        ),
    ),
    "AnomalyScenarioSpec": (
        Rule(
            "[has(self.startTime), has(self.startDelaySeconds), has(self.schedule)]"
            ".filter(set, set).size() <= 1",
            "must set at most one of `startTime`, `startDelaySeconds` and `schedule`",
        ),
        Rule(
            "!has(self.ttlSecondsAfterFinished) || !has(self.schedule)",
            "`ttlSecondsAfterFinished` must not be set together with `schedule`, which never "
            "finishes",
            field_path=".ttlSecondsAfterFinished",
            reason="FieldValueForbidden",
        ),
        Rule(
            "!has(self.probes) || !has(self.abortWhen) || self.abortWhen.all(abort,"
            " !self.probes.exists(probe, probe.name == abort.name))",
            "names must be unique across `probes` and `abortWhen`",
            field_path=".abortWhen",
        ),
        Rule(
            "!has(self.abortWhen) || self.abortWhen.all(probe, probe.phase == 'During')",
            "`phase` must be 'During' in `abortWhen`, the only time to abort at",
            field_path=".abortWhen",
        ),
    ),
}
"""Rules of an object, by the name of its model."""

FIELD_RULES: Final[Mapping[tuple[str, str], Sequence[Rule]]] = {
    ("ReactorSpec", "design"): (
        Rule(
            "self == oldSelf",
            "`design` must not change: delete the reactor and create it anew",
            reason="FieldValueForbidden",
        ),
    ),
    ("LabelSelector", "matchLabels"): (
        Rule(
            f"self.all(key, key.matches('{LABEL_KEY_PATTERN}'))",
            "keys must be letters, digits, '-', '_' and '.', at most 63 characters, after a domain "
            "and '/' if need be",
        ),
    ),
    ("Schedule", "cron"): (
        Rule(
            f"self.matches(r'(?i)^\\s*{_CRON}\\s*$')",
            "must be a five-field cron expression (minute, hour, day of month, month, day of week),"
            " for example '0 2 * * *'",
        ),
    ),
    ("Schedule", "timeZone"): (
        Rule(
            # CEL's own functions know time zones, but meet an unknown one with an error of theirs.
            f"self in [{', '.join(map(repr, TIME_ZONES))}]",
            "must be an IANA time zone, for example 'Europe/Bucharest' or 'UTC'",
        ),
    ),
    ("AnomalyScenarioSpec", "startTime"): (
        Rule(
            f"timestamp('{START_FROM:%Y-%m-%dT%H:%M:%SZ}') <= self"
            f" && self < timestamp('{START_BEFORE:%Y-%m-%dT%H:%M:%SZ}')",
            "must lie in the years from 2000 to 2199",
        ),
    ),
    ("Targets", "count"): (
        Rule(
            f"type(self) == int ? self >= 1 && self <= {MAX_TARGETS} : true",
            f"must be from 1 to {MAX_TARGETS}, or a share such as '25%'",
        ),
    ),
}
"""Rules of one field, by the name of its model and its JSON name."""
