"""Partitions and records, from aiokafka's words to the port's and back."""

from __future__ import annotations

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from reactorsync.bus.port import Partition, Record


def to_aiokafka(partition: Partition) -> TopicPartition:
    """Return the partition as aiokafka names it."""
    return TopicPartition(partition.topic, partition.number)


def from_aiokafka(partition: TopicPartition) -> Partition:
    """Return the partition as the port names it."""
    return Partition(partition.topic, partition.partition)


def to_record(record: ConsumerRecord) -> Record:
    """Return the record as the port has it."""
    return Record(
        partition=Partition(record.topic, record.partition),
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=record.headers,
        timestamp_ms=record.timestamp,
    )
