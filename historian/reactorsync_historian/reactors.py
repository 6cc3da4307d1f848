"""From the keys in a frame to the small numbers that rows of ``telemetry`` carry."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reactorsync.resources.meta import NAME_PATTERN
from reactorsync.wire.errors import SCHEMA_MISMATCH, UndecodableRecord
from reactorsync_historian.database import Connection

Ids = npt.NDArray[np.int32]

_NAME: Final = re.compile(NAME_PATTERN)
_LONGEST_NAME: Final = 63


@dataclass(frozen=True, slots=True)
class _Seen:
    """The last ``reactor`` column of a shard, byte for byte, and its ids."""

    rows: int
    offsets: pa.Buffer
    keys: pa.Buffer
    ids: Ids

    @classmethod
    def copied(cls, column: pa.StringArray, ids: Ids) -> _Seen:
        """Remember a column without keeping the record that it came with in memory."""
        _, offsets, keys = column.buffers()
        return cls(
            rows=len(column),
            offsets=pa.py_buffer(offsets.to_pybytes()),
            keys=pa.py_buffer(keys.to_pybytes()),
            ids=ids,
        )

    def is_of(self, column: pa.StringArray) -> bool:
        """Return whether ``column`` has the same bytes."""
        _, offsets, keys = column.buffers()
        return len(column) == self.rows and self.offsets.equals(offsets) and self.keys.equals(keys)


class ReactorIds:
    """Ids of reactors by key.

    The column of keys of a shard changes only when reactors come or go. So its bytes are compared
    with the last ones, which takes a microsecond, and keys are looked at one by one only then.
    """

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._seen: dict[int, _Seen] = {}

    def of(self, column: pa.StringArray, *, shard: int) -> Ids:
        """Return the ids of a ``reactor`` column. Raises KeyError while some keys are unknown."""
        seen = self._seen.get(shard)
        if seen is not None and seen.is_of(column):
            return seen.ids
        ids = np.fromiter((self._ids[key] for key in column.to_pylist()), np.int32, len(column))
        if len(column):
            self._seen[shard] = _Seen.copied(column, ids)
        return ids

    def unknown(self, column: pa.StringArray, *, shard: int) -> set[str]:
        """Return those keys of a ``reactor`` column that have no id.

        Raises:
            UndecodableRecord: one of them is not ``namespace/name`` of a Kubernetes object.
        """
        with contextlib.suppress(KeyError):
            self.of(column, shard=shard)
            return set()
        keys = {key for key in column.to_pylist() if key not in self._ids}
        for key in keys:
            _check_key(key)
        return keys

    def learn(self, found: Mapping[str, int]) -> None:
        """Remember ids; their rows must have been committed."""
        self._ids.update(found)


async def read_ids(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    """Return the ids of ``keys``; a reactor that was never seen gets a row."""
    names = [key.split("/", 1) for key in sorted(keys)]
    parameters = ([name[0] for name in names], [name[1] for name in names])
    await connection.execute(
        """
        INSERT INTO reactor (namespace, name)
        SELECT wanted.namespace, wanted.name
        FROM unnest(%s::text[], %s::text[]) AS wanted (namespace, name)
        LEFT JOIN reactor AS known USING (namespace, name)
        WHERE known.id IS NULL
        ORDER BY 1, 2
        ON CONFLICT (namespace, name) DO NOTHING
        """,
        parameters,
    )
    cursor = await connection.execute(
        """
        SELECT known.namespace || '/' || known.name, known.id
        FROM unnest(%s::text[], %s::text[]) AS wanted (namespace, name)
        JOIN reactor AS known USING (namespace, name)
        """,
        parameters,
    )
    return dict(await cursor.fetchall())


def _check_key(key: str) -> None:
    parts = key.split("/")
    if len(parts) != 2 or not all(
        len(part) <= _LONGEST_NAME and _NAME.fullmatch(part) for part in parts
    ):
        raise UndecodableRecord(SCHEMA_MISMATCH, f"reactor key {key[:200]!r}")
