"""Events on the events topic."""

import json
from uuid import UUID

import pytest

from reactorsync.wire.envelope import Envelope
from reactorsync.wire.errors import (
    MALFORMED,
    SCHEMA_MISMATCH,
    UNSUPPORTED_VERSION,
    UndecodableRecord,
)
from reactorsync.wire.events import (
    EVENT_TYPES,
    AlarmCleared,
    AlarmRaised,
    DiagnosisMade,
    Event,
    FaultInjected,
    FaultRecovered,
    FaultVerified,
    ReactorApplied,
    ReactorObserved,
    ReactorRestarted,
    ReactorTripped,
    ShardHeartbeat,
    decode_event,
)

UID = UUID("0b4a9e8e-52a7-4ee5-a2a8-1c6a0b8d7f10")
TICK_US = 1_900_000_000_000_000
REACTOR = {"namespace": "default", "name": "bruce-1", "uid": UID, "tick_us": TICK_US}
FAULT = {"fault_id": "u/1/leak", "scenario": "leak", "run": 1, "stage": "leak", "kind": "PumpTrip"}
ALARM_ID = UUID("5f1f1a52-55a5-4c46-9d2b-0c2f5d0c7a11")
ALARM = {"alarm_id": ALARM_ID, "signal": "core_outlet_temperature_c", "limit": "High"}

EVENTS: list[Event] = [
    ReactorApplied.model_validate(
        REACTOR | {"generation": 2, "revision": "ab", "generator": "g", "shard": 1}
    ),
    ReactorObserved.model_validate(
        REACTOR | {"generator": "g", "shard": 1, "power_permille": 999, "trip_cause": None}
    ),
    FaultInjected.model_validate(REACTOR | FAULT),
    FaultRecovered.model_validate(REACTOR | FAULT),
    ReactorTripped.model_validate(REACTOR | {"cause": "LowPrimaryFlow"}),
    ReactorRestarted.model_validate(REACTOR),
    ShardHeartbeat(
        shard=3,
        generator="g",
        run="r",
        epoch=1,
        tick_us=TICK_US,
        reactors=12,
        readings_per_second=12.0,
        late_ticks=0,
        busy_permille=450,
    ),
    FaultVerified.model_validate(
        REACTOR
        | FAULT
        | {"confirmed": True, "signal": "core_outlet_temperature_c", "message": "up by 12 degC"}
    ),
    AlarmRaised.model_validate(REACTOR | ALARM | {"value": 321.5}),
    AlarmCleared.model_validate(REACTOR | ALARM),
    DiagnosisMade.model_validate(
        REACTOR | {"hypotheses": [{"fault": "PumpTrip", "probability_permille": 900}]}
    ),
]


def of_type(kind: str) -> Envelope:
    return Envelope(
        id="1", source="s", type=kind, subject="x", time_us=0, content_type="application/json"
    )


def test_every_type_is_covered_here() -> None:
    assert {event.type for event in EVENTS} == EVENT_TYPES.keys()


def test_a_verdict_that_could_not_be_given_is_left_out() -> None:
    event = FaultVerified.model_validate(REACTOR | FAULT | {"message": "it acted for 3 s"})
    assert b"confirmed" not in event.encode()
    again = decode_event(of_type(event.type), event.encode())
    assert again == event
    assert event.confirmed is None


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_what_is_written_is_read_back(event: Event) -> None:
    envelope = event.envelope(source="generator/g", time_us=TICK_US)

    assert decode_event(Envelope.from_headers(envelope.headers()), event.encode()) == event


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_fields_of_later_additions_are_ignored(event: Event) -> None:
    document = json.loads(event.encode()) | {"addedLater": 1}

    assert decode_event(of_type(event.type), json.dumps(document).encode()) == event


def test_the_value_is_canonical_json() -> None:
    assert EVENTS[4].encode() == (
        b'{"cause":"LowPrimaryFlow","name":"bruce-1","namespace":"default",'
        b'"tickUs":1900000000000000,"uid":"0b4a9e8e-52a7-4ee5-a2a8-1c6a0b8d7f10"}'
    )


