"""Readings over HTTP, in every encoding."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv
import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from reactorsync.db.engine import create_engine
from reactorsync.db.partitions import ensure_partitions
from reactorsync.signals import SIGNAL_NAMES
from reactorsync.store import StoreUnavailable
from reactorsync_api.telemetry_query import read_latest, read_series
from reactorsync_local.supervisor import free_port
from tests.api.conftest import RunningApi
from tests.api.test_resources import REACTOR, REACTORS

pytestmark = pytest.mark.asyncio(loop_scope="module")


START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
PATH = f"{REACTORS}/default/cernavoda-1/telemetry"


@pytest_asyncio.fixture(loop_scope="module")
async def recorded(api: RunningApi) -> RunningApi:
    """Two minutes at 1 Hz with ten seconds missing, one spike and one dropped-out reading."""
    await api.client.post(REACTORS, json=REACTOR)
    columns = ", ".join(SIGNAL_NAMES)
    values = ", ".join(
        "'NaN'" if name == "boron_concentration_ppm" else ":value" for name in SIGNAL_NAMES
    )
    insert = text(
        f"INSERT INTO telemetry (reactor_id, ts, trip_cause, {columns}) "
        f"SELECT id, :ts, :cause, {values} FROM reactor WHERE name = 'cernavoda-1'"
    )
    async with api.engine.begin() as connection:
        await ensure_partitions(connection, now=START, ahead=timedelta(hours=1))
        await connection.execute(
            text("INSERT INTO reactor (namespace, name) VALUES ('default', 'cernavoda-1')")
        )
        for second in range(120):
            if 60 <= second < 70:
                continue
            value = 999.0 if second == 33 else float("nan") if second == 40 else 100.0 + second % 3
            await connection.execute(
                insert,
                {"ts": START + timedelta(seconds=second), "cause": second // 119, "value": value},
            )
    return api


@dataclass(slots=True)
class Stall:
    """How long the event loop did nothing else, at most."""

    seconds: float = 0.0


@asynccontextmanager
async def longest_stall() -> AsyncIterator[Stall]:
    stall = Stall()

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            stall.seconds = max(stall.seconds, time.perf_counter() - before)

    watching = asyncio.create_task(watch())
    yield stall
    watching.cancel()


def window(**more: Any) -> dict[str, Any]:
    return {
        "start": START.isoformat(),
        "end": (START + timedelta(seconds=120)).isoformat(),
        "signals": "neutron_power_percent,primary_pressure_mpa",
        **more,
    }


async def test_json_has_every_row_and_names_the_gap(recorded: RunningApi) -> None:
    body = (await recorded.client.get(PATH, params=window())).json()

    power = body["signals"]["neutron_power_percent"]
    assert body["rows"] == 110
    assert not body["downsampled"]
    assert power["unit"] == "%"
    assert power["values"][33] == 999.0
    assert power["values"][40] is None, "a reading that does not exist is null"
    assert [gap["after"][17:19] for gap in body["gaps"]] == ["59"]
    assert body["tripCauses"][0] is None
    assert body["tripCauses"][-1] == "HighNeutronPower"


async def test_downsampling_keeps_the_spike_within_the_bound(recorded: RunningApi) -> None:
    body = (await recorded.client.get(PATH, params=window(max_points=20))).json()

    assert body["rows"] <= 20
    assert body["downsampled"]
    assert 999.0 in body["signals"]["neutron_power_percent"]["values"]
    assert len(body["gaps"]) == 1


async def test_csv_and_arrow_hold_the_same_rows(recorded: RunningApi) -> None:
    as_csv = await recorded.client.get(PATH, params=window(format="csv"))
    as_arrow = await recorded.client.get(PATH, params=window(format="arrow"))

    from_csv = pyarrow.csv.read_csv(io.BytesIO(as_csv.content))
    from_arrow = pa.ipc.open_stream(as_arrow.content).read_all()
    assert as_csv.headers["content-type"].startswith("text/csv")
    assert from_csv.column_names == from_arrow.column_names
    assert from_csv.num_rows == from_arrow.num_rows == 110
    assert from_csv["neutron_power_percent"].to_pylist()[33] == 999.0
    assert from_arrow["neutron_power_percent"].null_count == 1


async def test_the_default_signals_are_those_of_the_design(recorded: RunningApi) -> None:
    asked = window()
    del asked["signals"]

    body = (await recorded.client.get(PATH, params=asked)).json()

    assert "liquid_zone_level_percent" in body["signals"]
    assert "boron_concentration_ppm" not in body["signals"]


async def test_the_latest_reading_is_the_newest_row(recorded: RunningApi) -> None:
    body = (await recorded.client.get(f"{REACTORS}/default/cernavoda-1/latest")).json()

    assert datetime.fromisoformat(body["time"]) == START + timedelta(seconds=119)
    assert body["tripCause"] == "HighNeutronPower"
    assert body["values"]["neutron_power_percent"] == 102.0
    assert "boron_concentration_ppm" not in body["values"]


async def test_a_trip_cause_of_a_later_version_is_shown_by_its_number(
    recorded: RunningApi,
) -> None:
    async with recorded.engine.begin() as connection:
        await connection.execute(text("UPDATE telemetry SET trip_cause = 200"))

    latest = (await recorded.client.get(f"{REACTORS}/default/cernavoda-1/latest")).json()
    as_json = (await recorded.client.get(PATH, params=window())).json()
    as_csv = await recorded.client.get(PATH, params=window(format="csv"))

    assert latest["tripCause"] == "Unknown200"
    assert set(as_json["tripCauses"]) == {"Unknown200"}
    assert "Unknown200" in as_csv.text


async def test_a_long_window_does_not_hold_up_the_others(api: RunningApi) -> None:
    await api.client.post(REACTORS, json=REACTOR)
    rows = 100_000
    columns = ", ".join(SIGNAL_NAMES)
    values = ", ".join("1.5 * n" for _ in SIGNAL_NAMES)
    begin = START - timedelta(days=2)
    async with api.engine.begin() as connection:
        await ensure_partitions(connection, now=begin, ahead=timedelta(days=2))
        await connection.execute(
            text(
                "WITH known AS (INSERT INTO reactor (namespace, name) "
                "VALUES ('default', 'cernavoda-1') RETURNING id) "
                f"INSERT INTO telemetry (reactor_id, ts, trip_cause, {columns}) "
                f"SELECT id, :begin + n * interval '1 second', 0, {values} "
                f"FROM known, generate_series(0, {rows - 1}) AS n"
            ),
            {"begin": begin},
        )

    async with longest_stall() as stall:
        answer = await api.client.get(
            PATH,
            params={"start": begin.isoformat(), "end": START.isoformat()},
            timeout=60,
        )

    assert answer.json()["rows"] == rows
    assert stall.seconds < 0.25


async def test_a_mistake_in_a_query_is_not_taken_for_an_outage(
    empty_database_url: str,
) -> None:
    """Here the tables are missing: trying again later would not help."""
    engine = create_engine(empty_database_url, application_name="test-api")

    with pytest.raises(ProgrammingError):
        await read_latest(engine, namespace="default", name="cernavoda-1")
    with pytest.raises(psycopg.ProgrammingError):
        await read_series(
            engine,
            namespace="default",
            name="cernavoda-1",
            start=START,
            end=START + timedelta(hours=1),
            signals=["neutron_power_percent"],
        )
    await engine.dispose()


async def test_a_database_that_is_away_is_an_outage() -> None:
    engine = create_engine(
        f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none", application_name="test-api"
    )

    with pytest.raises(StoreUnavailable):
        await read_latest(engine, namespace="default", name="cernavoda-1")
    with pytest.raises(StoreUnavailable):
        await read_series(
            engine,
            namespace="default",
            name="cernavoda-1",
            start=START,
            end=START + timedelta(hours=1),
            signals=["neutron_power_percent"],
        )
    await engine.dispose()


async def test_a_reactor_that_never_reported_has_no_rows(api: RunningApi) -> None:
    await api.client.post(REACTORS, json=REACTOR)

    body = (await api.client.get(PATH)).json()
    latest = await api.client.get(f"{REACTORS}/default/cernavoda-1/latest")

    assert body["rows"] == 0
    assert latest.status_code == 404


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"signals": "temperature"}, "signals"),
        ({"start": "2026-01-01T00:00:00"}, "start"),
        ({"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "start"),
        ({"max_points": 12}, "max_points"),
        ({"format": "xml"}, "format"),
        ({"start": "0001-01-01T00:00:00+14:00"}, "start"),
        ({"end": "9999-12-31T23:59:59-14:00"}, "end"),
        ({"end": "0001-01-01T00:00:00Z"}, "end"),
    ],
    ids=[
        "unknown signal",
        "no zone",
        "ends before it starts",
        "too few points",
        "unknown format",
        "starts before all time",
        "ends after all time",
        "a default start before all time",
    ],
)
async def test_a_bad_window_names_its_parameter(
    api: RunningApi, query: dict[str, Any], pointer: str
) -> None:
    await api.client.post(REACTORS, json=REACTOR)

    answer = await api.client.get(PATH, params=query)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_window_that_costs_too_much_is_refused_with_what_would_do(api: RunningApi) -> None:
    await api.client.post(REACTORS, json=REACTOR)

    answer = await api.client.get(
        PATH, params={"start": "2020-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}
    )

    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:reactorsync:problem:window-too-large"
    assert "11 days" in answer.json()["detail"]
