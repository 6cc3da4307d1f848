"""What was deleted does not come back by old news."""

from uuid import UUID

import pytest

from reactorsync.resources import ObjectMeta
from reactorsync_operator.tombstones import Tombstones, is_later, is_newer
from tests.core.planning.build import uid_of

BRUCE = uid_of("bruce-1")


def seen(version: str, uid: UUID | None = BRUCE) -> ObjectMeta:
    return ObjectMeta(name="bruce-1", uid=uid, resource_version=version)


def test_what_was_read_before_the_deletion_is_old_news() -> None:
    gone = Tombstones()
    gone.bury(BRUCE, "12")
    assert gone.covers(seen("9"))
    assert gone.covers(seen("12"))
    assert not gone.covers(seen("13"))
    assert not gone.covers(seen("9", uid_of("another")))
    assert not gone.covers(seen("9", None))


def test_of_two_deletions_the_later_counts() -> None:
    gone = Tombstones()
    for version in ("12", "9"):
        gone.bury(BRUCE, version)
    assert gone.covers(seen("10"))


def test_memory_is_bounded_and_the_oldest_go_first() -> None:
    gone = Tombstones(kept=2)
    for name in ("bruce-1", "bruce-2", "bruce-3"):
        gone.bury(uid_of(name), "5")
    assert len(gone) == 2
    assert not gone.covers(seen("4"))
    assert gone.covers(seen("4", uid_of("bruce-3")))


@pytest.mark.parametrize(
    ("version", "other", "newer", "later"),
    [
        ("10", "9", True, True),
        ("9", "10", False, False),
        ("9", "9", False, False),
        ("340282366920938463463374607431768211456", "9", True, True),
        ("abc", "abe", True, False),
        ("abc", "abc", False, False),
        ("", "1", True, False),
    ],
)
def test_versions(version: str, other: str, newer: bool, later: bool) -> None:
    assert is_newer(version, other) is newer
    assert is_later(version, other) is later
