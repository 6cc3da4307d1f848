"""Readings of a window as JSON, CSV or Arrow: pure, and made to run in a thread."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.csv as arrow_csv

from reactorsync.signals import SIGNAL_INDEX, SIGNALS
from reactorsync.trips import trip_label
from reactorsync.wire.envelope import ARROW_STREAM
from reactorsync_api.downsampling import choose_rows, gaps_of
from reactorsync_api.telemetry_query import Series


class Format(StrEnum):
    """How the readings are encoded."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"


MEDIA_TYPES: Final[Mapping[Format, str]] = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
    Format.ARROW: ARROW_STREAM,
}


@dataclass(frozen=True, slots=True)
class Window:
    """What was read: ``[start, end)`` of one reactor, which reports every ``interval_us``."""

    reactor: str
    start: datetime
    end: datetime
    interval_us: int
    series: Series


def encode(window: Window, *, max_points: int | None, encoding: Format) -> bytes:
    """Return the readings, at most ``max_points`` rows of them."""
    series = window.series
    if max_points is not None:
        values = list(series.values.values())
        series = series.take(choose_rows(values, rows=len(series.times_us), max_points=max_points))
    return _ENCODERS[encoding](window, series)


def format_times(times_us: npt.NDArray[np.int64]) -> list[str]:
    """Return microseconds since 1970 as RFC 3339, always with six decimals."""
    texts = np.datetime_as_string(times_us.astype("datetime64[us]"), unit="us", timezone="UTC")
    return cast("list[str]", texts.tolist())


def _json(window: Window, series: Series) -> bytes:
    gaps = gaps_of(window.series.times_us, interval_us=window.interval_us)
    body = {
        "reactor": window.reactor,
        "start": window.start,
        "end": window.end,
        "rows": len(series.times_us),
        "downsampled": len(series.times_us) < len(window.series.times_us),
        "gaps": [
            {"after": last, "before": first}
            for last, first in map(format_times, np.array(gaps, np.int64).reshape(-1, 2))
        ],
        "times": _fragment(format_times(series.times_us)),
        "tripCauses": _fragment(_trip_labels(series)),
        "signals": {
            name: {
                "unit": SIGNALS[SIGNAL_INDEX[name]].unit,
                "values": _fragment(np.ascontiguousarray(column)),
            }
            for name, column in series.values.items()
        },
    }
    return orjson.dumps(body, option=orjson.OPT_UTC_Z)


def _fragment(column: object) -> orjson.Fragment:
    """Return a column as JSON: one at a time, for each holds up all other threads."""
    return orjson.Fragment(orjson.dumps(column, option=orjson.OPT_SERIALIZE_NUMPY))


def _csv(_: Window, series: Series) -> bytes:
    sink = io.BytesIO()
    arrow_csv.write_csv(_table(series), sink, arrow_csv.WriteOptions(quoting_style="needed"))
    return sink.getvalue()


def _arrow(_: Window, series: Series) -> bytes:
    table = _table(series)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return cast("bytes", sink.getvalue().to_pybytes())


_ENCODERS: Final[Mapping[Format, Callable[[Window, Series], bytes]]] = {
    Format.JSON: _json,
    Format.CSV: _csv,
    Format.ARROW: _arrow,
}


def _table(series: Series) -> pa.Table:
    columns = {
        "time": pa.array(series.times_us, pa.timestamp("us", tz="UTC")),
        "trip_cause": pa.array(_trip_labels(series), pa.string()),
    }
    for name, values in series.values.items():
        columns[name] = pa.array(values, from_pandas=True)
    return pa.table(columns)


def _trip_labels(series: Series) -> list[str | None]:
    labels = {code: trip_label(code) for code in np.unique(series.trip_causes).tolist()}
    return [labels[code] for code in series.trip_causes.tolist()]
