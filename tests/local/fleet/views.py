"""Fleets at one moment, for tests of how they are shown."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from reactorsync.designs import Design
from reactorsync.resources.reactor import HealthState
from reactorsync.signals import LIMITS
from reactorsync_local.fleet.values import (
    KEY_SIGNALS,
    FleetView,
    PartState,
    PartView,
    ReactorView,
    ScenarioView,
    StreamView,
)

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def reactor_view(
    name: str,
    *,
    health: HealthState = HealthState.NOMINAL,
    trip_cause: str | None = None,
    faults: Sequence[str] = (),
    **values: float,
) -> ReactorView:
    """A three-loop PWR in the middle of its normal bands, but for `values`."""
    limits = LIMITS[Design.PWR_3_LOOP]
    normal = {
        name: (limits[name].normal_low + limits[name].normal_high) / 2 for name in KEY_SIGNALS
    }
    return ReactorView(
        key=f"default/{name}",
        design=Design.PWR_3_LOOP,
        health=health,
        trip_cause=trip_cause,
        faults=faults,
        values={**normal, **values},
        trend=[100.0] * 30,
        read_at=NOW,
    )


TRIPPED = reactor_view(
    "ringhals-3",
    health=HealthState.TRIPPED,
    trip_cause="LowPrimaryFlow",
    faults=["PumpTrip"],
    primary_flow_kg_s=1200.0,
)

RUNNING_SCENARIO = ScenarioView(
    name="pump-trip",
    phase="Running",
    faults=["PumpTrip"],
    selected=1,
    injected=1,
    share_done=0.4,
    seconds_left=72.0,
    starts_in=None,
)


def fleet_view(
    reactors: Sequence[ReactorView] = (),
    *,
    scenarios: Sequence[ScenarioView] = (),
    parts: Sequence[PartView] = (PartView(name="api", state=PartState.READY),),
    stream: StreamView | None = None,
    problem: str = "",
) -> FleetView:
    """A fleet, twelve minutes after its start."""
    return FleetView(
        url="http://127.0.0.1:8000",
        release="0.1.0",
        now=NOW,
        started_at=NOW - timedelta(minutes=12),
        reactors=reactors,
        scenarios=scenarios,
        stream=stream or StreamView(rows_per_second=29.0, lost_frames=0, dead_letters=0),
        parts=parts,
        problem=problem,
    )
