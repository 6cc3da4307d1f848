"""Telemetry of one reactor: a window of readings as JSON, CSV or Arrow."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv as arrow_csv
from fastapi import APIRouter, Query, Response

from reactorsync.resources import Reactor
from reactorsync.signals import SIGNAL_INDEX, SIGNALS, signals_of
from reactorsync.trips import TripCause
from reactorsync.wire.envelope import ARROW_STREAM, format_micros
from reactorsync.wire.keys import reactor_key
from reactorsync_api.context import InContext
from reactorsync_api.downsampling import choose_rows, gaps_of, minimum_points
from reactorsync_api.problems import RESPONSES, ProblemError, invalid
from reactorsync_api.telemetry_query import Series, read_series

router = APIRouter(prefix="/reactors", tags=["telemetry"], responses=RESPONSES)

_DEFAULT_WINDOW: Final = timedelta(minutes=15)
_MOST_ROWS: Final = 1_000_000

_EXAMPLE = {
    "reactor": "default/cernavoda-1",
    "start": "2026-01-31T12:00:00.000000Z",
    "end": "2026-01-31T12:00:02.000000Z",
    "rows": 2,
    "downsampled": False,
    "gaps": [],
    "times": ["2026-01-31T12:00:00.000000Z", "2026-01-31T12:00:01.000000Z"],
    "tripCauses": [None, None],
    "signals": {"neutron_power_percent": {"unit": "%", "values": [100.02, None]}},
}


class Format(StrEnum):
    """How the readings are encoded."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"


@router.get(
    "/{namespace}/{name}/telemetry",
    operation_id="getTelemetry",
    response_class=Response,
    responses={
        200: {
            "description": "Readings in order of time; a reading that does not exist is null.",
            "content": {
                "application/json": {"example": _EXAMPLE},
                "text/csv": {"example": "time,trip_cause,neutron_power_percent\n"},
                ARROW_STREAM: {},
            },
        }
    },
)
async def get_telemetry(
    context: InContext,
    namespace: str,
    name: str,
    start: Annotated[datetime | None, Query(description="First time, with zone.")] = None,
    end: Annotated[datetime | None, Query(description="Time after the last; default now.")] = None,
    signals: Annotated[
        str, Query(description="Comma-separated names; default all the design has.")
    ] = "",
    max_points: Annotated[
        int | None,
        Query(ge=10, le=100_000, description="Most rows; extremes of every signal survive."),
    ] = None,
    format: Annotated[Format, Query(description="Encoding.")] = Format.JSON,  # noqa: A002
) -> Response:
    """Get the readings of a window, at most `max_points` rows of them.

    Downsampling chooses rows, it never averages: each signal keeps its minimum and maximum per
    bucket. Holes in the record are listed in `gaps` and must not be drawn across.
    """
    reactor = await context.store.get(Reactor, namespace, name)
    begin, finish = _window(start, end)
    names = _signal_names(signals, reactor)
    if max_points is not None and max_points < minimum_points(len(names)):
        raise invalid(
            "max_points",
            f"must be at least {minimum_points(len(names))} for {len(names)} signals",
        )
    interval = timedelta(milliseconds=reactor.spec.telemetry.interval_milliseconds)
    _refuse_costly(begin, finish, interval)
    series = await read_series(
        context.engine, namespace=namespace, name=name, start=begin, end=finish, signals=names
    )
    gaps = gaps_of(series.times_us, interval_us=interval // timedelta(microseconds=1))
    rows = len(series.times_us)
    if max_points is not None:
        series = series.take(
            choose_rows(list(series.values.values()), rows=rows, max_points=max_points)
        )
    match format:
        case Format.CSV:
            return _csv(series)
        case Format.ARROW:
            return _arrow(series)
        case Format.JSON:
            return _json(
                series,
                reactor=reactor_key(namespace, name),
                window=(begin, finish),
                rows_read=rows,
                gaps=gaps,
            )


def _window(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    for pointer, moment in (("start", start), ("end", end)):
        if moment is not None and moment.tzinfo is None:
            raise invalid(pointer, "must carry a time zone, for example 2026-01-31T12:00:00Z")
    finish = (end or datetime.now(UTC)).astimezone(UTC)
    begin = (start or finish - _DEFAULT_WINDOW).astimezone(UTC)
    if begin >= finish:
        raise invalid("start", "must be before `end`")
    return begin, finish


def _signal_names(text: str, reactor: Reactor) -> list[str]:
    if not text:
        return [signal.name for signal in signals_of(reactor.spec.design)]
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in SIGNAL_INDEX:
            raise invalid("signals", f"no signal '{name}'; there are {', '.join(SIGNAL_INDEX)}")
    return list(dict.fromkeys(names))


def _refuse_costly(begin: datetime, finish: datetime, interval: timedelta) -> None:
    if (finish - begin) / interval > _MOST_ROWS:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "window-too-large",
            f"the window may hold {(finish - begin) // interval} readings, at most {_MOST_ROWS} "
            f"are read at once: ask for {interval * _MOST_ROWS} or less",
        )


def _json(
    series: Series,
    *,
    reactor: str,
    window: tuple[datetime, datetime],
    rows_read: int,
    gaps: list[tuple[int, int]],
) -> Response:
    body = {
        "reactor": reactor,
        "start": window[0],
        "end": window[1],
        "rows": len(series.times_us),
        "downsampled": len(series.times_us) < rows_read,
        "gaps": [
            {"after": format_micros(last), "before": format_micros(first)} for last, first in gaps
        ],
        "times": [format_micros(time_us) for time_us in series.times_us.tolist()],
        "tripCauses": [TripCause(code).label for code in series.trip_causes.tolist()],
        "signals": {
            name: {"unit": SIGNALS[SIGNAL_INDEX[name]].unit, "values": np.ascontiguousarray(column)}
            for name, column in series.values.items()
        },
    }
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z
    return Response(orjson.dumps(body, option=options), media_type="application/json")


def _table(series: Series) -> pa.Table:
    columns = {
        "time": pa.array(series.times_us, pa.timestamp("us", tz="UTC")),
        "trip_cause": pa.array(
            [TripCause(code).label for code in series.trip_causes.tolist()], pa.string()
        ),
    }
    for name, values in series.values.items():
        columns[name] = pa.array(values, from_pandas=True)
    return pa.table(columns)


def _csv(series: Series) -> Response:
    sink = io.BytesIO()
    arrow_csv.write_csv(_table(series), sink, arrow_csv.WriteOptions(quoting_style="needed"))
    return Response(sink.getvalue(), media_type="text/csv")


def _arrow(series: Series) -> Response:
    table = _table(series)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return Response(sink.getvalue().to_pybytes(), media_type=ARROW_STREAM)
