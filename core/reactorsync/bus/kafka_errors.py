"""How aiokafka's and the network's errors become the port's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiokafka.errors import ConsumerStoppedError, KafkaError

from reactorsync.bus.port import BrokerUnavailable

REQUEST_TIMEOUT_MS: Final = 5000
"""How long the broker may take to answer one request."""

RETRY_BACKOFF_MS: Final = 100
"""Pause of the client before it repeats a request."""

METADATA_MAX_AGE_MS: Final = 3000
"""How soon a client notices a topic that is new, or gone."""


@contextmanager
def broker_errors(action: str) -> Iterator[None]:
    """Turn whatever goes wrong with the broker into :class:`BrokerUnavailable`.

    ``action`` says what was attempted, for example ``cannot send to reactorsync.events``.
    """
    try:
        yield
    except (KafkaError, ConsumerStoppedError, OSError) as error:
        raise BrokerUnavailable(f"{action}: {describe(error)}") from error


def describe(error: BaseException) -> str:
    """Return an error in one line; aiokafka's often have no text but their name."""
    text = str(error).split("\n", 1)[0]
    name = type(error).__name__
    if not text:
        return "no answer in time" if isinstance(error, TimeoutError) else name
    return text if text.startswith((name, "[")) else f"{name}: {text}"