@pytest.mark.parametrize(
    ("event", "identifier"),
    [
        (EVENTS[0], f"default/bruce-1/applied/g/ab/{TICK_US}"),
        (EVENTS[1], "default/bruce-1/5"),
        (EVENTS[2], f"default/bruce-1/injected/u/1/leak/{TICK_US}"),
        (EVENTS[3], f"default/bruce-1/recovered/u/1/leak/{TICK_US}"),
        (EVENTS[6], "shard/3/5"),
        (EVENTS[7], f"default/bruce-1/verified/u/1/leak/{TICK_US}"),
        (EVENTS[8], f"default/bruce-1/raised/{ALARM_ID}"),
        (EVENTS[9], f"default/bruce-1/cleared/{ALARM_ID}"),
        (EVENTS[10], f"default/bruce-1/diagnosis/{TICK_US}"),
    ],
)
def test_what_can_be_sent_again_keeps_its_id(event: Event, identifier: str) -> None:
    assert event.envelope(source="g", time_us=5).id == identifier


@pytest.mark.parametrize("event", [EVENTS[0], EVENTS[2], EVENTS[3]], ids=lambda event: event.type)
def test_what_happens_again_later_is_another_event(event: Event) -> None:
    later = event.model_copy(update={"tick_us": TICK_US + 1})

    assert later.envelope(source="g", time_us=5).id != event.envelope(source="g", time_us=5).id


def test_the_subject_is_the_reactor_or_the_shard() -> None:
    assert EVENTS[0].subject == "default/bruce-1"
    assert EVENTS[6].subject == "shard/3"


def diagnosis(hypotheses: list[dict[str, object]]) -> bytes:
    return json.dumps(json.loads(EVENTS[10].encode()) | {"hypotheses": hypotheses}).encode()


OBSERVED = json.loads(EVENTS[1].encode())
HEARTBEAT = EVENTS[6].encode()
RAISED = EVENTS[8].encode()
HYPOTHESIS = {"fault": "PumpTrip", "probabilityPermille": 90}


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("dev.reactorsync.reactor.tripped.v2", EVENTS[4].encode(), UNSUPPORTED_VERSION),
        ("com.example.other", b"{}", UNSUPPORTED_VERSION),
        (ReactorObserved.type, b"", MALFORMED),
        (ReactorObserved.type, b"\xff", MALFORMED),
        (ReactorObserved.type, b"[" * 100_000, MALFORMED),
        (ReactorObserved.type, b"[]", SCHEMA_MISMATCH),
        (ReactorObserved.type, b"{}", SCHEMA_MISMATCH),
        (
            ReactorObserved.type,
            json.dumps(OBSERVED | {"powerPermille": -1}).encode(),
            SCHEMA_MISMATCH,
        ),
        (ReactorObserved.type, json.dumps(OBSERVED | {"tickUs": 10**18}).encode(), SCHEMA_MISMATCH),
        (ShardHeartbeat.type, HEARTBEAT.replace(b"12.0", b"NaN"), SCHEMA_MISMATCH),
        (ShardHeartbeat.type, HEARTBEAT.replace(b"450", b"-1"), SCHEMA_MISMATCH),
        (AlarmRaised.type, RAISED.replace(b"321.5", b"NaN"), SCHEMA_MISMATCH),
        (AlarmRaised.type, RAISED.replace(str(ALARM_ID).encode(), b"7"), SCHEMA_MISMATCH),
        (DiagnosisMade.type, diagnosis([HYPOTHESIS] * 11), SCHEMA_MISMATCH),
        (
            DiagnosisMade.type,
            diagnosis([HYPOTHESIS | {"probabilityPermille": 1001}]),
            SCHEMA_MISMATCH,
        ),
    ],
)
def test_what_is_no_event_is_refused(kind: str, value: bytes, reason: str) -> None:
    with pytest.raises(UndecodableRecord) as error:
        decode_event(of_type(kind), value)

    assert error.value.reason == reason
