"""Time series: readings as they came, and their rollups. All are partitioned by time.

Rollups have four plain columns per signal, not a ``real[4]``: an array costs 37 bytes where four
reals cost 16, its rows differ in size, so that a binary COPY cannot be laid out by numpy, and SQL
could not say ``max(pressure_max)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import (
    REAL,
    Column,
    DateTime,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

from reactorsync.db.models.base import Base
from reactorsync.signals import SIGNALS

NO_READING: Final = text("'NaN'::real")

STATISTICS: Final = ("min", "max", "mean", "last")
"""What a rollup keeps of each signal, in column order: ``<signal>_<statistic>``."""


def _reading(name: str, unit: str) -> Column[float]:
    return Column(
        name,
        REAL,
        nullable=False,
        server_default=NO_READING,
        comment=f"{unit}; 'NaN' where there is no reading",
    )


telemetry: Final = Table(
    "telemetry",
    Base.metadata,
    Column("reactor_id", Integer, nullable=False, autoincrement=False),
    Column("ts", DateTime(timezone=True), nullable=False, comment="Time of the tick"),
    Column(
        "trip_cause",
        SmallInteger,
        nullable=False,
        server_default="0",
        comment="Code of the first-out cause of the trip, 0 while not tripped",
    ),
    *(_reading(signal.name, signal.unit) for signal in SIGNALS),
    PrimaryKeyConstraint("reactor_id", "ts"),
    postgresql_partition_by="RANGE (ts)",
    comment=(
        "One row per reactor and tick. A reading that does not exist is 'NaN', never null, so that "
        "all rows have one size. reactor_id has no foreign key: it would cost a look-up per row"
    ),
)


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table of ``telemetry`` summed up over buckets of ``bucket``, aligned to 1970."""

    bucket: timedelta
    table: Table


def _rollup(name: str, bucket: timedelta) -> Rollup:
    table = Table(
        name,
        Base.metadata,
        Column("reactor_id", Integer, nullable=False, autoincrement=False),
        Column("ts", DateTime(timezone=True), nullable=False, comment="Start of the bucket"),
        Column("count", Integer, nullable=False, comment="Rows of telemetry in the bucket"),
        *(
            _reading(f"{signal.name}_{statistic}", signal.unit)
            for signal in SIGNALS
            for statistic in STATISTICS
        ),
        PrimaryKeyConstraint("reactor_id", "ts"),
        postgresql_partition_by="RANGE (ts)",
        comment=(
            "Telemetry summed up per reactor and bucket, written along with it and never again: "
            "it outlives the rows it was made of"
        ),
    )
    return Rollup(bucket=bucket, table=table)


ROLLUPS: Final[tuple[Rollup, ...]] = (
    _rollup("telemetry_10s", timedelta(seconds=10)),
    _rollup("telemetry_1min", timedelta(minutes=1)),
    _rollup("telemetry_1h", timedelta(hours=1)),
)
"""Finest first."""

latest_telemetry: Final = Table(
    "latest_telemetry",
    MetaData(),
    Column("reactor_id", Integer),
    Column("namespace", Text),
    Column("name", Text),
    Column("ts", DateTime(timezone=True)),
    Column("trip_cause", SmallInteger),
    *(Column(signal.name, REAL) for signal in SIGNALS),
)
"""View: the newest row of each reactor that exists and has one."""
