"""Why a record could not be read."""


class UndecodableRecord(ValueError):
    """The bytes are no message of the expected type.

    ``reason`` is one of the constants of this module and goes to metrics and to the dead-letter
    topic; ``detail`` says what was found.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


MALFORMED = "Malformed"
"""The bytes cannot be parsed at all."""

UNSUPPORTED_VERSION = "UnsupportedVersion"
"""The message says it is of a version this reader does not know."""

SCHEMA_MISMATCH = "SchemaMismatch"
"""The message parses, but its columns or fields are not those of its version."""
