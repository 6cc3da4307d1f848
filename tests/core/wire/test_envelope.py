"""CloudEvents attributes as Kafka headers."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorsync.wire.envelope import (
    MAX_MICROS,
    Envelope,
    format_micros,
    from_micros,
    parse_micros,
    to_micros,
)
from reactorsync.wire.errors import MALFORMED, UNSUPPORTED_VERSION, UndecodableRecord

ENVELOPE = Envelope(
    id="run/3/1900000000000000",
    source="generator/a",
    type="dev.reactorsync.telemetry.frame.v1",
    subject="shard/3",
    time_us=1_900_000_000_000_000,
    content_type="application/json",
    extensions={"run": "r", "seq": "7"},
)


def test_headers_are_these_in_this_order() -> None:
    assert ENVELOPE.headers() == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"run/3/1900000000000000"),
        ("ce_source", b"generator/a"),
        ("ce_type", b"dev.reactorsync.telemetry.frame.v1"),
        ("ce_subject", b"shard/3"),
        ("ce_time", b"2030-03-17T17:46:40.000000Z"),
        ("content-type", b"application/json"),
        ("rs-run", b"r"),
        ("rs-seq", b"7"),
    ]


texts = st.text(max_size=20)


@given(
    st.builds(
        Envelope,
        id=texts,
        source=texts,
        type=texts,
        subject=texts,
        time_us=st.integers(0, MAX_MICROS),
        content_type=texts,
        extensions=st.dictionaries(st.text("abcdefghij", min_size=1, max_size=5), texts),
    )
)
def test_what_is_written_is_read_back(envelope: Envelope) -> None:
    assert Envelope.from_headers(envelope.headers()) == envelope


def test_headers_of_others_are_not_looked_at() -> None:
    headers = [*ENVELOPE.headers(), ("traceparent", b"00-ab"), ("binary", b"\xff\xfe")]

    assert Envelope.from_headers(headers) == ENVELOPE


@pytest.mark.parametrize(
    "name", ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time"]
)
def test_a_missing_attribute_is_named(name: str) -> None:
    headers = [header for header in ENVELOPE.headers() if header[0] != name]

    with pytest.raises(UndecodableRecord, match=f"header '{name}' is missing") as error:
        Envelope.from_headers(headers)
    assert error.value.reason == MALFORMED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_id", b"\xff"),
        ("ce_id", None),
        ("ce_time", b"yesterday"),
        ("ce_time", b"2030-03-17T17:46:40"),
        ("ce_time", b"0001-01-01T00:00:00+14:00"),
        ("ce_time", b"1969-12-31T23:59:59Z"),
    ],
)
def test_a_header_that_cannot_be_read_is_malformed(name: str, value: bytes | None) -> None:
    headers = [(key, value if key == name else old) for key, old in ENVELOPE.headers()]

    with pytest.raises(UndecodableRecord, match="header cannot be read") as error:
        Envelope.from_headers(headers)  # type: ignore[arg-type] # Kafka lets a value be absent
    assert error.value.reason == MALFORMED


def test_another_version_of_cloudevents_is_refused() -> None:
    headers = [("ce_specversion", b"2.0"), *ENVELOPE.headers()[1:]]

    with pytest.raises(UndecodableRecord, match=r"2\.0") as error:
        Envelope.from_headers(headers)
    assert error.value.reason == UNSUPPORTED_VERSION


@given(st.integers(0, MAX_MICROS))
def test_times_keep_every_microsecond(time_us: int) -> None:
    assert parse_micros(format_micros(time_us)) == time_us
    assert to_micros(from_micros(time_us)) == time_us


def test_a_time_in_another_zone_is_the_same_moment() -> None:
    moment = datetime(2030, 1, 1, 2, 0, tzinfo=timezone(timedelta(hours=2)))

    assert parse_micros(moment.isoformat()) == to_micros(datetime(2030, 1, 1, tzinfo=UTC))
