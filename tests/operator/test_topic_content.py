"""What is known of the desired-state topic, by records and by acknowledgements."""

from reactorsync.bus.port import Partition, Record
from reactorsync.wire.keys import shard_of
from reactorsync_operator.reconcile.observed import Publication
from reactorsync_operator.topic_content import TopicContent

SHARDS = 2


def content() -> TopicContent:
    return TopicContent(shards=SHARDS, is_ours=lambda _key: True)


def tombstone(key: str, offset: int) -> Record:
    partition = Partition("reactors", shard_of(key, SHARDS))
    return Record(partition, offset, key.encode(), None, headers=(), timestamp_ms=0)


def test_of_a_reactor_that_is_gone_nothing_is_kept() -> None:
    known = content()
    for number in range(100):
        key = f"default/bruce-{number}"
        known.acknowledge(key, Publication("r1", 1), offset=2 * number)
        known.acknowledge(key, None, offset=2 * number + 1)
        assert known._offsets, "older records may be still to come"
        known.come_to(tombstone(key, 2 * number))
        assert known._offsets
        known.come_to(tombstone(key, 2 * number + 1))
    assert not known._offsets
    assert not known.publications


def test_an_older_record_does_not_bring_a_deleted_reactor_back() -> None:
    known = content()
    key = "default/bruce-1"
    known.acknowledge(key, None, offset=7)
    assert known.take(tombstone(key, 6)) is None
    known.come_to(tombstone(key, 7))
    known.acknowledge(key, Publication("r1", 1), offset=8)
    assert key in known.publications
