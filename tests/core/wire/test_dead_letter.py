"""Dead letters carry Kafka Connect's headers."""

import pytest

from reactorsync.wire.dead_letter import DeadLetter, DeadLetterStage, original_headers
from reactorsync.wire.errors import MALFORMED, UndecodableRecord

LETTER = DeadLetter(
    topic="reactorsync.telemetry",
    partition=3,
    offset=1234,
    stage=DeadLetterStage.VALUE_CONVERTER,
    reason="Malformed",
    message="value is no Arrow stream",
)
ORIGINAL = [("ce_id", b"7"), ("binary", b"\xff")]


def test_the_headers_are_connects_after_those_of_the_record() -> None:
    assert LETTER.headers(ORIGINAL) == [
        ("ce_id", b"7"),
        ("binary", b"\xff"),
        ("__connect.errors.topic", b"reactorsync.telemetry"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"1234"),
        ("__connect.errors.stage", b"VALUE_CONVERTER"),
        ("__connect.errors.exception.class.name", b"Malformed"),
        ("__connect.errors.exception.message", b"value is no Arrow stream"),
    ]


def test_the_reason_and_the_record_are_read_back() -> None:
    headers = LETTER.headers(ORIGINAL)

    assert DeadLetter.from_headers(headers) == LETTER
    assert original_headers(headers) == ORIGINAL


def test_of_a_record_that_died_twice_the_last_reason_counts() -> None:
    again = DeadLetter(
        topic="reactorsync.telemetry",
        partition=0,
        offset=9,
        stage=DeadLetterStage.TASK_PUT,
        reason="Refused",
        message="",
    )

    assert DeadLetter.from_headers(again.headers(LETTER.headers(ORIGINAL))) == again


def test_a_long_message_is_cut_between_characters() -> None:
    letter = DeadLetter("t", 0, 0, DeadLetterStage.TASK_PUT, "Refused", "x" + "ä" * 2000)

    message = dict(letter.headers([]))["__connect.errors.exception.message"]

    assert len(message) == 2047
    assert message.decode() == "x" + "ä" * 1023


@pytest.mark.parametrize(
    "headers",
    [
        [],
        LETTER.headers([])[1:],
        [*LETTER.headers([]), ("__connect.errors.offset", b"x")],
        [*LETTER.headers([]), ("__connect.errors.stage", b"ELSEWHERE")],
    ],
)
def test_headers_that_do_not_say_why_are_refused(headers: list[tuple[str, bytes]]) -> None:
    with pytest.raises(UndecodableRecord) as error:
        DeadLetter.from_headers(headers)

    assert error.value.reason == MALFORMED
