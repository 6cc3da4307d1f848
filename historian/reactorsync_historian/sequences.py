"""Which frames never came: holes in the sequences that generators count.

A generator numbers its frames of a shard from 0 without a hole (``FrameOrigin``). A hole is first
only noticed, because frames of neighbouring time slots may be read in any order; it counts as lost
when nothing has filled it for a while.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

RUNS_PER_SHARD: Final = 4
HOLES_PER_RUN: Final = 64


class LossCause(StrEnum):
    """Why frames are missing."""

    SEQUENCE_GAP = "SequenceGap"
    BROKER_RESTART = "BrokerRestart"


@dataclass(frozen=True, slots=True)
class Loss:
    """``count`` frames from ``first_sequence`` on that never came."""

    shard: int
    run: str
    first_sequence: int
    count: int
    cause: LossCause


@dataclass(slots=True)
class _Hole:
    first: int
    end: int
    noticed_at: float
    cause: LossCause


@dataclass(slots=True)
class _Run:
    """One generator's frames of one shard: the next sequence expected, and what is missing."""

    next: int
    restarted_at: int | None = None
    holes: list[_Hole] = field(default_factory=list)

    def observe(self, sequence: int, now: float) -> None:
        if sequence >= self.next:
            if sequence > self.next:
                restarted = self.restarted_at == self.next
                cause = LossCause.BROKER_RESTART if restarted else LossCause.SEQUENCE_GAP
                self.holes.append(_Hole(self.next, sequence, now, cause))
            self.next = sequence + 1
        else:
            self._fill(sequence)

    def _fill(self, sequence: int) -> None:
        for index, hole in enumerate(self.holes):
            if hole.first <= sequence < hole.end:
                parts = (
                    _Hole(hole.first, sequence, hole.noticed_at, hole.cause),
                    _Hole(sequence + 1, hole.end, hole.noticed_at, hole.cause),
                )
                self.holes[index : index + 1] = [part for part in parts if part.first < part.end]
                return


class SequenceLedger:
    """What is known of the sequences of the shards that are read here.

    The first frame seen of a run starts its count, so a new reader reports nothing that others have
    read before it. Bounded: :data:`RUNS_PER_SHARD` runs of a shard, :data:`HOLES_PER_RUN` holes
    of a run; what goes beyond is taken for lost at once, oldest first.

    Args:
        grace_seconds: how long a hole may stay open before its frames count as lost.
    """

    def __init__(self, *, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._shards: dict[int, OrderedDict[str, _Run]] = {}
        self._pushed_out: list[Loss] = []

    def observe(self, *, shard: int, run: str, sequence: int, now: float) -> None:
        """Take note of a frame. ``now`` is monotonic, in seconds. Repeated frames do no harm."""
        runs = self._shards.setdefault(shard, OrderedDict())
        known = runs.get(run)
        if known is None:
            runs[run] = _Run(next=sequence + 1)
            if len(runs) > RUNS_PER_SHARD:
                old_run, old = runs.popitem(last=False)
                self._pushed_out += [_loss(shard, old_run, hole) for hole in old.holes]
            return
        runs.move_to_end(run)
        known.observe(sequence, now)
        if len(known.holes) > HOLES_PER_RUN:
            self._pushed_out.append(_loss(shard, run, known.holes.pop(0)))

    def overdue(self, now: float) -> list[Loss]:
        """Return what counts as lost by ``now``; the same again until :meth:`settle` is called."""
        return [
            *self._pushed_out,
            *(
                _loss(shard, run, hole)
                for shard, runs in self._shards.items()
                for run, known in runs.items()
                for hole in known.holes
                if now - hole.noticed_at >= self._grace_seconds
            ),
        ]

    def settle(self, losses: list[Loss]) -> None:
        """Forget holes that have been recorded."""
        recorded = {(loss.shard, loss.run, loss.first_sequence) for loss in losses}
        self._pushed_out = [loss for loss in self._pushed_out if loss not in losses]
        for shard, runs in self._shards.items():
            for run, known in runs.items():
                known.holes = [
                    hole for hole in known.holes if (shard, run, hole.first) not in recorded
                ]

    def forget(self, shard: int) -> None:
        """Start afresh: others may have read the shard meanwhile, and they report its holes."""
        self._shards.pop(shard, None)
        self._pushed_out = [loss for loss in self._pushed_out if loss.shard != shard]

    def keep(self, shards: Set[int]) -> None:
        """Forget every shard but these: others read them now, and report what is missing."""
        for shard in self._shards.keys() - shards:
            self.forget(shard)

    def note_restart(self) -> None:
        """Say that the broker has lost its memory: what is missing now, or next, is due to that."""
        for runs in self._shards.values():
            for known in runs.values():
                known.restarted_at = known.next
                for hole in known.holes:
                    hole.cause = LossCause.BROKER_RESTART


def _loss(shard: int, run: str, hole: _Hole) -> Loss:
    return Loss(shard, run, hole.first, hole.end - hole.first, hole.cause)
