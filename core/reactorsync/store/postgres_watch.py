"""Following the table ``resource``: NOTIFY says when to ask, versions say what for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reactorsync.service import Backoff
from reactorsync.store.port import R, WatchEvent, WatchEventType, WatchExpired
from reactorsync.store.postgres_errors import OUTAGES, unavailable
from reactorsync.store.postgres_query import DOCUMENT_SQL, parse_documents
from reactorsync.store.reading import kind_name

log = logging.getLogger(__name__)

CHANNEL: Final = "reactorsync_resource"
"""Channel of NOTIFY; the payload is the kind that changed."""

PAGE: Final = 500

_PAGE_SQL: Final = text(
    f"""
    SELECT current_version, trimmed_version, page.*
    FROM resource_watermark LEFT JOIN LATERAL (
        SELECT uid, resource_version, created_version, deleted_at IS NOT NULL AS is_deleted,
            {DOCUMENT_SQL}::text AS document
        FROM resource
        WHERE kind = :kind AND resource_version > :after
            AND (CAST(:namespace AS text) IS NULL OR namespace = :namespace)
        ORDER BY resource_version LIMIT {PAGE}
    ) page ON true
    ORDER BY page.resource_version
    """  # noqa: S608 - nothing in it comes from outside
)


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A resource, or its tombstone, above the version asked for."""

    uid: UUID
    resource_version: int
    created_version: int
    is_deleted: bool
    document: str


@dataclass(frozen=True, slots=True)
class Page:
    """The next changes in order, and where the store stood when they were read."""

    current_version: int
    trimmed_version: int
    rows: Sequence[ChangedRow]

    @property
    def is_last(self) -> bool:
        """Whether nothing came after it when it was read."""
        return len(self.rows) < PAGE


@dataclass(slots=True)
class Cursor:
    """How far a watch is, and what it has told of.

    Between two moments of having seen everything, a watcher knows an object if it was created
    before the first of them or was announced since.
    """

    progress: int
    _seen_all_up_to: int = field(init=False)
    _announced: set[UUID] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._seen_all_up_to = self.progress

    def check(self, page: Page) -> None:
        """Raise :class:`WatchExpired` if changes after ``progress`` are not all known any more."""
        if self.progress < page.trimmed_version:
            raise WatchExpired(
                f"version {self.progress} is too old: deletions up to {page.trimmed_version} are "
                "forgotten"
            )
        if self.progress > page.current_version:
            raise WatchExpired(
                f"version {self.progress} is not of this store, which is at {page.current_version}"
            )

    def pass_row(self, row: ChangedRow) -> WatchEventType | None:
        """Move past a row; return what to tell of it, ``None`` for what came and went unseen."""
        self.progress = row.resource_version
        is_known = row.created_version <= self._seen_all_up_to or row.uid in self._announced
        if row.is_deleted:
            return WatchEventType.DELETED if is_known else None
        if is_known:
            return WatchEventType.MODIFIED
        self._announced.add(row.uid)
        return WatchEventType.ADDED

    def pass_last(self, page: Page) -> None:
        """Move to where the store stood when its last page was read."""
        self.progress = self._seen_all_up_to = max(self.progress, page.current_version)
        self._announced.clear()


async def watch(
    listeners: AsyncEngine,
    kind: type[R],
    *,
    since: str,
    namespace: str | None,
    resync_seconds: float,
    outage_seconds: float,
) -> AsyncGenerator[WatchEvent[R]]:
    """Yield the changes after ``since``, as :meth:`ResourceStore.watch` says.

    The watch has a connection of its own, from ``listeners``, and makes a new one when it is lost.
    After ``outage_seconds`` without one it gives up and raises :class:`StoreUnavailable`.
    """
    name = kind_name(kind)
    cursor = Cursor(progress=_parse_version(since))
    backoff = Backoff(first_seconds=0.1, limit_seconds=5.0)
    clock = asyncio.get_running_loop().time
    bookmark_at = clock() + resync_seconds
    lost_at: float | None = None
    while True:
        try:
            async with listeners.connect() as connection:
                await connection.execute(text(f"LISTEN {CHANNEL}"))
                while True:
                    page = await _read_page(connection, name, namespace, cursor.progress)
                    lost_at = None
                    backoff.reset()
                    cursor.check(page)
                    objects = parse_documents(kind, [row.document for row in page.rows])
                    for row, resource in zip(page.rows, objects, strict=True):
                        type_ = cursor.pass_row(row)
                        if type_ is not None and resource is not None:
                            yield WatchEvent(
                                type=type_,
                                object=resource,
                                resource_version=str(cursor.progress),
                            )
                    if not page.is_last:
                        continue
                    cursor.pass_last(page)
                    if clock() >= bookmark_at:
                        bookmark_at = clock() + resync_seconds
                        yield WatchEvent(
                            type=WatchEventType.BOOKMARK,
                            object=None,
                            resource_version=str(cursor.progress),
                        )
                    await _wait_for_change(connection, name, bookmark_at - clock())
        except OUTAGES as error:
            lost_at = clock() if lost_at is None else lost_at
            if clock() - lost_at >= outage_seconds:
                raise unavailable(error) from error
            log.warning("watch of %s lost its connection: %s", name, unavailable(error))
        await asyncio.sleep(backoff.next_pause())


async def _read_page(
    connection: AsyncConnection, kind: str, namespace: str | None, after: int
) -> Page:
    result = await connection.execute(
        _PAGE_SQL, {"kind": kind, "namespace": namespace, "after": after}
    )
    # The watermark comes even where no row does, then with nulls in place of the row.
    found = result.all()
    return Page(
        current_version=found[0].current_version,
        trimmed_version=found[0].trimmed_version,
        rows=[
            ChangedRow(
                uid=row.uid,
                resource_version=row.resource_version,
                created_version=row.created_version,
                is_deleted=row.is_deleted,
                document=row.document,
            )
            for row in found
            if row.uid is not None
        ],
    )


async def _wait_for_change(connection: AsyncConnection, kind: str, seconds: float) -> None:
    """Wait until a resource of ``kind`` may have changed, or ``seconds`` have passed."""
    driver = (await connection.get_raw_connection()).driver_connection
    if not isinstance(driver, psycopg.AsyncConnection):
        raise TypeError(f"expected a connection of psycopg, not {type(driver).__name__}")
    async with aclosing(driver.notifies(timeout=max(0.0, seconds))) as notifications:
        async for notification in notifications:
            if notification.payload == kind:
                return


def _parse_version(text_: str) -> int:
    try:
        return int(text_)
    except ValueError:
        raise WatchExpired(f"version {text_!r} is not of this store") from None
