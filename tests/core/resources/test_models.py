"""The models of both kinds: JSON form, defaults, times, and what a run is made of."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from reactorsync.designs import DESIGNS, Design
from reactorsync.faults import FAULTS, FaultKind, inapplicable
from reactorsync.resources import (
    API_VERSION,
    AnomalyScenario,
    AnomalyScenarioSpec,
    Condition,
    ConditionStatus,
    ObjectMeta,
    Reactor,
    ReactorSpec,
    Stage,
    Targets,
    condition_of,
)
from reactorsync.resources.meta import GROUP, VERSION
from reactorsync.resources.reactor import ReactorStatus, SensorNoise
from reactorsync.signals import LIMITS, SIGNAL_NAMES, signals_of

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def spec(**fields: Any) -> AnomalyScenarioSpec:
    return AnomalyScenarioSpec.model_validate(
        {"targets": {"names": ["a"]}, "stages": [{"name": "s", "fault": "PumpTrip"}]} | fields
    )


def test_the_api_version_is_made_of_group_and_version() -> None:
    assert f"{GROUP}/{VERSION}" == API_VERSION


def test_json_is_camel_case_without_what_is_absent() -> None:
    reactor = Reactor(metadata=ObjectMeta(name="a"), spec=ReactorSpec(design=Design.CANDU6))

    assert reactor.to_json()["spec"] == {
        "design": "Candu6",
        "powerSetpointPermille": 1000,
        "telemetry": {"intervalMilliseconds": 1000, "noise": "Nominal"},
        "state": "Running",
    }
    assert Reactor.model_validate(reactor.to_json()) == reactor


def test_a_resource_cannot_be_changed_in_place() -> None:
    reactor = Reactor(metadata=ObjectMeta(name="a"), spec=ReactorSpec(design=Design.CANDU6))

    with pytest.raises(ValidationError, match="frozen"):
        reactor.kind = "Reactor"  # type: ignore[misc] # that is the point


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (NOON, NOON),
        (NOON.astimezone(timezone(timedelta(hours=2))), NOON),
        ("2030-01-01T12:00:00Z", NOON),
        ("2030-01-01T14:00:00+02:00", NOON),
        ("2030-01-01T12:00:00.5Z", NOON + timedelta(seconds=0.5)),
    ],
)
def test_a_time_is_kept_in_utc(value: object, moment: datetime) -> None:
    status = ReactorStatus.model_validate({"lastTelemetryTime": value})

    assert status.last_telemetry_time == moment
    assert status.last_telemetry_time is not None
    assert status.last_telemetry_time.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        *("noon", "2030-01-01", "2030-01-01 12:00:00Z", "2030-01-01T12:00:00", "1893499200", 5),
        *(True, "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"),
    ],
)
def test_what_is_no_time(value: object) -> None:
    with pytest.raises(ValidationError):
        ReactorStatus.model_validate({"lastTelemetryTime": value})


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOON, "2030-01-01T12:00:00Z"),
        (NOON + timedelta(microseconds=1), "2030-01-01T12:00:00.000001Z"),
    ],
)
def test_a_time_is_written_as_rfc_3339(moment: datetime, text: str) -> None:
    status = ReactorStatus(last_telemetry_time=moment)

    assert status.to_json()["lastTelemetryTime"] == text


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a.b", "a_b", "a" * 64])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError):
        ObjectMeta(name=name)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("", "a"),
        ("a b", ""),
        ("/a", ""),
        ("a/b/c", ""),
        ("a" * 64, ""),
        ("a", "x" * 64),
        ("a", "-"),
    ],
)
def test_what_is_no_label(key: str, value: str) -> None:
    with pytest.raises(ValidationError):
        ObjectMeta(name="a", labels={key: value})


def test_labels_may_have_a_domain() -> None:
    labels = {"reactorsync.dev/site": "bruce", "a" * 63: "", "A_b.c-d": "x" * 63}

    assert ObjectMeta(name="a", labels=labels).labels == labels


def test_a_condition_is_found_by_its_type() -> None:
    ready = Condition(
        type="Ready", status=ConditionStatus.TRUE, reason="Streaming", last_transition_time=NOON
    )

    assert condition_of([ready], "Ready") is ready
    assert condition_of([ready], "Nominal") is None


@pytest.mark.parametrize("reason", ["", "has blank", "1st", "Trailing:"])
def test_a_reason_is_one_word(reason: str) -> None:
    with pytest.raises(ValidationError):
        Condition(
            type="Ready", status=ConditionStatus.TRUE, reason=reason, last_transition_time=NOON
        )


@pytest.mark.parametrize("count", [1, 100_000, "1%", "100%"])
def test_how_many_targets_can_be_asked_for(count: int | str) -> None:
    assert Targets(names=["a"], count=count).count == count


@pytest.mark.parametrize("count", [0, 100_001, -1, "0%", "101%", "007%", "%", "5", "٥%"])
def test_how_many_targets_cannot_be_asked_for(count: int | str) -> None:
    with pytest.raises(ValidationError):
        Targets(names=["a"], count=count)


@pytest.mark.parametrize("field", ["stages", "probes", "abortWhen"])
def test_names_in_a_list_are_unique(field: str) -> None:
    entry = (
        {"name": "s", "fault": "PumpTrip"}
        if field == "stages"
        else {"name": "s", "alarm": {"signal": "primary_flow_kg_s"}}
    )

    with pytest.raises(ValidationError, match=f"names in `{field}` must be unique"):
        spec(**{field: [entry, entry]})


def test_a_run_lasts_until_its_last_stage_has_ended() -> None:
    stages = [
        {"name": "a", "fault": "PumpTrip", "durationSeconds": 100},
        {"name": "b", "fault": "PumpTrip", "offsetSeconds": 30, "durationSeconds": 60},
    ]

    assert spec(stages=stages).run_seconds == 100
    assert spec(stages=[*stages, stages[1] | {"name": "c", "offsetSeconds": 50}]).run_seconds == 110


@pytest.mark.parametrize("kind", FaultKind)
def test_a_sensor_fault_names_its_instrument_and_no_other_does(kind: FaultKind) -> None:
    sensor = {"sensor": {"signal": "primary_pressure_mpa"}}
    plain = {"name": "s", "fault": kind.value}
    both = [plain, plain | sensor]
    wanted = both.pop(FAULTS[kind].acts_on_sensor)

    assert Stage.model_validate(wanted).fault is kind
    with pytest.raises(ValidationError, match="`sensor` must"):
        Stage.model_validate(both[0])


def test_a_scenario_needs_a_stage() -> None:
    with pytest.raises(ValidationError):
        spec(stages=[])


def test_a_scenario_without_a_word_about_time_starts_at_once() -> None:
    scenario = AnomalyScenario(metadata=ObjectMeta(name="a"), spec=spec())

    starts = (scenario.spec.start_time, scenario.spec.start_delay_seconds, scenario.spec.schedule)
    assert starts == (None, None, None)


# The registries that the resources refer to


@pytest.mark.parametrize("design", Design)
def test_every_design_is_described_and_has_its_signals(design: Design) -> None:
    assert DESIGNS[design].design is design
    assert len(signals_of(design)) >= 14
    assert LIMITS[design].keys() <= set(SIGNAL_NAMES)


@pytest.mark.parametrize("design", Design)
def test_limits_grow_outward(design: Design) -> None:
    for name, limits in LIMITS[design].items():
        steps = (
            limits.low_low,
            limits.low,
            limits.normal_low,
            limits.normal_high,
            limits.high,
            limits.high_high,
        )
        known = [step for step in steps if step is not None]
        assert known == sorted(set(known)), (design, name)


def test_every_fault_is_in_the_catalogue_with_a_signal_that_exists() -> None:
    assert FAULTS.keys() == set(FaultKind)
    for info in FAULTS.values():
        assert info.primary_signal is None or info.primary_signal in SIGNAL_NAMES
        for design in info.designs:
            assert inapplicable(info.kind, design, info.primary_signal) is None


@pytest.mark.parametrize(
    ("kind", "design", "signal", "why"),
    [
        (FaultKind.BORON_DILUTION, Design.CANDU6, None, "BoronDilution has no mechanism"),
        (FaultKind.LOSS_OF_REGULATION, Design.PWR_3_LOOP, None, "LossOfRegulation has no"),
        (
            FaultKind.SENSOR_BIAS,
            Design.CANDU6,
            "boron_concentration_ppm",
            "a Candu6 has no boron_concentration_ppm",
        ),
    ],
)
def test_what_cannot_act_says_why(
    kind: FaultKind, design: Design, signal: str | None, why: str
) -> None:
    assert (inapplicable(kind, design, signal) or "").startswith(why)


def test_noise_is_off_nominal_or_high() -> None:
    assert [noise.value for noise in SensorNoise] == ["Off", "Nominal", "High"]
