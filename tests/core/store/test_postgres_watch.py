"""The bookkeeping of a watch: pages of a changing table become events that make sense."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorsync.store import WatchEventType, WatchExpired
from reactorsync.store.postgres_watch import PAGE, ChangedRow, Cursor, Page

ADDED, MODIFIED, DELETED = WatchEventType.ADDED, WatchEventType.MODIFIED, WatchEventType.DELETED


def row(
    version: int, *, created: int | None = None, uid: UUID | None = None, deleted: bool = False
) -> ChangedRow:
    return ChangedRow(
        uid=uid or uuid4(),
        resource_version=version,
        created_version=version if created is None else created,
        is_deleted=deleted,
        document="",
    )


def page(current: int, *, trimmed: int = 0) -> Page:
    return Page(current_version=current, trimmed_version=trimmed, rows=[])


@pytest.mark.parametrize(
    ("change", "event"),
    [
        pytest.param(row(12), ADDED, id="created"),
        pytest.param(row(15, created=12), ADDED, id="created-and-changed"),
        pytest.param(row(12, created=10), MODIFIED, id="changed"),
        pytest.param(row(12, created=10, deleted=True), DELETED, id="deleted"),
        pytest.param(row(15, created=12, deleted=True), None, id="came-and-went"),
    ],
)
def test_what_a_change_since_version_10_is_called(
    change: ChangedRow, event: WatchEventType | None
) -> None:
    cursor = Cursor(progress=10)

    assert cursor.pass_row(change) is event
    assert cursor.progress == change.resource_version


def test_an_object_announced_on_one_page_is_known_on_the_next() -> None:
    cursor = Cursor(progress=10)
    uid = uuid4()

    assert cursor.pass_row(row(11, uid=uid)) is ADDED
    assert cursor.pass_row(row(14, created=11, uid=uid)) is MODIFIED
    assert cursor.pass_row(row(15, created=11, uid=uid, deleted=True)) is DELETED


def test_after_the_last_page_the_watch_is_where_the_store_was() -> None:
    cursor = Cursor(progress=10)
    cursor.pass_row(row(11))

    cursor.pass_last(page(current=20))

    assert cursor.progress == 20
    assert cursor.pass_row(row(21, created=11)) is MODIFIED


@pytest.mark.parametrize(("current", "trimmed"), [(20, 11), (9, 0)])
def test_a_version_before_what_is_kept_or_after_what_there_is_expires(
    current: int, trimmed: int
) -> None:
    with pytest.raises(WatchExpired):
        Cursor(progress=10).check(page(current, trimmed=trimmed))


@pytest.mark.parametrize(("current", "trimmed"), [(10, 10), (20, 10), (10, 0)])
def test_a_version_at_the_edge_is_served(current: int, trimmed: int) -> None:
    Cursor(progress=10).check(page(current, trimmed=trimmed))


def test_a_full_page_is_not_the_last() -> None:
    rows = [row(number) for number in range(1, PAGE + 1)]

    assert not Page(current_version=PAGE, trimmed_version=0, rows=rows).is_last
    assert Page(current_version=PAGE, trimmed_version=0, rows=rows[1:]).is_last


@dataclass
class Table:
    """The table as one kind sees it: the newest row of each object, by uid."""

    version: int = 0
    rows: dict[UUID, ChangedRow] = field(default_factory=dict)
    names: dict[str, UUID] = field(default_factory=dict)

    def apply(self, action: str, name: str) -> None:
        if action == "create" and name not in self.names:
            self.names[name] = uuid4()
            self._write(name, created=self.version + 1)
        elif action == "change" and name in self.names:
            self._write(name)
        elif action == "delete" and name in self.names:
            self._write(name, deleted=True)
            del self.names[name]

    def _write(self, name: str, *, created: int | None = None, deleted: bool = False) -> None:
        self.version += 1
        uid = self.names[name]
        since = self.rows[uid].created_version if created is None else created
        self.rows[uid] = row(self.version, created=since, uid=uid, deleted=deleted)

    def above(self, version: int) -> list[ChangedRow]:
        newer = (each for each in self.rows.values() if each.resource_version > version)
        return sorted(newer, key=lambda each: each.resource_version)


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["create", "change", "delete"]), st.sampled_from("abc")),
        st.tuples(st.just("read"), st.sampled_from("123")),
    ),
    max_size=60,
)


@given(steps=_STEPS)
def test_events_make_sense_however_writes_and_pages_interleave(
    steps: list[tuple[str, str]],
) -> None:
    table, cursor = Table(), Cursor(progress=0)
    known: dict[UUID, int] = {}

    def read(limit: int) -> None:
        found = table.above(cursor.progress)
        for change in found[:limit]:
            event = cursor.pass_row(change)
            if event is ADDED:
                assert change.uid not in known
            elif event is not None:
                assert change.uid in known
            if event is DELETED:
                del known[change.uid]
            elif event is not None:
                known[change.uid] = change.resource_version
        if len(found) < limit:
            cursor.pass_last(page(table.version))

    for action, argument in steps:
        if action == "read":
            read(int(argument))
        else:
            table.apply(action, argument)
    read(limit=1000)

    assert known == {uid: table.rows[uid].resource_version for uid in table.names.values()}
    assert cursor.progress == table.version
