"""From keys to ids."""

import pytest

from reactorsync.wire.frame import reactor_column
from reactorsync_historian.database import Link
from reactorsync_historian.reactors import ReactorIds, read_ids
from tests.historian.running import Storage

KEYS = ["a/x", "a/y", "b/x"]


def known() -> ReactorIds:
    ids = ReactorIds()
    ids.learn({key: number for number, key in enumerate(KEYS, start=10)})
    return ids


def test_ids_come_in_the_order_of_the_column() -> None:
    assert list(known().of(reactor_column(["b/x", "a/x"]), shard=0)) == [12, 10]


def test_the_same_bytes_give_the_same_array() -> None:
    ids = known()
    first = ids.of(reactor_column(KEYS), shard=0)

    assert ids.of(reactor_column(KEYS), shard=0) is first


@pytest.mark.parametrize(
    "column", [["a/x", "b/x", "a/y"], ["a/x", "a/y"], ["b/x", "a/y", "a/x"], []]
)
def test_another_column_of_the_shard_is_looked_up(column: list[str]) -> None:
    ids = known()
    ids.of(reactor_column(KEYS), shard=0)

    expected = [KEYS.index(key) + 10 for key in column]
    assert list(ids.of(reactor_column(column), shard=0)) == expected


def test_keys_without_an_id_are_named() -> None:
    column = reactor_column([*KEYS, "c/z"])

    assert known().unknown(column, shard=0) == {"c/z"}
    with pytest.raises(KeyError):
        known().of(column, shard=0)


async def test_a_reactor_gets_a_row_once(storage: Storage) -> None:
    link = Link(storage.conninfo)
    async with link.transaction() as connection:
        first = await read_ids(connection, KEYS[:2])
    async with link.transaction() as connection:
        second = await read_ids(connection, KEYS)
    await link.close()

    assert first.items() <= second.items()
    assert sorted(storage.fetch("SELECT namespace || '/' || name, id FROM reactor")) == sorted(
        second.items()
    )
