"""ReactorSync on a cluster, made of the real processes: operators, generators, a namespace, topics.

Used by the tests of the operator on an API server, and by its benchmarks.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from reactorsync import clock
from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import Partition
from reactorsync.bus.reading import read_to_end
from reactorsync.kube import ApiError, KubeClient
from reactorsync.wire.envelope import Envelope
from reactorsync.wire.events import Event, FaultEvent, decode_event
from reactorsync.wire.topics import SNAPSHOT_KEY, Topics
from reactorsync_local.machine.parts import Part
from tests.clusters import CUSTOM_RESOURCES, JsonObject
from tests.part_process import PartProcess, until

PLURALS: Final = {"Reactor": "reactors", "AnomalyScenario": "anomalyscenarios"}
SESSION_TIMEOUT_MS: Final = 2000

F = TypeVar("F", bound=FaultEvent)


@contextmanager
def suppress_not_found() -> Iterator[None]:
    """Take it as an answer that an object is not there."""
    try:
        yield
    except ApiError as error:
        if error.code != 404:
            raise


def condition_of(document: JsonObject, type_: str) -> JsonObject:
    """Return a condition of an object's status; empty where there is none of the type."""
    found = document.get("status", {}).get("conditions", [])
    return next((one for one in found if one["type"] == type_), {})


@dataclass
class Tap:
    """The events that were read, with the time of reading."""

    events: list[tuple[float, Event]] = field(default_factory=list)

    def of(self, kind: type[F], scenario: JsonObject) -> list[F]:
        """Return the events of one kind about the faults of a scenario, in the order of reading."""
        uid = scenario["metadata"]["uid"]
        return [
            event
            for _, event in self.events
            if isinstance(event, kind) and event.fault_id.startswith(f"{uid}/")
        ]


