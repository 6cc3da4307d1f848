"""Historians in processes of their own, to be killed and stopped."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from reactorsync.bus.kafka import KafkaBus
from reactorsync.service import Readiness, run_part
from reactorsync_historian.main import run_historian
from reactorsync_historian.offsets import OffsetStore
from reactorsync_historian.settings import HistorianSettings
from reactorsync_historian.stages import Stage, StageHook
from tests.historian.owners import PlainOffsets

# Forked from a server that has imported all this once: a new interpreter takes seconds to.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


@dataclass
class SelfHarm:
    """A hook that sends its own process a signal when it comes to ``stage`` in the n-th batch."""

    stage: Stage
    batch: int
    number: signal.Signals

    async def __call__(self, stage: Stage) -> None:
        if stage is self.stage:
            self.batch -= 1
            if self.batch == 0:
                os.kill(os.getpid(), self.number)


@contextmanager
def victim(
    settings: HistorianSettings, hook: StageHook, *, log: Path, plain_offsets: bool = False
) -> Iterator[ForkServerProcess]:
    """Start a historian with a hook; kill it in the end, if that is still to be done.

    With ``plain_offsets`` it moves offsets without comparing.
    """
    process = _FORKS.Process(target=_run, args=(settings, hook, log, plain_offsets))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _run(settings: HistorianSettings, hook: StageHook, log: Path, plain_offsets: bool) -> None:
    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
    if plain_offsets:
        OffsetStore.move = PlainOffsets.move  # type: ignore[assignment, method-assign]

    async def part(stopping: asyncio.Event, readiness: Readiness) -> None:
        bus = KafkaBus(
            settings.kafka_bootstrap, session_timeout_ms=settings.kafka_session_timeout_ms
        )
        await run_historian(settings, bus=bus, stopping=stopping, readiness=readiness, hook=hook)
        await bus.close()

    run_part(part, settings)
