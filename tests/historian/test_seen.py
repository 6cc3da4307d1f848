"""From a fault to what the events topic says of it: real plant, real broker, real Postgres."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest

from reactorsync import clock
from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import Producer
from reactorsync.designs import Design
from reactorsync.faults import FaultKind
from reactorsync.resources.reactor import ReactorState, SensorNoise
from reactorsync.resources.scenario import Shape
from reactorsync.wire.desired import DesiredFault, DesiredReactor
from reactorsync.wire.events import (
    AlarmCleared,
    AlarmRaised,
    FaultInjected,
    FaultRecovered,
    FaultVerified,
)
from reactorsync.wire.frame import Frame, FrameOrigin, reactor_column
from reactorsync.wire.keys import shard_of
from reactorsync_generator.plant import FaultInput, PlantFleet, PlantSpec
from reactorsync_historian.settings import HistorianSettings
from reactorsync_historian.stages import Stage
from tests.historian.feed import Feed
from tests.historian.running import Storage, running_historian, until
from tests.historian.telling import Tap, declare, tapped, tell
from tests.historian.victim import SelfHarm, victim

SECOND = 1_000_000
BEFORE, AFTER = 40, 20


@dataclass
class Unit:
    """One reactor, simulated and sent a second after the other; the fault is 40 s after begin."""

    producer: Producer
    settings: HistorianSettings
    name: str = "unit-1"
    uid: UUID = field(default_factory=uuid4)
    fault: DesiredFault | None = None
    begin_us: int = field(
        default_factory=lambda: (clock.now_us() // SECOND - BEFORE - AFTER - 5) * SECOND
    )

    def __post_init__(self) -> None:
        self.plants = PlantFleet()
        self.slots = self.plants.add([PlantSpec(Design.CANDU6, seed=11)])
        self.second = 0
        self.key = f"default/{self.name}"
        self.shard = shard_of(self.key, self.settings.shards)

    @property
    def fault_us(self) -> int:
        return self.begin_us + BEFORE * SECOND

    def trip_pumps(self) -> None:
        """Let the plant have what is injected; without this the report of it is false."""
        fault = FaultInput(
            kind=FaultKind.PUMP_TRIP,
            intensity=1.0,
            shape=Shape.STEP,
            start_us=self.fault_us,
            end_us=self.fault_us + 3600 * SECOND,
        )
        self.plants.set_faults(int(self.slots[0]), [fault])

    async def declare(self) -> None:
        desired = DesiredReactor(
            namespace="default",
            name=self.name,
            uid=self.uid,
            generation=1,
            design=Design.CANDU6,
            power_setpoint_permille=1000,
            interval_milliseconds=1000,
            noise=SensorNoise.NOMINAL,
            seed=11,
            state=ReactorState.RUNNING,
        )
        await declare(self.producer, self.settings.topics, desired)

    async def run(self, seconds: int) -> None:
        for _ in range(seconds):
            now_us = self.begin_us + self.second * SECOND
            self.plants.advance(self.slots, now_us - SECOND, now_us)
            frame = Frame(
                tick_us=now_us,
                origin=FrameOrigin(self.shard, f"run-{self.uid}", 0, self.second),
                reactors=reactor_column([self.key]),
                trip_causes=np.zeros(1, np.uint8),
                readings=np.ascontiguousarray(self.plants.readings(self.slots, now_us).T),
            )
            topic = self.settings.topics.telemetry(now_us)
            await self.producer.send(topic, frame.encode(), key=b"0", partition=self.shard)
            self.second += 1

    async def report(self, kind: type[FaultInjected | FaultRecovered], *, second: int = 0) -> None:
        event = kind(
            namespace="default",
            name=self.name,
            uid=self.uid,
            tick_us=self.fault_us + second * SECOND,
            fault_id="scenario/1/trip",
            scenario="trip",
            run=1,
            stage="trip",
            kind="PumpTrip",
        )
        await tell(self.producer, self.settings.topics, event)


@pytest.fixture
async def unit(producer: Producer, settings: HistorianSettings, feed: Feed) -> Unit:
    unit = Unit(producer, settings)
    await unit.declare()
    return unit


async def test_a_pump_trip_is_verified_and_raises_its_alarms(
    unit: Unit, settings: HistorianSettings, bus: KafkaBus, storage: Storage
) -> None:
    unit.trip_pumps()
    async with tapped(bus, settings.topics) as tap, running_historian(settings):
        await until(lambda: storage.count("reactor") == 1)
        await unit.run(BEFORE)
        await unit.report(FaultInjected)
        await unit.run(AFTER)
        await until(lambda: bool(tap.told(FaultVerified)))
        await until(lambda: {alarm.limit for alarm in alarms(tap)} == {"Low", "LowLow"})

    (verdict,) = tap.told(FaultVerified)
    assert verdict.confirmed
    assert verdict.uid == unit.uid
    assert unit.fault_us < verdict.tick_us <= unit.fault_us + 5 * SECOND
    assert verdict.message.startswith(f"{verdict.signal} fell from ")
    assert all(alarm.uid == unit.uid and alarm.tick_us > unit.fault_us for alarm in alarms(tap))


def alarms(tap: Tap) -> list[AlarmRaised]:
    return [alarm for alarm in tap.told(AlarmRaised) if alarm.signal == "primary_flow_kg_s"]


@pytest.mark.parametrize(
    ("acted", "confirmed", "message"),
    [
        (50, False, "any signal reads as before, 49 s after the fault began"),
        (3, None, "the fault acted for 3 s; it may take 45 s to show"),
    ],
)
async def test_a_fault_that_the_telemetry_does_not_show_is_not_confirmed(
    unit: Unit,
    settings: HistorianSettings,
    bus: KafkaBus,
    storage: Storage,
    acted: int,
    confirmed: bool | None,
    message: str,
) -> None:
    unit.begin_us -= acted * SECOND
    async with tapped(bus, settings.topics) as tap, running_historian(settings):
        await until(lambda: storage.count("reactor") == 1)
        await unit.run(BEFORE)
        await unit.report(FaultInjected)
        await unit.report(FaultRecovered, second=acted)
        await unit.run(acted + AFTER)
        await until(lambda: bool(tap.told(FaultVerified)))

    (verdict,) = tap.told(FaultVerified)
    assert verdict.confirmed is confirmed
    assert verdict.message == message
    assert tap.told(AlarmRaised) == []


async def test_a_historian_that_was_away_sees_the_same(
    unit: Unit, settings: HistorianSettings, bus: KafkaBus, storage: Storage
) -> None:
    """The first one stores, and is stopped before the report of the fault comes."""
    unit.trip_pumps()
    async with tapped(bus, settings.topics) as tap:
        async with running_historian(settings):
            await until(lambda: storage.count("reactor") == 1)
            await unit.run(BEFORE + AFTER)
            await until(lambda: storage.count() == BEFORE + AFTER)
        await unit.report(FaultInjected)
        async with running_historian(settings):
            await until(lambda: bool(tap.told(FaultVerified)))
            await asyncio.sleep(1.5)
        async with running_historian(settings):
            await asyncio.sleep(3)
    (verdict,) = tap.told(FaultVerified)
    assert verdict.confirmed


async def test_of_several_historians_one_judges(
    unit: Unit, settings: HistorianSettings, bus: KafkaBus, storage: Storage
) -> None:
    unit.trip_pumps()
    async with (
        tapped(bus, settings.topics) as tap,
        running_historian(settings),
        running_historian(settings),
    ):
        await until(lambda: storage.count("reactor") == 1)
        await unit.run(BEFORE)
        await unit.report(FaultInjected)
        await unit.run(AFTER)
        await until(lambda: bool(tap.told(FaultVerified)))
        await asyncio.sleep(1.5)
    assert len(tap.told(FaultVerified)) == 1
    assert len({alarm.alarm_id for alarm in alarms(tap)}) == 2


@pytest.mark.parametrize("stage", [Stage.OFFSETS_MOVED, Stage.COMMITTED])
async def test_an_alarm_survives_a_kill_before_it_is_told(
    unit: Unit,
    settings: HistorianSettings,
    bus: KafkaBus,
    storage: Storage,
    tmp_path: Path,
    stage: Stage,
) -> None:
    """One second a batch: the process dies in the batch that raises, before or after the commit."""
    unit.trip_pumps()
    settings = settings.model_copy(update={"batch_rows": 1})
    async with running_historian(settings):
        await until(lambda: storage.count("reactor") == 1)
        await unit.run(BEFORE)
        await until(lambda: storage.count() == BEFORE)
    before = storage.count("alarm")
    assert before == 0
    with victim(
        settings, SelfHarm(stage, batch=6, number=signal.SIGKILL), log=tmp_path / "log"
    ) as process:
        await unit.run(AFTER)
        await until(lambda: process.exitcode == -signal.SIGKILL)
    async with tapped(bus, settings.topics) as tap, running_historian(settings):
        await until(lambda: storage.count() == BEFORE + AFTER)
        await until(lambda: storage.fetch(UNTOLD) == [(0,)])
        stored = {row[0] for row in storage.fetch("SELECT uid FROM alarm")}
        await until(lambda: {alarm.alarm_id for alarm in tap.told(AlarmRaised)} == stored)
    conditions = storage.fetch("SELECT condition FROM alarm WHERE signal = 'primary_flow_kg_s'")
    assert sorted(conditions) == [("Low",), ("LowLow",)]
    assert tap.told(AlarmCleared) == []


UNTOLD = "SELECT count(*) FROM alarm WHERE raise_announced_at IS NULL"


async def test_many_faults_at_once_are_all_judged(
    producer: Producer, settings: HistorianSettings, feed: Feed, bus: KafkaBus, storage: Storage
) -> None:
    units = [Unit(producer, settings, name=f"unit-{number}") for number in range(8)]
    for unit in units:
        unit.trip_pumps()
        await unit.declare()

    async def each(act: Callable[[Unit], Awaitable[None]]) -> None:
        await asyncio.gather(*map(act, units))

    async with tapped(bus, settings.topics) as tap, running_historian(settings):
        await until(lambda: storage.count("reactor") == len(units))
        await each(lambda unit: unit.run(BEFORE))
        await each(lambda unit: unit.report(FaultInjected))
        await each(lambda unit: unit.run(AFTER))
        await until(lambda: len(tap.told(FaultVerified)) == len(units))
    assert {verdict.uid for verdict in tap.told(FaultVerified)} == {unit.uid for unit in units}
    assert all(verdict.confirmed for verdict in tap.told(FaultVerified))
