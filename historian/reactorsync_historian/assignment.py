"""Which partitions the consumer group gives this process, and which of them it owns in Postgres.

The two differ for moments: after an assignment until the partition is taken over, and after a batch
failed until it is taken over again. Records are only worth something while a partition is owned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from reactorsync.bus.port import Partition
from reactorsync_historian.batch import Item
from reactorsync_historian.offsets import Ownership


class Assignment:
    """Bookkeeping of one process in one incarnation of the broker."""

    def __init__(self) -> None:
        self.assigned: frozenset[Partition] = frozenset()
        self.owned: dict[Partition, Ownership] = {}
        self._last: dict[Partition, Ownership] = {}
        self._not_before: dict[Partition, float] = {}
        self._whole: frozenset[int] = frozenset()

    def assign(self, partitions: Collection[Partition]) -> None:
        """The group gave us exactly these partitions; each has to be taken over."""
        self.release(self.owned.keys())
        self.assigned = frozenset(partitions)
        self._not_before.clear()
        self._last = {part: own for part, own in self._last.items() if part in self.assigned}

    def revoke(self) -> None:
        """The group takes everything away."""
        self.release(self.owned.keys())
        self.assigned = frozenset()

    def release(self, partitions: Iterable[Partition], *, not_before: float = 0.0) -> None:
        """Own these partitions no longer; take them over again at ``not_before``, monotonic."""
        for partition in list(partitions):
            ownership = self.owned.pop(partition, None)
            if ownership is not None:
                self._last[partition] = ownership
            self._not_before[partition] = not_before

    def due(self, now: float) -> list[Partition]:
        """Return the partitions to be taken over now."""
        return sorted(
            partition
            for partition in self.assigned
            if partition not in self.owned and self._not_before.get(partition, 0.0) <= now
        )

    def owns_shard(self, shard: int) -> bool:
        """Return whether a partition of the shard is owned."""
        return any(partition.number == shard for partition in self.owned)

    def holds(self, item: Item) -> bool:
        """Return whether the item's partition is still owned as it was when the item was read."""
        return self.owned.get(item.record.partition) is item.owner

    def read_to_end(self, end_of: Callable[[Partition], int | None]) -> set[int]:
        """Return the shards of which every partition is owned and stored up to its end.

        Args:
            end_of: end of a partition, ``None`` while it is not known.
        """
        unread = set()
        for partition in self.assigned:
            owner, end = self.owned.get(partition), end_of(partition)
            if owner is None or end is None or owner.next_offset < end:
                unread.add(partition.number)
        return {partition.number for partition in self.assigned} - unread

    def acquire(
        self, ownerships: Mapping[Partition, Ownership], *, topics: Collection[str]
    ) -> set[int]:
        """Own what was taken over; what has been revoked meanwhile is left out.

        Args:
            ownerships: what Postgres says of the partitions taken over.
            topics: all telemetry topics that exist.

        Returns:
            The shards whose frames others may have read meanwhile. Only of the other shards it is
            known that every frame was seen here, so that a missing number means a missing frame.
        """
        acquired = {part: own for part, own in ownerships.items() if part in self.assigned}
        whole = frozenset(
            partition.number
            for partition in self.assigned
            if all(Partition(topic, partition.number) in self.assigned for topic in topics)
        )
        broken = {part.number for part, own in acquired.items() if not self._continues(part, own)}
        interrupted = {
            part.number
            for part in acquired
            if part.number in broken or part.number not in whole & self._whole
        }
        self.owned |= acquired
        self._whole = whole
        return interrupted

    def _continues(self, partition: Partition, ownership: Ownership) -> bool:
        """Return whether nobody else has read the partition since it was last owned here."""
        if ownership.epoch == 1:
            return True
        last = self._last.get(partition)
        return last is not None and ownership == Ownership(last.epoch + 1, last.next_offset)
