"""Telemetry of one reactor: a window of readings as JSON, CSV or Arrow."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from reactorsync.resources import Reactor
from reactorsync.signals import SIGNAL_INDEX, signals_of
from reactorsync.wire.envelope import ARROW_STREAM
from reactorsync.wire.keys import reactor_key
from reactorsync_api.context import InContext
from reactorsync_api.downsampling import minimum_points
from reactorsync_api.openapi import problems_of
from reactorsync_api.problems import ProblemError, invalid
from reactorsync_api.telemetry_encoding import MEDIA_TYPES, Format, Window, encode
from reactorsync_api.telemetry_query import read_series

router = APIRouter(
    prefix="/reactors", tags=["telemetry"], responses=problems_of(401, 404, 422, 500, 503)
)

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

_CSV_EXAMPLE = """\
"time","trip_cause","neutron_power_percent"
2026-01-31 12:00:00.000000Z,,100.02
2026-01-31 12:00:01.000000Z,,
"""
_MOMENT = {"type": "string", "format": "date-time"}
_JSON_SCHEMA = {
    "type": "object",
    "required": [*_EXAMPLE],
    "properties": {
        "reactor": {"type": "string", "description": "`namespace/name`."},
        "start": _MOMENT,
        "end": _MOMENT | {"description": "Time after the last reading."},
        "rows": {"type": "integer", "description": "Length of every column."},
        "downsampled": {"type": "boolean", "description": "Whether rows were left out."},
        "gaps": {
            "type": "array",
            "description": "Holes of two intervals or more: do not draw across them.",
            "items": {
                "type": "object",
                "required": ["after", "before"],
                "properties": {"after": _MOMENT, "before": _MOMENT},
            },
        },
        "times": {"type": "array", "items": _MOMENT},
        "tripCauses": {
            "type": "array",
            "description": "First-out cause, null while not tripped.",
            "items": {"type": ["string", "null"]},
        },
        "signals": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["unit", "values"],
                "properties": {
                    "unit": {"type": "string"},
                    "values": {"type": "array", "items": {"type": ["number", "null"]}},
                },
            },
        },
    },
}


@router.get(
    "/{namespace}/{name}/telemetry",
    operation_id="getTelemetry",
    response_class=Response,
    responses={
        200: {
            "description": "Readings in order of time; a reading that does not exist is null.",
            "content": {
                "application/json": {"schema": _JSON_SCHEMA, "example": _EXAMPLE},
                "text/csv": {
                    "schema": {
                        "type": "string",
                        "description": "A header, then a line for each reading; empty is null.",
                    },
                    "example": _CSV_EXAMPLE,
                },
                ARROW_STREAM: {
                    "schema": {
                        "type": "string",
                        "format": "binary",
                        "description": "An Arrow IPC stream: `time` timestamp[us, UTC], "
                        "`trip_cause` string, then one float column for each signal.",
                    },
                },
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
    window = Window(
        reactor=reactor_key(namespace, name),
        start=begin,
        end=finish,
        interval_us=interval // timedelta(microseconds=1),
        series=series,
    )
    # A million rows take seconds: other requests and the live frames go on meanwhile.
    content = await asyncio.to_thread(encode, window, max_points=max_points, encoding=format)
    return Response(content, media_type=MEDIA_TYPES[format])


def _window(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    for pointer, moment in (("start", start), ("end", end)):
        if moment is not None and moment.tzinfo is None:
            raise invalid(pointer, "must carry a time zone, for example 2026-01-31T12:00:00Z")
    finish = _utc("end", end) if end else datetime.now(UTC)
    begin = _utc("start", start) if start else _before("end", finish)
    if begin >= finish:
        raise invalid("start", "must be before `end`")
    return begin, finish


def _utc(pointer: str, moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise _out_of_calendar(pointer) from error


def _before(pointer: str, finish: datetime) -> datetime:
    try:
        return finish - _DEFAULT_WINDOW
    except OverflowError as error:
        raise _out_of_calendar(pointer) from error


def _out_of_calendar(pointer: str) -> ProblemError:
    return invalid(pointer, "must lie in the years 1 to 9999, in UTC")


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
