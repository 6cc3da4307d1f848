"""The limits of :data:`reactorsync.signals.LIMITS` as matrices, and how they follow the load.

Every limit is an alarm of its own: a reading below LowLow has raised Low as well. Rows of all
matrices are the limits in the order of :data:`LIMIT_ROWS`, those on the low side first.

**Deadband.** An alarm ends when the reading is back inside its limit by 1 % of the instrument's
range, but by no more than half of the way from the limit to the normal band: with 1 % alone a
containment at its normal pressure would never clear its alarm.

**Load.** The registry's limits hold at full power. Measured on the simulator at every setpoint from
20 to 100 % most hold at any power, since pressures and levels are held there too. Three do not: in
both designs feedwater flow is what the load needs, and a PWR's pressurizer level is programmed to
fall with the coolant's average temperature. Their low limits shrink with the load, which is the
thermal power measured over the rated one; without that reading they are not judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from reactorsync.designs import DESIGNS, Design
from reactorsync.signals import LIMITS, SIGNAL_INDEX, SIGNALS

Floats = npt.NDArray[np.float32]

DEADBAND_SHARE: Final = 0.01
"""Of the instrument's range."""

LOW_SIDE: Final = ("Low", "LowLow")
HIGH_SIDE: Final = ("High", "HighHigh")
_FIELDS: Final = {"LowLow": "low_low", "Low": "low", "High": "high", "HighHigh": "high_high"}

SEVERITIES: Final = {"LowLow": 2, "HighHigh": 2, "Low": 3, "High": 3}
"""1 is worst, 4 is least. None is 1 by itself: that takes the plant's state into account."""


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A limit of a signal, in whichever design has it."""

    signal: str
    condition: str

    @property
    def is_low(self) -> bool:
        """Whether readings below it are bad."""
        return self.condition in LOW_SIDE

    def of(self, design: Design) -> float:
        """Return the limit at full power in the signal's unit, NaN where the design has none."""
        limits = LIMITS[design].get(self.signal)
        limit = None if limits is None else getattr(limits, _FIELDS[self.condition])
        return float("nan") if limit is None else float(limit)

    def deadband(self, design: Design) -> float:
        """Return how far inside the limit a reading must be to end the alarm, at full power."""
        limits = LIMITS[design].get(self.signal)
        if limits is None:
            return float("nan")
        edge = limits.normal_low if self.is_low else limits.normal_high
        span = SIGNALS[SIGNAL_INDEX[self.signal]].span
        return min(DEADBAND_SHARE * span, abs(edge - self.of(design)) / 2)


def _rows() -> tuple[LimitRow, ...]:
    rows = (
        LimitRow(signal.name, condition)
        for side in (LOW_SIDE, HIGH_SIDE)
        for signal in SIGNALS
        for condition in side
    )
    return tuple(row for row in rows if any(np.isfinite(row.of(design)) for design in Design))


LIMIT_ROWS: Final = _rows()
LOW_ROWS: Final = sum(row.is_low for row in LIMIT_ROWS)
"""How many rows are on the low side; they come first."""

SIGNAL_OF_ROW: Final = np.array([SIGNAL_INDEX[row.signal] for row in LIMIT_ROWS], np.intp)

_NEEDED: Final = {
    # Shares of the value at full load, at the loads of _LOADS; measured on the simulator.
    (Design.PWR_3_LOOP, "feedwater_flow_kg_s"): (0.0, 0.165, 0.535, 1.0),
    (Design.CANDU6, "feedwater_flow_kg_s"): (0.0, 0.165, 0.535, 1.0),
    (Design.PWR_3_LOOP, "pressurizer_level_percent"): (0.403, 0.522, 0.761, 1.0),
}
_LOADS: Final = (0.0, 0.2, 0.6, 1.0)
_THERMAL_POWER: Final = SIGNAL_INDEX["thermal_power_mw"]


class LimitMatrix:
    """Limits of ``n`` reactors of mixed designs, as they are at one load after another."""

    def __init__(self, designs: list[Design | None]) -> None:
        """Without a design a reactor has no limits."""
        shape = (len(LIMIT_ROWS), len(designs))
        self._full = np.full(shape, np.nan, np.float32)
        self._deadbands = np.full(shape, np.nan, np.float32)
        self._rated_mw = np.full(len(designs), np.nan, np.float32)
        self._following: list[tuple[int, npt.NDArray[np.intp], tuple[float, ...]]] = []
        for design in Design:
            columns = np.array([i for i, one in enumerate(designs) if one is design], np.intp)
            if not len(columns):
                continue
            self._rated_mw[columns] = DESIGNS[design].rated_thermal_mw
            for number, row in enumerate(LIMIT_ROWS):
                self._full[number, columns] = row.of(design)
                self._deadbands[number, columns] = row.deadband(design)
                needed = _NEEDED.get((design, row.signal))
                if needed is not None and row.is_low:
                    self._following.append((number, columns, needed))

    def at(self, columns: npt.NDArray[np.intp], readings: Floats) -> tuple[Floats, Floats]:
        """Return limits and deadbands of some reactors at the load that their readings show.

        Args:
            columns: the reactors, shape ``(m,)``.
            readings: shape ``(n_signals, m)``.

        Returns:
            Two matrices of shape ``(len(LIMIT_ROWS), m)``; NaN is no limit.
        """
        # Several times as fast as indexing.
        limits, deadbands = self._full.take(columns, 1), self._deadbands.take(columns, 1)
        loads = np.full(len(self._rated_mw), np.nan, np.float32)
        loads[columns] = np.clip(readings[_THERMAL_POWER] / self._rated_mw[columns], 0.0, 1.0)
        places = np.full(len(self._rated_mw), -1, np.intp)
        places[columns] = np.arange(len(columns))
        for row, followers, needed in self._following:
            here = followers[places[followers] >= 0]
            shares = np.interp(loads[here], _LOADS, needed).astype(np.float32)
            limits[row, places[here]] *= shares
            deadbands[row, places[here]] *= shares
        return limits, deadbands
