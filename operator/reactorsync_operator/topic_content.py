"""What the desired-state topic holds, by its records and by what the broker acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from reactorsync.bus.port import Record
from reactorsync.resources.reactor import ReactorState
from reactorsync.wire.desired import decode_desired, revision_of
from reactorsync.wire.envelope import Envelope
from reactorsync.wire.errors import UndecodableRecord
from reactorsync.wire.keys import shard_of
from reactorsync.wire.topics import SNAPSHOT_KEY
from reactorsync_operator.reconcile.observed import Publication

PUBLISHER: Final = "publisher"
"""Extension of the envelope: one session of one process, so that it knows its own records."""

MILLISECONDS: Final = 1000


class TopicContent:
    """The last record of each reactor, by key.

    Records and acknowledgements come in any order: offsets decide which is the last. ``is_ours``
    tells whether a key is this operator's. Of the others it is known only how many readings they
    are to make.
    """

    def __init__(self, *, shards: int, is_ours: Callable[[str], bool]) -> None:
        self._shards = shards
        self._is_ours = is_ours
        self._publications: dict[str, Publication] = {}
        self._offsets: dict[str, int] = {}
        self._read_to: dict[int, int] = {}
        self._elsewhere: dict[str, float] = {}

    @property
    def publications(self) -> Mapping[str, Publication]:
        """The reactors of ours that the topic holds."""
        return self._publications

    @property
    def reactors_elsewhere(self) -> int:
        """How many reactors of others the topic holds."""
        return len(self._elsewhere)

    @property
    def readings_per_second_elsewhere(self) -> float:
        """How many readings the running reactors of others make."""
        return sum(self._elsewhere.values())

    def take(self, record: Record) -> str | None:
        """Take in what anybody wrote.

        Returns the key of the reactor of ours of which this is the last word; ``None`` if it is of
        none, or was overwritten.
        """
        self._read_to[record.partition.number] = record.offset
        if record.key is None or record.key == SNAPSHOT_KEY:
            return None
        key = record.key.decode(errors="replace")
        if record.partition.number != shard_of(key, self._shards):
            # Nobody looks for it there.
            return None
        if not self._is_ours(key):
            self._take_elsewhere(key, record.value)
            return None
        if record.offset <= self._offsets.get(key, -1):
            return None
        publication = None
        if record.value is not None:
            publication = Publication(revision_of(record.value), _written_us(record))
        self._put(key, publication, record.offset)
        return key

    def acknowledge(self, key: str, publication: Publication | None, *, offset: int) -> None:
        """Note that the broker has what was written; ``None`` for a tombstone."""
        if offset > self._offsets.get(key, -1):
            self._put(key, publication, offset)

    def come_to(self, record: Record) -> None:
        """Note how far the partition has been read; what the record says was acknowledged."""
        self._read_to[record.partition.number] = record.offset
        key = (record.key or b"").decode(errors="replace")
        if key not in self._publications and self._offsets.get(key, -1) <= record.offset:
            self._offsets.pop(key, None)

    def _put(self, key: str, publication: Publication | None, offset: int) -> None:
        if publication is not None:
            self._offsets[key] = offset
            self._publications[key] = publication
            return
        self._publications.pop(key, None)
        if offset > self._read_to.get(shard_of(key, self._shards), -1):
            self._offsets[key] = offset
        else:
            # Nothing older of that reactor will be read any more.
            self._offsets.pop(key, None)

    def _take_elsewhere(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._elsewhere.pop(key, None)
        else:
            self._elsewhere[key] = _readings_per_second(value)


def _readings_per_second(value: bytes) -> float:
    try:
        desired = decode_desired(value)
    except UndecodableRecord:
        # Of a release that will say itself what it needs.
        return 0.0
    is_running = desired.state is ReactorState.RUNNING
    return MILLISECONDS / desired.interval_milliseconds if is_running else 0.0


def _written_us(record: Record) -> int:
    """Return when a record says that it was written, which the broker may have rounded."""
    try:
        return Envelope.from_headers(record.headers).time_us
    except UndecodableRecord:
        return record.timestamp_ms * 1000
