"""Names of topics, with and without time slots."""

import pytest

from reactorsync.wire.topics import MAX_RECORD_BYTES, Topics, TopicSpec

SECOND_US = 1_000_000
SLOTTED = Topics(prefix="plant", shards=4, slot_seconds=600)
UNSLOTTED = Topics(prefix="plant", shards=4)
NOW_US = 1_900_000_123 * SECOND_US
SLOT = 1_900_000_123 // 600
DAY = 1_900_000_123 // (24 * 600)
"""Slot of the events, which are cut into longer ones."""


def test_without_slots_each_purpose_has_one_topic() -> None:
    names = [spec.name for spec in UNSLOTTED.live(NOW_US)]

    assert names == [
        "plant.reactors",
        "plant.dead-letter",
        "plant.events",
        "plant.telemetry",
        "plant.checkpoints",
    ]


def test_with_slots_the_neighbours_exist_too() -> None:
    names = [spec.name for spec in SLOTTED.live(NOW_US)]

    assert names[2:] == [
        *(f"plant.events.{slot}" for slot in (DAY - 1, DAY, DAY + 1)),
        *(f"plant.telemetry.{slot}" for slot in (SLOT - 1, SLOT, SLOT + 1)),
        *(f"plant.checkpoints.{slot}" for slot in (SLOT - 1, SLOT, SLOT + 1)),
    ]


def test_sharded_topics_have_as_many_partitions_as_shards() -> None:
    counts = {spec.name: spec.partitions for spec in UNSLOTTED.live(NOW_US)}

    assert counts.pop("plant.dead-letter") == 1
    assert set(counts.values()) == {4}


def test_a_slot_begins_at_whole_multiples_of_its_length() -> None:
    first = SLOT * 600 * SECOND_US

    assert SLOTTED.telemetry(first) == f"plant.telemetry.{SLOT}"
    assert SLOTTED.telemetry(first + 600 * SECOND_US - 1) == f"plant.telemetry.{SLOT}"
    assert SLOTTED.telemetry(first + 600 * SECOND_US) == f"plant.telemetry.{SLOT + 1}"


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("plant.telemetry", True),
        ("plant.telemetry.3166666", True),
        ("plant.telemetry.json", False),
        ("plant.telemetry.1.2", False),
        ("other-plant.telemetry", False),
        ("plantXtelemetry", False),
        ("plant.checkpoints.1", False),
    ],
)
def test_the_telemetry_pattern_matches_every_slot_and_nothing_else(
    name: str, *, matches: bool
) -> None:
    assert bool(SLOTTED.telemetry_pattern.match(name)) == matches


def test_the_newest_checkpoint_is_in_this_slot_or_in_the_one_before() -> None:
    assert UNSLOTTED.checkpoint_topics(NOW_US) == ("plant.checkpoints",)
    assert SLOTTED.checkpoint_topics(NOW_US) == (
        f"plant.checkpoints.{SLOT - 1}",
        f"plant.checkpoints.{SLOT}",
    )


def test_events_are_in_this_slot_or_in_the_one_before() -> None:
    assert UNSLOTTED.event_topics(NOW_US) == ("plant.events",)
    assert SLOTTED.event_topics(NOW_US) == (f"plant.events.{DAY - 1}", f"plant.events.{DAY}")
    assert SLOTTED.events(NOW_US) == SLOTTED.event_topics(NOW_US)[-1]


def test_slots_before_the_previous_one_are_expired() -> None:
    names = {
        "plant.reactors",
        "plant.telemetry",
        "other.telemetry.1",
        *(f"plant.telemetry.{slot}" for slot in range(SLOT - 3, SLOT + 2)),
        f"plant.checkpoints.{SLOT - 2}",
        *(f"plant.events.{day}" for day in (DAY - 2, DAY - 1, DAY)),
    }

    assert SLOTTED.expired(names, NOW_US) == {
        f"plant.telemetry.{SLOT - 3}",
        f"plant.telemetry.{SLOT - 2}",
        f"plant.checkpoints.{SLOT - 2}",
        f"plant.events.{DAY - 2}",
    }
    assert UNSLOTTED.expired(names, NOW_US) == set()


def test_telemetry_slots_wait_to_be_stored_but_not_for_ever() -> None:
    names = {
        *(f"plant.telemetry.{slot}" for slot in range(SLOT - 14, SLOT + 2)),
        f"plant.checkpoints.{SLOT - 14}",
        f"plant.events.{DAY - 14}",
    }

    assert SLOTTED.overdue(names, NOW_US) == {
        f"plant.telemetry.{SLOT - 14}",
        f"plant.telemetry.{SLOT - 13}",
    }
    assert UNSLOTTED.overdue(names, NOW_US) == set()


def test_topics_that_exist_are_never_expired() -> None:
    live = {spec.name for spec in SLOTTED.live(NOW_US)}

    assert SLOTTED.expired(live, NOW_US) == set()


def test_state_is_compacted_and_the_rest_is_kept_for_a_time() -> None:
    policies = {spec.name: spec.config["cleanup.policy"] for spec in UNSLOTTED.live(NOW_US)}

    assert policies == {
        "plant.reactors": "compact",
        "plant.checkpoints": "compact",
        "plant.events": "delete",
        "plant.dead-letter": "delete",
        "plant.telemetry": "delete",
    }
    assert TopicSpec("t", 1, 5000).config["retention.ms"] == "5000"


def test_every_topic_takes_the_largest_record() -> None:
    for spec in UNSLOTTED.live(NOW_US):
        assert int(spec.config["max.message.bytes"]) > MAX_RECORD_BYTES
