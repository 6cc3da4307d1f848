"""What a probe of telemetry has shown so far.

Apart from the other checks, and imported by whoever is asked for one: NumPy and Arrow, which frames
are made of, take as much memory as thousands of reactors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reactorsync.planning.targets import Candidate
from reactorsync.planning.timeline import Window
from reactorsync.resources.scenario import Comparison, TelemetryProbe
from reactorsync.signals import SIGNAL_INDEX, SIGNALS
from reactorsync.wire.frame import Frame
from reactorsync.wire.keys import reactor_key, shard_of
from reactorsync_operator.probes.checks import FrameCheck

_NOT_YET: Final = -1


class _Shard:
    """The targets in one shard, and when each first showed it."""

    def __init__(self, targets: Sequence[tuple[str, UUID]]) -> None:
        self.keys: pa.StringArray = pa.array([key for key, _ in targets], type=pa.string())
        self.uids = [uid for _, uid in targets]
        self.shown_us: npt.NDArray[np.int64] = np.full(len(targets), _NOT_YET, dtype=np.int64)


class TelemetryCheck(FrameCheck):
    """A signal of every target, or of any, beyond a threshold."""

    def __init__(
        self, probe: TelemetryProbe, *, namespace: str, needs_all: bool, shards: int
    ) -> None:
        signal = SIGNALS[SIGNAL_INDEX[probe.signal]]
        self._row = SIGNAL_INDEX[probe.signal]
        self._threshold = np.float32(probe.threshold_milli / 1000)
        self._above = probe.comparison is Comparison.ABOVE
        self._unit = signal.unit
        self._shard_count = shards
        self._shards: dict[int, _Shard] = {}
        self._places: dict[str, tuple[int, str]] = {}
        self._missing = 0
        super().__init__(
            namespace=namespace,
            expectation=(
                f"{probe.signal} {probe.comparison.value.lower()} "
                f"{probe.threshold_milli / 1000:g} {signal.unit}".rstrip()
            ),
            needs_all=needs_all,
        )

    @property
    def shards(self) -> frozenset[int]:
        """See :class:`FrameCheck`."""
        self.begin()
        return frozenset(self._shards)

    def see(self, frame: Frame, window: Window) -> bool:
        """See :class:`FrameCheck`."""
        self.begin()
        shard = self._shards.get(frame.origin.shard)
        if self.passed or shard is None or not window.start_us <= frame.tick_us < window.end_us:
            return False
        readings = frame.readings[self._row]
        # NaN, where an instrument gives no reading, is neither above nor below.
        hits = readings > self._threshold if self._above else readings < self._threshold
        if not hits.any():
            return False
        rows = np.flatnonzero(hits)
        places = pc.index_in(frame.reactors.take(pa.array(rows)), value_set=shard.keys)
        places = np.asarray(places.fill_null(_NOT_YET))
        rows, places = rows[places >= 0], places[places >= 0]
        new = shard.shown_us[places] == _NOT_YET
        if not new.any():
            return False
        rows, places = rows[new], places[new]
        shard.shown_us[places] = frame.tick_us
        self._missing -= len(places)
        reactor = shard.keys[int(places[0])].as_py()
        self._pass_any(reactor, frame.tick_us, f": {readings[rows[0]]:.6g} {self._unit}".rstrip())
        self._pass_if_complete()
        return True

    def _count_missing(self) -> int:
        return self._missing

    def _take_over(self, targets: Sequence[Candidate]) -> None:
        known = {
            shard.uids[place]: shard.shown_us[place]
            for shard in self._shards.values()
            for place in np.flatnonzero(shard.shown_us != _NOT_YET)
        }
        places, self._places = self._places, {}
        by_shard: dict[int, list[tuple[str, UUID]]] = {}
        for target in targets:
            place = places.get(target.reactor)
            if place is None:
                key = reactor_key(self.namespace, target.reactor)
                place = (shard_of(key, self._shard_count), key)
            self._places[target.reactor] = place
            by_shard.setdefault(place[0], []).append((place[1], target.uid))
        self._shards = {number: _Shard(members) for number, members in by_shard.items()}
        self._missing = len(targets)
        for shard in self._shards.values() if known else ():
            for number, uid in enumerate(shard.uids):
                if uid in known:
                    shard.shown_us[number] = known[uid]
                    self._missing -= 1
        self._pass_if_complete()

    def _pass_if_complete(self) -> None:
        if self._missing == 0 and self._shards:
            self._pass_all(max(int(shard.shown_us.max()) for shard in self._shards.values()))
