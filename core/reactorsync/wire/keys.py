"""Record keys and the shard they land on."""

from __future__ import annotations

from typing import Final

_MASK: Final = 0xFFFFFFFF
_MIX: Final = 0x5BD1E995


def reactor_key(namespace: str, name: str) -> str:
    """Return ``namespace/name``: the record key and the ``reactor`` column of frames."""
    return f"{namespace}/{name}"


def shard_of(key: str, shards: int) -> int:
    """Return the partition Kafka's default partitioner (murmur2) gives ``key``."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % shards


def murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 hash with the seed Kafka uses (Apache Kafka, ``Utils.murmur2``)."""
    length = len(data)
    hashed = 0x9747B28C ^ length
    whole = length & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little")
        word = (word * _MIX) & _MASK
        word ^= word >> 24
        word = (word * _MIX) & _MASK
        hashed = ((hashed * _MIX) & _MASK) ^ word
    rest = data[whole:]
    if rest:
        hashed ^= int.from_bytes(rest, "little")
        hashed = (hashed * _MIX) & _MASK
    hashed ^= hashed >> 13
    hashed = (hashed * _MIX) & _MASK
    return hashed ^ (hashed >> 15)
