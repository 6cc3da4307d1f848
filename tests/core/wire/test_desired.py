"""Desired state of one reactor."""

import json
from uuid import UUID

import pytest
from pydantic import JsonValue, ValidationError

from reactorsync.designs import Design
from reactorsync.faults import FaultKind
from reactorsync.resources.reactor import ReactorState, SensorNoise, Site
from reactorsync.resources.scenario import SensorDirection, Shape
from reactorsync.wire.desired import (
    DesiredFault,
    DesiredReactor,
    decode_desired,
    default_seed,
)
from reactorsync.wire.errors import (
    MALFORMED,
    SCHEMA_MISMATCH,
    UNSUPPORTED_VERSION,
    UndecodableRecord,
)

START_US = 1_900_000_000_000_000

FAULT = DesiredFault(
    id="7f0c1b9e-8f5d-4a40-9a35-1f2d3c4b5a69/1/leak",
    namespace="default",
    scenario="small-leak",
    run=1,
    stage="leak",
    kind=FaultKind.PRIMARY_LEAK,
    severity_permille=250,
    shape=Shape.RAMP,
    start_us=START_US,
    ramp_us=60_000_000,
    end_us=START_US + 3_600_000_000,
)
REACTOR = DesiredReactor(
    namespace="default",
    name="cernavoda-1",
    uid=UUID("0b4a9e8e-52a7-4ee5-a2a8-1c6a0b8d7f10"),
    generation=3,
    design=Design.CANDU6,
    site=Site(
        name="Cernavoda",
        latitude_microdegrees=44_322_000,
        longitude_microdegrees=28_057_000,
        country="RO",
    ),
    power_setpoint_permille=1000,
    interval_milliseconds=1000,
    noise=SensorNoise.NOMINAL,
    seed=7,
    state=ReactorState.RUNNING,
    faults=[FAULT],
)
GOLDEN = (
    '{"design":"Candu6","faults":[{"direction":"High","endUs":1900003600000000,'
    '"id":"7f0c1b9e-8f5d-4a40-9a35-1f2d3c4b5a69/1/leak","kind":"PrimaryLeak",'
    '"namespace":"default","rampUs":60000000,"run":1,"scenario":"small-leak",'
    '"severityPermille":250,"shape":"Ramp","stage":"leak","startUs":1900000000000000}],'
    '"generation":3,"intervalMilliseconds":1000,"name":"cernavoda-1","namespace":"default",'
    '"noise":"Nominal","powerSetpointPermille":1000,"seed":7,"site":{"country":"RO",'
    '"latitudeMicrodegrees":44322000,"longitudeMicrodegrees":28057000,"name":"Cernavoda"},'
    '"state":"Running","uid":"0b4a9e8e-52a7-4ee5-a2a8-1c6a0b8d7f10","version":1}'
)


def changed(path: str, value: JsonValue) -> bytes:
    """Return the golden record with one field set; ``faults.0.kind`` names a nested one."""
    document = json.loads(GOLDEN)
    place = document
    *parents, last = path.split(".")
    for part in parents:
        place = place[int(part) if part.isdigit() else part]
    place[last] = value
    return json.dumps(document).encode()


def test_the_value_is_canonical_json() -> None:
    assert REACTOR.encode() == GOLDEN.encode()


def test_what_is_written_is_read_back() -> None:
    assert decode_desired(REACTOR.encode()) == REACTOR


def test_absent_options_are_left_out() -> None:
    plain = REACTOR.model_copy(update={"site": None, "faults": []})

    assert b"site" not in plain.encode()
    assert b'"faults":[]' in plain.encode()
    assert decode_desired(plain.encode()) == plain


def test_a_sensor_fault_names_its_signal() -> None:
    fault = FAULT.model_copy(
        update={
            "kind": FaultKind.SENSOR_DRIFT,
            "signal": "primary_pressure_mpa",
            "direction": SensorDirection.LOW,
        }
    )
    reactor = REACTOR.model_copy(update={"faults": [fault]})

    assert b'"direction":"Low"' in reactor.encode()
    assert decode_desired(reactor.encode()) == reactor


def test_the_envelope_names_content_by_its_revision() -> None:
    headers = dict(REACTOR.envelope(source="operator", time_us=START_US).headers())

    assert REACTOR.key == "default/cernavoda-1"
    assert headers["ce_id"] == f"default/cernavoda-1/{REACTOR.revision}".encode()
    assert headers["ce_type"] == b"dev.reactorsync.reactor.desired.v1"
    assert headers["ce_subject"] == b"default/cernavoda-1"


def test_the_revision_changes_with_the_content_alone() -> None:
    assert REACTOR.revision == decode_desired(GOLDEN.encode()).revision
    assert REACTOR.revision != REACTOR.model_copy(update={"faults": []}).revision


@pytest.mark.parametrize("path", ["colour", "site.elevationMetres", "faults.0.comment"])
def test_fields_of_later_additions_are_ignored(path: str) -> None:
    assert decode_desired(changed(path, "new")) == REACTOR


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", MALFORMED),
        (b"\xff", MALFORMED),
        (b"{", MALFORMED),
        (b"[]", MALFORMED),
        (b"[" * 100_000, MALFORMED),
        (b"{}", UNSUPPORTED_VERSION),
        (changed("version", 2), UNSUPPORTED_VERSION),
        (b'{"version":1}', SCHEMA_MISMATCH),
        (changed("design", "Rbmk1000"), SCHEMA_MISMATCH),
        (changed("intervalMilliseconds", 0), SCHEMA_MISMATCH),
        (changed("intervalMilliseconds", 150), SCHEMA_MISMATCH),
        (changed("powerSetpointPermille", -1), SCHEMA_MISMATCH),
        (changed("seed", 2**31), SCHEMA_MISMATCH),
        (changed("uid", "7"), SCHEMA_MISMATCH),
        (changed("faults.0.kind", "MeteorStrike"), SCHEMA_MISMATCH),
        (changed("faults.0.severityPermille", 0), SCHEMA_MISMATCH),
        (changed("faults.0.endUs", 10**18), SCHEMA_MISMATCH),
    ],
)
def test_what_is_no_desired_state_is_refused(value: bytes, reason: str) -> None:
    with pytest.raises(UndecodableRecord) as error:
        decode_desired(value)

    assert error.value.reason == reason


def test_a_state_that_no_generator_could_read_is_never_made() -> None:
    with pytest.raises(ValidationError):
        DesiredReactor.model_validate(REACTOR.to_json() | {"intervalMilliseconds": 1})


def test_the_default_seed_depends_on_the_name_alone() -> None:
    assert default_seed("default", "cernavoda-1") == default_seed("default", "cernavoda-1")
    assert default_seed("default", "cernavoda-1") != default_seed("default", "cernavoda-2")
    assert 0 <= default_seed("default", "cernavoda-1") < 2**31
