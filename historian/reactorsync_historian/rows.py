"""Rows of ``telemetry`` in PostgreSQL's binary COPY format, filled column by column.

Layout: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format". Every row has the
same size because a reading that does not exist is NaN, not null; so the lengths between the values
are written once and only the values change.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from reactorsync.signals import SIGNAL_NAMES

COLUMNS: Final = ("reactor_id", "ts", "trip_cause", *SIGNAL_NAMES)
"""Columns in the order in which they are copied."""

TRAILER: Final = b"\xff\xff"
"""What ends the rows: a row of -1 columns."""

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_POSTGRES_EPOCH_US: Final = 946_684_800_000_000
"""2000-01-01, where PostgreSQL's time begins, in microseconds since 1970."""


def _row_type() -> np.dtype[np.void]:
    codes = (">i4", ">i8", ">i2", *(">f4" for _ in SIGNAL_NAMES))
    fields = [("columns", ">i2")]
    for column, code in zip(COLUMNS, codes, strict=True):
        fields += [(f"{column}.length", ">i4"), (column, code)]
    return np.dtype(fields)


ROW: Final = _row_type()
"""One row: the number of columns, then length and value of each, all big-endian."""


class CopyBuffer:
    """Rows for one ``COPY ... (FORMAT binary)``; used again and again to spare the allocation."""

    def __init__(self, rows: int = 1024) -> None:
        self._length = 0
        self._reserve(rows)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._length

    def clear(self) -> None:
        """Forget the rows."""
        self._length = 0

    def append(
        self,
        *,
        reactor_ids: npt.NDArray[np.int32],
        tick_us: int,
        trip_causes: npt.NDArray[np.uint8],
        readings: npt.NDArray[np.float32],
    ) -> None:
        """Add the ``n`` rows of one tick.

        Args:
            reactor_ids: shape ``(n,)``.
            tick_us: microseconds since 1970.
            trip_causes: shape ``(n,)``.
            readings: shape ``(n_signals, n)``, rows in registry order.
        """
        start, end = self._length, self._length + len(reactor_ids)
        if end > len(self._rows):
            kept = self.data()
            self._reserve(max(end, 2 * len(self._rows)))
            self._bytes[: len(kept)] = kept
        rows = self._rows[start:end]
        rows["reactor_id"] = reactor_ids
        rows["ts"] = tick_us - _POSTGRES_EPOCH_US
        rows["trip_cause"] = trip_causes
        self._readings[start:end] = readings.T
        self._length = end

    def data(self) -> memoryview:
        """Return header and rows; valid until the next change of the buffer."""
        return memoryview(self._bytes)[: len(_HEADER) + self._length * ROW.itemsize]

    def _reserve(self, rows: int) -> None:
        self._bytes = bytearray(len(_HEADER) + rows * ROW.itemsize)
        self._bytes[: len(_HEADER)] = _HEADER
        self._rows = np.frombuffer(self._bytes, ROW, offset=len(_HEADER))
        self._rows["columns"] = len(COLUMNS)
        for column in COLUMNS:
            self._rows[f"{column}.length"] = ROW[column].itemsize
        # One matrix over all signals: a row ends with length and value of each, four bytes both.
        first = ROW.itemsize - 8 * len(SIGNAL_NAMES) + 4
        self._readings = np.ndarray(
            (rows, len(SIGNAL_NAMES)),
            ">f4",
            self._bytes,
            offset=len(_HEADER) + first,
            strides=(ROW.itemsize, 8),
        )
