"""CloudEvents 1.0 in Kafka's binary content mode: attributes as headers, data as the value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import Field

from reactorsync.wire.errors import MALFORMED, UNSUPPORTED_VERSION, UndecodableRecord

Headers = Sequence[tuple[str, bytes]]

ARROW_STREAM: Final = "application/vnd.apache.arrow.stream"
JSON: Final = "application/json"

SPEC_VERSION: Final = "1.0"
MAX_MICROS: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999: what comes later is no time."""

Micros = Annotated[int, Field(ge=0, le=MAX_MICROS)]
"""Microseconds since 1970, within what every reader can turn into a date."""

_PREFIX = "ce_"
_OWN_PREFIX = "rs-"


@dataclass(frozen=True, slots=True)
class Envelope:
    """Attributes of one message.

    ``id`` together with ``source`` is unique per message and the same for every re-sending of it.
    ``extensions`` are ReactorSync's own headers, named without their ``rs-`` prefix.
    """

    id: str
    source: str
    type: str
    subject: str
    time_us: int
    content_type: str
    extensions: Mapping[str, str] = field(default_factory=dict)

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the Kafka headers, in a fixed order."""
        attributes = {
            "specversion": SPEC_VERSION,
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": format_micros(self.time_us),
        }
        return [
            *((f"{_PREFIX}{name}", value.encode()) for name, value in attributes.items()),
            ("content-type", self.content_type.encode()),
            *((f"{_OWN_PREFIX}{name}", value.encode()) for name, value in self.extensions.items()),
        ]

    @classmethod
    def from_headers(cls, headers: Headers) -> Envelope:
        """Read the attributes back; headers of others are not looked at.

        Raises:
            UndecodableRecord: a required attribute is missing or cannot be read, or the message
                follows another version of CloudEvents.
        """
        try:
            values = {
                name: value.decode()
                for name, value in headers
                if name.startswith((_PREFIX, _OWN_PREFIX)) or name == "content-type"
            }
            if values["ce_specversion"] != SPEC_VERSION:
                raise UndecodableRecord(
                    UNSUPPORTED_VERSION, f"CloudEvents {values['ce_specversion']!r}"
                )
            return cls(
                id=values["ce_id"],
                source=values["ce_source"],
                type=values["ce_type"],
                subject=values["ce_subject"],
                time_us=parse_micros(values["ce_time"]),
                content_type=values["content-type"],
                extensions={
                    name.removeprefix(_OWN_PREFIX): value
                    for name, value in values.items()
                    if name.startswith(_OWN_PREFIX)
                },
            )
        except KeyError as error:
            raise UndecodableRecord(MALFORMED, f"header {error} is missing") from error
        except UndecodableRecord:
            raise
        except (ValueError, AttributeError) as error:
            # Kafka lets a header have no value at all.
            raise UndecodableRecord(MALFORMED, f"header cannot be read: {error}") from error


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_micros(time_us: int) -> str:
    """Return microseconds since 1970 as RFC 3339, always with six decimals."""
    seconds, micros = divmod(time_us, 1_000_000)
    moment = datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=micros)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def to_micros(moment: datetime) -> int:
    """Return whole microseconds since 1970, exactly."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_micros(time_us: int) -> datetime:
    """Return the moment in UTC."""
    seconds, micros = divmod(time_us, 1_000_000)
    return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=micros)


def parse_micros(text: str) -> int:
    """Read an RFC 3339 time.

    Raises:
        ValueError: the text is no time, has no zone, or lies before 1970 or after 9999.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no zone")
    time_us = to_micros(moment)
    if not 0 <= time_us <= MAX_MICROS:
        raise ValueError(f"time {text!r} is not between 1970 and 9999")
    return time_us
