"""Keys land where Kafka's own partitioner puts them."""

import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from reactorsync.wire.keys import murmur2, reactor_key, shard_of


@pytest.mark.parametrize(
    ("data", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_gives_the_values_of_kafkas_own_tests(data: bytes, signed: int) -> None:
    """Apache Kafka, ``UtilsTest.testMurmur2``, where the hash is a signed integer."""
    assert murmur2(data) == signed % 2**32


@given(st.binary(max_size=64))
def test_murmur2_equals_aiokafkas(data: bytes) -> None:
    assert murmur2(data) == aiokafka_murmur2(data) % 2**32


@given(st.text(min_size=1, max_size=40), st.integers(1, 64))
def test_a_shard_is_the_default_partition(key: str, shards: int) -> None:
    partitions = list(range(shards))

    assert shard_of(key, shards) == DefaultPartitioner()(key.encode(), partitions, partitions)


def test_a_reactor_is_named_by_namespace_and_name() -> None:
    assert reactor_key("default", "cernavoda-1") == "default/cernavoda-1"
