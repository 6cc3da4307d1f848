"""The dead-letter topic: a copy of ``dead_letter`` for the tools that look there.

The table is exact, because a dead letter is stored in the transaction that passes its record. The
topic gets each one at least once.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from dataclasses import dataclass
from typing import Any, Final

from reactorsync.bus.port import BrokerUnavailable, Bus, Producer
from reactorsync.service import Backoff, pause
from reactorsync.wire.dead_letter import DeadLetter, DeadLetterStage
from reactorsync_historian import metrics
from reactorsync_historian.batch import TICK_EXPIRED, TICK_IN_FUTURE
from reactorsync_historian.database import DatabaseUnavailable, Link

log = logging.getLogger(__name__)

_EVERY_SECONDS: Final = 1.0
_AT_ONCE: Final = 16
_STAGES: Final = {
    TICK_IN_FUTURE: DeadLetterStage.TASK_PUT,
    TICK_EXPIRED: DeadLetterStage.TASK_PUT,
}
"""Reasons that the store has; all others come from decoding."""


class DeadLetterMirror:
    """Sends dead letters that the topic does not have yet."""

    def __init__(self, *, topic: str, bus: Bus, link: Link) -> None:
        self._topic = topic
        self._bus = bus
        self._link = link

    async def run(self, stopping: asyncio.Event) -> None:
        """Mirror until ``stopping`` is set."""
        backoff = Backoff()
        producer = self._bus.producer(client_id="historian-dead-letters")
        try:
            while not stopping.is_set():
                try:
                    await producer.start()
                    while await self.mirror(producer) == _AT_ONCE and not stopping.is_set():
                        pass
                except (BrokerUnavailable, DatabaseUnavailable) as error:
                    log.warning("dead letters cannot be mirrored: %s", error)
                    await pause(backoff.next_pause(), stopping)
                else:
                    backoff.reset()
                    await pause(_EVERY_SECONDS, stopping)
        finally:
            await producer.stop()

    async def mirror(self, producer: Producer) -> int:
        """Send the oldest unmirrored dead letters; return how many there were.

        Raises:
            BrokerUnavailable: some were not acknowledged; they will be sent again.
            DatabaseUnavailable: the same, for they could not be marked.
        """
        async with self._link.transaction() as connection:
            cursor = await connection.execute(
                """
                SELECT topic, incarnation, partition, "offset", key, value, headers, reason, detail,
                       (SELECT count(*) FROM dead_letter WHERE mirrored_at IS NULL)
                FROM dead_letter WHERE mirrored_at IS NULL ORDER BY seen_at LIMIT %s
                """,
                (_AT_ONCE,),
            )
            rows = await cursor.fetchall()
        metrics.UNMIRRORED.set(rows[0][-1] if rows else 0)
        letters = [_letter(row) for row in rows]
        # No transaction is open while the broker is waited for: a crash here sends some again.
        for letter in letters:
            await self._send(producer, letter)
        async with self._link.transaction() as connection, connection.cursor() as cursor:
            await cursor.executemany(
                """
                UPDATE dead_letter SET mirrored_at = now()
                WHERE topic = %s AND incarnation = %s AND partition = %s AND "offset" = %s
                """,
                [letter.identity for letter in letters],
            )
        return len(letters)

    async def _send(self, producer: Producer, letter: _Letter) -> None:
        # Kafka's clients do not send a record that has neither key nor value.
        value = b"" if letter.key is None and letter.value is None else letter.value
        try:
            await producer.send(
                self._topic, value, key=letter.key, headers=letter.headers, partition=0
            )
        except ValueError:
            log.exception("%s does not take a dead letter; it stays in the table", self._topic)


@dataclass(frozen=True, slots=True)
class _Letter:
    """A row of ``dead_letter`` as the topic gets it."""

    identity: tuple[str, str, int, int]
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def _letter(row: tuple[Any, ...]) -> _Letter:
    topic, incarnation, partition, offset, key, value, headers, reason, detail, *_ = row
    reasons = DeadLetter(
        topic=topic,
        partition=partition,
        offset=offset,
        stage=_STAGES.get(reason, DeadLetterStage.VALUE_CONVERTER),
        reason=reason,
        message=detail,
    )
    original = [(name, base64.b64decode(encoded)) for name, encoded in headers]
    return _Letter((topic, incarnation, partition, offset), key, value, reasons.headers(original))
