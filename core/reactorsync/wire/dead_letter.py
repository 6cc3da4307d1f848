"""Dead letters: records that could not be processed, as they were, with the reason in headers.

The headers are those of Kafka Connect (KIP-298), so tools that read its dead letters read these.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from reactorsync.wire.envelope import Headers
from reactorsync.wire.errors import MALFORMED, UndecodableRecord

_PREFIX: Final = "__connect.errors."
_MESSAGE_BYTES: Final = 2048


class DeadLetterStage(StrEnum):
    """Where processing failed, in Connect's words."""

    HEADER_CONVERTER = "HEADER_CONVERTER"
    VALUE_CONVERTER = "VALUE_CONVERTER"
    TASK_PUT = "TASK_PUT"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a record is on the dead-letter topic, and where it was read.

    Attributes:
        topic: topic it was read from.
        partition: partition of that topic.
        offset: offset in that partition; with topic and partition it identifies the letter, which
            may be written twice.
        stage: headers, value, or the store that refused the content.
        reason: a constant of :mod:`reactorsync.wire.errors`, or another cause in CamelCase.
        message: what was found, for people; cut to 2048 bytes.
    """

    topic: str
    partition: int
    offset: int
    stage: DeadLetterStage
    reason: str
    message: str

    def headers(self, original: Headers) -> list[tuple[str, bytes]]:
        """Return the headers of the dead letter: those of the record, then the reason."""
        return [
            *original,
            (f"{_PREFIX}topic", self.topic.encode()),
            (f"{_PREFIX}partition", str(self.partition).encode()),
            (f"{_PREFIX}offset", str(self.offset).encode()),
            (f"{_PREFIX}stage", self.stage.value.encode()),
            (f"{_PREFIX}exception.class.name", self.reason.encode()),
            (f"{_PREFIX}exception.message", _cut(self.message)),
        ]

    @classmethod
    def from_headers(cls, headers: Headers) -> DeadLetter:
        """Read the reason back; of a record that died twice, the last one.

        Raises:
            UndecodableRecord: a header is missing or cannot be read.
        """
        found = {
            name.removeprefix(_PREFIX): value for name, value in headers if name.startswith(_PREFIX)
        }
        try:
            return cls(
                topic=found["topic"].decode(),
                partition=int(found["partition"]),
                offset=int(found["offset"]),
                stage=DeadLetterStage(found["stage"].decode()),
                reason=found["exception.class.name"].decode(),
                message=found["exception.message"].decode(),
            )
        except KeyError as error:
            raise UndecodableRecord(
                MALFORMED, f"header {_PREFIX}{error.args[0]} is missing"
            ) from error
        except (ValueError, TypeError, AttributeError) as error:
            raise UndecodableRecord(MALFORMED, f"header cannot be read: {error}") from error


def original_headers(headers: Headers) -> list[tuple[str, bytes]]:
    """Return the headers the record had before it died: what to send it again with."""
    return [(name, value) for name, value in headers if not name.startswith(_PREFIX)]


def _cut(message: str) -> bytes:
    """Return the beginning of ``message`` in UTF-8, cut between characters."""
    return message.encode(errors="replace")[:_MESSAGE_BYTES].decode(errors="ignore").encode()
