"""The port over aiokafka."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, TypeVar

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from reactorsync.bus.aiokafka_clients import REQUEST_TIMEOUT_MS, RETRY_BACKOFF_MS, STOP_SECONDS
from reactorsync.bus.aiokafka_internals import close_admin
from reactorsync.bus.aiokafka_records import from_aiokafka, to_aiokafka
from reactorsync.bus.kafka_consumer import KafkaConsumer
from reactorsync.bus.kafka_errors import broker_errors
from reactorsync.bus.kafka_producer import KafkaProducer
from reactorsync.bus.port import BrokerUnavailable, Partition, TopicMismatch
from reactorsync.wire.topics import TopicSpec

T = TypeVar("T")

_REPLICAS: Final = 3
_APPEAR_SECONDS: Final = 5.0


class KafkaBus:
    """Connections to the broker at ``bootstrap``.

    ``session_timeout_ms`` is the time after which a silent member of a group is taken for dead. A
    broker has bounds of its own for it: Apache Kafka refuses less than
    ``group.min.session.timeout.ms``, 6000 by default.
    """

    def __init__(self, bootstrap: str, *, session_timeout_ms: int) -> None:
        self._bootstrap = bootstrap
        self._session_timeout_ms = session_timeout_ms
        self._admin: AIOKafkaAdminClient | None = None
        self._lock = asyncio.Lock()

    async def cluster_id(self) -> str:
        """Return the id of the cluster. Raises :class:`BrokerUnavailable`."""
        cluster = await self._ask(lambda admin: admin.describe_cluster())
        return str(cluster["cluster_id"])

    async def ensure_topics(self, specs: Collection[TopicSpec]) -> None:
        """Create the topics that do not exist, with up to three replicas; see :class:`Bus`."""
        existing = await self._partition_counts()
        missing = [spec for spec in specs if spec.name not in existing]
        if missing:
            brokers = len((await self._ask(lambda admin: admin.describe_cluster()))["brokers"])
            await self._create(missing, replicas=min(_REPLICAS, brokers))
            existing = await self._appeared({spec.name for spec in missing})
        for spec in specs:
            if existing[spec.name] != spec.partitions:
                raise TopicMismatch(
                    f"topic {spec.name} has {existing[spec.name]} partitions, must have "
                    f"{spec.partitions}: delete it, or set the number of shards to fit"
                )

    async def list_topics(self) -> set[str]:
        """Return the names of all topics. Raises :class:`BrokerUnavailable`."""
        return set(await self._partition_counts())

    async def delete_topics(self, names: Collection[str]) -> None:
        """Delete topics; one that does not exist is no error. Raises :class:`BrokerUnavailable`."""
        if not names:
            return
        answer = await self._ask(lambda admin: admin.delete_topics(sorted(names)))
        for name, code in answer.topic_error_codes:
            if for_code(code) not in (NoError, UnknownTopicOrPartitionError):
                raise BrokerUnavailable(f"cannot delete topic {name}: {for_code(code).__name__}")

    async def committed(
        self, group: str, partitions: Collection[Partition]
    ) -> Mapping[Partition, int]:
        """Return the offsets that a group has committed. Raises :class:`BrokerUnavailable`."""
        if not partitions:
            return {}
        wanted = [to_aiokafka(partition) for partition in partitions]
        offsets = await self._ask(
            lambda admin: admin.list_consumer_group_offsets(group, partitions=wanted)
        )
        return {
            from_aiokafka(partition): known.offset
            for partition, known in offsets.items()
            if known.offset >= 0
        }

    def producer(self, *, client_id: str) -> KafkaProducer:
        """Return a producer, not yet started."""
        return KafkaProducer(bootstrap=self._bootstrap, client_id=client_id)

    def consumer(self, *, client_id: str, group: str | None = None) -> KafkaConsumer:
        """Return a consumer, not yet started; with ``group`` it may subscribe."""
        return KafkaConsumer(
            bootstrap=self._bootstrap,
            client_id=client_id,
            group=group,
            session_timeout_ms=self._session_timeout_ms,
        )

    async def close(self) -> None:
        """Close the connection for questions about the cluster; it is opened again when needed.

        That takes five seconds at most.
        """
        async with self._lock:
            await self._drop_admin()

    async def _partition_counts(self) -> dict[str, int]:
        topics = await self._ask(lambda admin: admin.describe_topics())
        return {
            topic["topic"]: len(topic["partitions"])
            for topic in topics
            if for_code(topic["error_code"]) is NoError
        }

    async def _create(self, specs: Collection[TopicSpec], *, replicas: int) -> None:
        topics = [
            NewTopic(spec.name, spec.partitions, replicas, topic_configs=spec.config)
            for spec in specs
        ]
        answer = await self._ask(lambda admin: admin.create_topics(topics))
        for name, code, *detail in answer.topic_errors:
            if for_code(code) not in (NoError, TopicAlreadyExistsError):
                raise BrokerUnavailable(
                    f"cannot create topic {name}: {' '.join(filter(None, detail))} "
                    f"({for_code(code).__name__})"
                )

    async def _appeared(self, names: set[str]) -> dict[str, int]:
        """Wait until the metadata shows the topics: other brokers learn of them a little later."""
        try:
            async with asyncio.timeout(_APPEAR_SECONDS):
                while not names <= (existing := await self._partition_counts()).keys():
                    await asyncio.sleep(RETRY_BACKOFF_MS / 1000)
        except TimeoutError as error:
            raise BrokerUnavailable(f"created topics do not appear: {sorted(names)}") from error
        return existing

    async def _ask(self, question: Callable[[AIOKafkaAdminClient], Awaitable[Any]]) -> Any:
        """Ask over the open connection and, when that has broken, once over a new one."""
        with broker_errors(f"cannot ask {self._bootstrap}"):
            async with self._lock:
                if self._admin is not None:
                    try:
                        return await question(self._admin)
                    except (KafkaError, OSError):
                        await self._drop_admin()
                self._admin = admin = AIOKafkaAdminClient(
                    bootstrap_servers=self._bootstrap,
                    client_id="reactorsync-admin",
                    request_timeout_ms=REQUEST_TIMEOUT_MS,
                    retry_backoff_ms=RETRY_BACKOFF_MS,
                )
                try:
                    await admin.start()
                    return await question(admin)
                except BaseException:
                    await self._drop_admin()
                    raise

    async def _drop_admin(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            await close_admin(admin, timeout_seconds=STOP_SECONDS)
