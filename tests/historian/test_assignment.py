"""Who owns what, and of which shards every frame has been seen."""

from reactorsync.bus.port import Partition, Record
from reactorsync_historian.assignment import Assignment
from reactorsync_historian.batch import Item, Rejected
from reactorsync_historian.offsets import Ownership

TOPIC = "t.telemetry.1"
FIRST, SECOND = Partition(TOPIC, 0), Partition(TOPIC, 1)


def owned(
    *partitions: Partition, epoch: int = 1, next_offset: int = 0
) -> dict[Partition, Ownership]:
    return {partition: Ownership(epoch, next_offset) for partition in partitions}


def started() -> Assignment:
    """Both partitions of the only topic, owned by the first and only reader."""
    assignment = Assignment()
    assignment.assign([FIRST, SECOND])
    assignment.acquire(owned(FIRST, SECOND), topics=[TOPIC])
    return assignment


def item_of(partition: Partition, owner: Ownership) -> Item:
    record = Record(partition, 0, None, None, [], 0)
    return Item(record, owner, Rejected(record, "", ""))


def test_what_the_group_gives_is_due_until_it_is_owned() -> None:
    assignment = Assignment()
    assignment.assign([SECOND, FIRST])
    assert assignment.due(0.0) == [FIRST, SECOND]

    assignment.acquire(owned(FIRST), topics=[TOPIC])
    assert assignment.due(0.0) == [SECOND]


def test_a_partition_given_up_is_due_again_when_its_time_has_come() -> None:
    assignment = started()
    assignment.release([FIRST], not_before=5.0)

    assert assignment.due(4.9) == []
    assert assignment.due(5.0) == [FIRST]


def test_a_new_assignment_does_not_wait() -> None:
    assignment = started()
    assignment.release([FIRST], not_before=5.0)
    assignment.assign([FIRST])

    assert assignment.due(0.0) == [FIRST]


def test_what_was_revoked_during_the_take_over_is_not_owned() -> None:
    assignment = Assignment()
    assignment.assign([FIRST, SECOND])
    assignment.assign([SECOND])
    assignment.acquire(owned(FIRST, SECOND), topics=[TOPIC])

    assert assignment.owned.keys() == {SECOND}


def test_an_item_is_held_only_under_the_ownership_it_was_read_under() -> None:
    assignment = started()
    item = item_of(FIRST, assignment.owned[FIRST])
    assert assignment.holds(item)

    assignment.release([FIRST])
    assert not assignment.holds(item)
    assignment.acquire(owned(FIRST), topics=[TOPIC])
    assert not assignment.holds(item)


def test_a_shard_is_read_to_its_end_when_all_its_slots_are() -> None:
    later = Partition("t.telemetry.2", 0)
    ends = {FIRST: 8, SECOND: 3, later: 2}
    assignment = Assignment()
    assignment.assign(ends.keys())
    assignment.acquire(owned(SECOND, next_offset=3) | owned(FIRST, later, next_offset=2), topics=[])
    assert assignment.read_to_end(ends.get) == {1}

    assignment.owned[FIRST].next_offset = 8
    assert assignment.read_to_end(ends.get) == {0, 1}
    assert assignment.read_to_end({FIRST: 8, later: 2}.get) == {0}
    assignment.release([later])
    assert assignment.read_to_end(ends.get) == {1}


def test_a_reader_that_was_never_interrupted_has_seen_every_frame() -> None:
    assignment = started()
    assignment.owned[FIRST].next_offset = 40
    assignment.assign([FIRST, SECOND])

    again = owned(FIRST, epoch=2, next_offset=40) | owned(SECOND, epoch=2)
    assert assignment.acquire(again, topics=[TOPIC]) == set()


def test_a_new_time_slot_does_not_interrupt_a_reader() -> None:
    assignment = started()
    later = [Partition("t.telemetry.2", 0), Partition("t.telemetry.2", 1)]
    assignment.assign([FIRST, SECOND, *later])

    taken = owned(FIRST, SECOND, epoch=2) | owned(*later)
    assert assignment.acquire(taken, topics=[TOPIC, "t.telemetry.2"]) == set()


def test_another_owner_in_between_interrupts_its_shard_alone() -> None:
    assignment = started()
    assignment.assign([FIRST, SECOND])

    taken = owned(FIRST, epoch=3) | owned(SECOND, epoch=2)
    assert assignment.acquire(taken, topics=[TOPIC]) == {0}


def test_an_unexpected_offset_interrupts() -> None:
    assignment = started()
    assignment.release([FIRST])

    assert assignment.acquire(owned(FIRST, epoch=2, next_offset=9), topics=[TOPIC]) == {0}


def test_a_reader_of_one_of_two_slots_has_not_seen_every_frame() -> None:
    both = [TOPIC, "t.telemetry.2"]
    assignment = started()
    assignment.assign([FIRST])
    assert assignment.acquire(owned(FIRST, epoch=2), topics=both) == {0}

    assignment.assign([FIRST, Partition("t.telemetry.2", 0)])
    taken = owned(FIRST, epoch=3) | owned(Partition("t.telemetry.2", 0))
    assert assignment.acquire(taken, topics=both) == {0}


def test_a_restarted_broker_does_not_interrupt_its_only_reader() -> None:
    assignment = started()
    assignment.revoke()
    assignment.assign([FIRST, SECOND])

    assert assignment.acquire(owned(FIRST, SECOND), topics=[TOPIC]) == set()
