"""The parts of ReactorSync as processes of this machine: command, environment, readiness."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from reactorsync import clock
from reactorsync.wire.topics import Topics
from reactorsync_local.machine.probes import Probes
from reactorsync_local.supervisor import Command, Pool, Service, Supervisor

TOPICS: Final = Topics(slot_seconds=300)
"""The embedded broker never forgets by itself and keeps everything in memory, so slots are short:
10,000 reactors at 1 Hz fill one with 0.3 GB.
"""

_READY_SECONDS: Final = 60.0

_GENERATOR_READY_SECONDS: Final = 240.0
"""A generator's first start compiles the plant."""


class Part(StrEnum):
    """The deployable parts, named as in the state file and the logs."""

    OPERATOR = "operator"
    GENERATOR = "generator"
    HISTORIAN = "historian"
    API = "api"


SERVERS_STAGE: Final = 0
API_STAGE: Final = 2
"""Higher stages stop first: the generators before who stores what they make, the servers last."""
HISTORIAN_STAGE: Final = 1
GENERATOR_STAGE: Final = 3


def probe_port_name(process: str) -> str:
    """Return the name under which the port of a process's probes is remembered."""
    return f"{process}-probes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What every part needs to know of this machine's installation."""

    database_url_file: Path
    kafka_bootstrap: str
    pool_file: Path
    api_port: int

    def environment(self) -> dict[str, str]:
        """Return the variables; those that must not come from the user's shell are emptied."""
        return {
            "REACTORSYNC_DATABASE_URL": "",
            "REACTORSYNC_DATABASE_URL_FILE": str(self.database_url_file),
            "REACTORSYNC_KAFKA_BOOTSTRAP": self.kafka_bootstrap,
            "REACTORSYNC_TOPIC_PREFIX": TOPICS.prefix,
            "REACTORSYNC_SHARDS": str(TOPICS.shards),
            "REACTORSYNC_TOPIC_SLOT_SECONDS": str(TOPICS.slot_seconds),
            "REACTORSYNC_GENERATOR_POOL_FILE": str(self.pool_file),
            "REACTORSYNC_METRICS_HOST": "",
        }


def migration(surroundings: Surroundings) -> Command:
    """Return the command that brings the schema up to date."""
    return Command.python_module("reactorsync.db.migrate", env=surroundings.environment())


def topics_of_now() -> dict[str, int]:
    """Return the partitions of the topics that have to exist now.

    A broker that has just forgotten everything makes what a client still asks for, with a number of
    partitions of its own choice, unless the topics are there first.
    """
    return {spec.name: spec.partitions for spec in TOPICS.live(clock.now_us())}


class Parts:
    """Describes each part to the supervisor; ``waiting_for`` tells what a starting one lacks."""

    def __init__(self, supervisor: Supervisor, surroundings: Surroundings, probes: Probes) -> None:
        self._supervisor = supervisor
        self._surroundings = surroundings
        self._probes = probes
        self.waiting_for: dict[str, str] = {}

    def operator(self) -> Service:
        """Return the reconciler."""
        return self._service(Part.OPERATOR, stage=API_STAGE)

    def historian(self) -> Service:
        """Return the historian."""
        return self._service(Part.HISTORIAN, stage=HISTORIAN_STAGE)

    def api(self) -> Service:
        """Return the API."""
        port = self._surroundings.api_port
        return self._service(
            Part.API, stage=API_STAGE, probe_port=port, extra={"REACTORSYNC_API_PORT": str(port)}
        )

    def generators(self) -> Pool:
        """Return the pool of generators, whose size the operator decides."""
        return Pool(name=Part.GENERATOR, member=self._generator)

    def _generator(self, index: int) -> Service:
        name = f"{Part.GENERATOR}-{index}"
        return self._service(
            Part.GENERATOR,
            name=name,
            stage=GENERATOR_STAGE,
            ready_seconds=_GENERATOR_READY_SECONDS,
            extra={
                "REACTORSYNC_GENERATOR_NAME": name,
                "REACTORSYNC_CHECKPOINT_FOLDER": str(self._supervisor.state_dir / "checkpoints"),
            },
        )

    def _service(
        self,
        part: Part,
        *,
        stage: int,
        name: str | None = None,
        probe_port: int | None = None,
        ready_seconds: float = _READY_SECONDS,
        extra: Mapping[str, str] | None = None,
    ) -> Service:
        name = name or part.value
        port = probe_port or self._supervisor.port(probe_port_name(name))
        environment = {
            **self._surroundings.environment(),
            "REACTORSYNC_METRICS_PORT": str(port),
            **(extra or {}),
        }
        command = part_command(part, environment)

        async def ready() -> bool:
            readiness = await self._probes.readiness(port)
            self.waiting_for[name] = readiness.summary
            return readiness.ready

        return Service(
            name=name,
            command=lambda: command,
            ready=ready,
            ready_seconds=ready_seconds,
            stop_seconds=15.0,
            stage=stage,
        )


def part_command(part: Part, environment: Mapping[str, str]) -> Command:
    """Return the command of a part: its script beside this interpreter, else its module."""
    script = Path(sys.executable).with_name(f"reactorsync-{part.value}")
    if script.is_file():
        return Command(argv=(str(script),), env={"PYTHONUNBUFFERED": "1", **environment})
    return Command.python_module(f"reactorsync_{part.value}.main", env=environment)


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    path.chmod(0o600)
