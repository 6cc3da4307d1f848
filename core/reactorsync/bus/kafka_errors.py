"""How aiokafka's and the network's errors become the port's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import ConsumerStoppedError, KafkaError

from reactorsync.bus.port import BrokerUnavailable


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
