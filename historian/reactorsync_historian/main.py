"""The ``reactorsync-historian`` command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import Bus
from reactorsync.db.engine import create_engine
from reactorsync.service import Readiness, load_settings, run_part
from reactorsync_historian.alarms.announcer import AlarmAnnouncer
from reactorsync_historian.alarms.engine import AlarmEngine
from reactorsync_historian.assignment import Assignment
from reactorsync_historian.batch import ItemReader, TimeLimits
from reactorsync_historian.database import APPLICATION, Link, connection_string
from reactorsync_historian.dimension import DimensionFollower
from reactorsync_historian.fleet import FleetView
from reactorsync_historian.ingest import Ingest
from reactorsync_historian.mirror import DeadLetterMirror
from reactorsync_historian.offsets import OffsetStore
from reactorsync_historian.partitions import PartitionKeeper
from reactorsync_historian.reactors import ReactorIds
from reactorsync_historian.sequences import SequenceLedger
from reactorsync_historian.session import Sink
from reactorsync_historian.settings import HistorianSettings
from reactorsync_historian.stages import StageHook, no_hook
from reactorsync_historian.store import BatchStore
from reactorsync_historian.verification.verifier import FaultVerifier
from reactorsync_historian.writer import BatchWriter

DEPENDENCIES: Final = ("kafka", "postgres")


async def run_historian(
    settings: HistorianSettings,
    *,
    bus: Bus,
    stopping: asyncio.Event,
    readiness: Readiness,
    hook: StageHook = no_hook,
) -> None:
    """Run every task of the historian until ``stopping`` is set.

    Whatever tells of what was seen is a task of its own, with a connection of its own: it may
    wait, and ingest does not. What must be exact, such as alarms, is written in the ingest's
    transaction, beside the rows (``BatchWriter``).
    """
    readiness.expect(*DEPENDENCIES)
    engine = create_engine(settings.database_url, application_name=APPLICATION, pool_size=2)
    links = [open_link(settings) for _ in range(5)]
    ingest_link, mirror_link, dimension_link, alarm_link, verifier_link = links
    fleet = FleetView()
    announcer = AlarmAnnouncer(bus=bus, topics=settings.topics, link=alarm_link)
    partitions = PartitionKeeper(engine, retention=settings.retention)
    sink = build_sink(
        settings,
        link=ingest_link,
        offsets=OffsetStore(settings.consumer_group),
        partitions=partitions,
        fleet=fleet,
        on_alarms=announcer.wake,
        hook=hook,
    )
    ingest = Ingest(settings=settings, bus=bus, sink=sink, readiness=readiness)
    mirror = DeadLetterMirror(topic=settings.topics.dead_letter, bus=bus, link=mirror_link)
    dimension = DimensionFollower(settings=settings, bus=bus, link=dimension_link, fleet=fleet)
    verifier = FaultVerifier(
        settings=settings,
        bus=bus,
        link=verifier_link,
        fleet=fleet,
        owns=sink.assignment.owns_shard,
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            for task in (ingest, partitions, mirror, dimension, announcer, verifier):
                tasks.create_task(task.run(stopping))
    finally:
        for link in links:
            await link.close()
        await engine.dispose()


def open_link(settings: HistorianSettings) -> Link:
    """Return a connection to the database, made when it is first used."""
    return Link(
        connection_string(settings.database_url),
        stalled_seconds=2 * settings.kafka_session_timeout_ms / 1000,
    )


def build_sink(
    settings: HistorianSettings,
    *,
    link: Link,
    offsets: OffsetStore,
    partitions: PartitionKeeper,
    fleet: FleetView,
    on_alarms: Callable[[], None],
    hook: StageHook = no_hook,
) -> Sink:
    """Put together what stores frames and judges them, over one connection."""
    reactor_ids = ReactorIds()
    alarms = AlarmEngine(fleet, shards=settings.shards)
    limits = TimeLimits(
        retention=settings.retention, future=timedelta(seconds=settings.future_seconds)
    )
    return Sink(
        link=link,
        offsets=offsets,
        store=BatchStore(
            link=link,
            writer=BatchWriter(link, offsets=offsets, hook=hook),
            reactor_ids=reactor_ids,
            partitions=partitions,
            alarms=alarms,
            on_alarms=on_alarms,
        ),
        reader=ItemReader(limits=limits, reactor_ids=reactor_ids),
        ledger=SequenceLedger(grace_seconds=settings.late_seconds),
        assignment=Assignment(),
        fleet=fleet,
        alarms=alarms,
        hook=hook,
    )


def main() -> None:
    """Run the historian until it is asked to stop."""
    settings = load_settings(HistorianSettings)
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=settings.kafka_session_timeout_ms)

    async def part(stopping: asyncio.Event, readiness: Readiness) -> None:
        try:
            await run_historian(settings, bus=bus, stopping=stopping, readiness=readiness)
        finally:
            await bus.close()

    run_part(part, settings)


if __name__ == "__main__":
    main()
