"""The alarms of all shards that this process reads, in step with what is committed.

A batch is judged on copies. They become the state when the batch is committed, and are dropped with
it: then its frames are judged again, from the state that the database has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from reactorsync.wire.frame import Frame
from reactorsync.wire.keys import shard_of
from reactorsync_historian import metrics
from reactorsync_historian.alarms.shard import Change, OpenAlarm, Raised, ShardAlarms
from reactorsync_historian.batch import Item
from reactorsync_historian.fleet import FleetView
from reactorsync_historian.reactors import ReactorIds


class Judgement:
    """What a batch changes: to be written with it, and settled once it is committed."""

    def __init__(self, changes: Sequence[Change], shards: dict[int, ShardAlarms]) -> None:
        self.changes = changes
        self.shards = shards


class AlarmEngine:
    """Limit alarms.

    Args:
        fleet: who the reactors are.
        shards: number of shards of the installation.
    """

    def __init__(self, fleet: FleetView, *, shards: int) -> None:
        self._fleet = fleet
        self._shards_total = shards
        self._shards: dict[int, ShardAlarms] = {}

    def begin(self, shards: Collection[int], open_alarms: Iterable[OpenAlarm]) -> None:
        """Go on with these shards from what the database says of the whole fleet."""
        by_shard: dict[int, list[OpenAlarm]] = {shard: [] for shard in shards}
        for alarm in open_alarms:
            shard = shard_of(alarm.key, self._shards_total)
            if shard in by_shard:
                by_shard[shard].append(alarm)
        for shard, alarms in by_shard.items():
            self._shards[shard] = ShardAlarms(self._fleet, alarms)

    def keep(self, shards: Collection[int]) -> None:
        """Forget all shards but these."""
        self._shards = {shard: state for shard, state in self._shards.items() if shard in shards}

    def judge(self, items: Sequence[Item], reactor_ids: ReactorIds) -> Judgement:
        """Judge the frames of a batch, in order."""
        changes: list[Change] = []
        touched: dict[int, ShardAlarms] = {}
        with metrics.JUDGE_SECONDS.time():
            for item in items:
                if not isinstance(item.content, Frame):
                    continue
                shard = item.record.partition.number
                if shard not in touched:
                    state = self._shards.get(shard)
                    touched[shard] = ShardAlarms(self._fleet) if state is None else state.copy()
                changes += _judge_frame(touched[shard], item.content, shard, reactor_ids)
        return Judgement(changes, touched)

    def settle(self, judgement: Judgement) -> None:
        """Take note that a batch has been committed."""
        self._shards |= judgement.shards
        for change in judgement.changes:
            if isinstance(change, Raised):
                metrics.ALARMS_RAISED.labels(change.condition).inc()
            else:
                metrics.ALARMS_CLEARED.inc()
        if judgement.shards:
            metrics.ALARMS_OPEN.set(sum(state.open_alarms for state in self._shards.values()))


def _judge_frame(
    state: ShardAlarms, frame: Frame, shard: int, reactor_ids: ReactorIds
) -> list[Change]:
    ids = reactor_ids.of(frame.reactors, shard=shard)
    return state.judge(
        tick_us=frame.tick_us,
        reactor_ids=ids,
        keys=None if state.knows(ids) else frame.reactors.to_pylist(),
        readings=frame.readings,
    )