class ClusterInstallation:
    """A namespace, a topic prefix, and the processes that work on them.

    ``kubeconfig`` is what the operators authenticate with.
    """

    def __init__(
        self,
        kube: KubeClient,
        *,
        namespace: str,
        kubeconfig: Path,
        bootstrap: str,
        folder: Path,
        shards: int = 4,
    ) -> None:
        self.kube = kube
        self.namespace = namespace
        self.kubeconfig = kubeconfig
        self.topics = Topics(prefix=namespace, shards=shards)
        self.processes: list[PartProcess] = []
        self._lease = (
            f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/reactorsync-operator"
        )
        self._bootstrap = bootstrap
        self.folder = folder
        """Where the processes log to."""

    def operator(self, *, kubeconfig: Path | None = None, **settings: str) -> PartProcess:
        """Start an operator of this namespace; ``settings`` are named as in its settings class."""
        return self._start(
            Part.OPERATOR,
            {
                "identity": f"operator-{len(self.processes)}",
                "control_plane": "kubernetes",
                "kubeconfig": str(kubeconfig or self.kubeconfig),
                "namespaces": self.namespace,
                "lease_namespace": self.namespace,
                "lease_name": "reactorsync-operator",
                **settings,
            },
        )

    def generator(self, **settings: str) -> PartProcess:
        """Start a generator of this installation's topics."""
        return self._start(Part.GENERATOR, {"heartbeat_seconds": "1", **settings})

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the variables that all parts have in common, and these settings."""
        everything = {
            "kafka_bootstrap": self._bootstrap,
            "kafka_session_timeout_ms": str(SESSION_TIMEOUT_MS),
            "topic_prefix": self.topics.prefix,
            "shards": str(self.topics.shards),
            **settings,
        }
        return {f"REACTORSYNC_{name.upper()}": value for name, value in everything.items()}

    def _start(self, part: Part, settings: Mapping[str, str]) -> PartProcess:
        environment = {**self.environment(**settings), "KUBECONFIG": ""}
        log = self.folder / f"{part}-{len(self.processes)}.log"
        process = PartProcess(part, environment, log=log)
        self.processes.append(process)
        return process

    async def stop(self) -> None:
        """Stop every process that still runs."""
        await asyncio.gather(*(one.stop() for one in self.processes if one.is_running))

    def path(self, kind: str, name: str = "") -> str:
        """Return the API path of an object, or of all objects of a kind."""
        folder = f"{CUSTOM_RESOURCES}/namespaces/{self.namespace}/{PLURALS[kind]}"
        return f"{folder}/{name}" if name else folder

    async def apply(self, kind: str, name: str, spec: JsonObject, **metadata: object) -> JsonObject:
        """Apply an object as a user does: on the server, with a field manager of its own."""
        manifest: JsonObject = {
            "apiVersion": "reactorsync.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, **metadata},
            "spec": spec,
        }
        return await self.kube.apply(self.path(kind, name), manifest)

    async def get(self, kind: str, name: str) -> JsonObject:
        """Read an object. Raises ``ApiError``."""
        return await self.kube.get(self.path(kind, name))

    async def list(self, kind: str) -> list[JsonObject]:
        """Read all objects of a kind."""
        answer: JsonObject = await self.kube.get(self.path(kind))
        return list(answer["items"])

    async def is_gone(self, kind: str, name: str) -> bool:
        """Return whether there is no such object."""
        with suppress_not_found():
            await self.get(kind, name)
            return False
        return True

    async def says(
        self, kind: str, name: str, type_: str, status: str = "True", *, reason: str = ""
    ) -> bool:
        """Return whether a condition has this status for the present spec, and this reason."""
        document = await self.get(kind, name)
        found = condition_of(document, type_)
        generation = document["metadata"]["generation"]
        return (
            found.get("status") == status
            and document["status"].get("observedGeneration") == generation
            and reason in ("", found.get("reason"))
        )

    async def until_it_says(
        self,
        kind: str,
        name: str,
        type_: str,
        status: str = "True",
        *,
        reason: str = "",
        seconds: float = 20,
    ) -> JsonObject:
        """Wait for a condition; return the object. Raises ``TimeoutError`` with its status."""
        try:
            await until(
                lambda: self.says(kind, name, type_, status, reason=reason), seconds=seconds
            )
        except TimeoutError:
            found = json.dumps((await self.get(kind, name)).get("status"), indent=1)
            raise TimeoutError(f"{name} not {type_}={status} {reason}:\n{found}") from None
        return await self.get(kind, name)

    async def kill(self, operator: PartProcess) -> None:
        """SIGKILL the only operator, and let its lease run out at once: nobody has to wait."""
        operator.kill()
        await operator.ended()
        await self.drop_lease()

    async def drop_lease(self) -> None:
        """Remove the Lease of an operator that is no more."""
        with suppress_not_found():
            await self.kube.delete(self._lease)

    async def leader(self) -> str:
        """Return who holds the Lease; empty if nobody does."""
        lease: JsonObject = {"spec": {}}
        with suppress_not_found():
            lease = dict(await self.kube.get(self._lease))
        return lease["spec"].get("holderIdentity") or ""

    async def make_topics(self) -> None:
        """Create the topics, lest a client that asks for one be given another."""
        bus = self.bus()
        try:
            await bus.ensure_topics(self.topics.live(clock.now_us()))
        finally:
            await bus.close()

    async def desired(self) -> set[str]:
        """Read which reactors the topic of desired state holds, by key."""
        bus = self.bus()
        consumer = bus.consumer(client_id="desired")
        partitions = {Partition(self.topics.reactors, n) for n in range(self.topics.shards)}
        consumer.assign(partitions)
        await consumer.start()
        held: dict[str, bool] = {}
        try:
            async for record in read_to_end(consumer, partitions, timeout_seconds=20):
                if record.key is not None and record.key != SNAPSHOT_KEY:
                    held[record.key.decode()] = record.value is not None
        finally:
            await consumer.stop()
            await bus.close()
        return {key for key, is_held in held.items() if is_held}

    def bus(self) -> KafkaBus:
        """Return a connection to the broker; the caller closes it."""
        return KafkaBus(self._bootstrap, session_timeout_ms=SESSION_TIMEOUT_MS)

    @asynccontextmanager
    async def tapped(self) -> AsyncIterator[Tap]:
        """Read all events, from the first one there is, while the context lasts."""
        await self.make_topics()
        bus = self.bus()
        consumer = bus.consumer(client_id="tap")
        topic = self.topics.events(clock.now_us())
        consumer.assign([Partition(topic, number) for number in range(self.topics.shards)])
        await consumer.start()
        tap = Tap()

        async def read() -> None:
            while True:
                for record in await consumer.poll(timeout_seconds=0.1):
                    envelope = Envelope.from_headers(record.headers)
                    event = decode_event(envelope, record.value or b"")
                    tap.events.append((time.time(), event))

        reading = asyncio.create_task(read())
        try:
            yield tap
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await consumer.stop()
            await bus.close()
