"""Resources in Postgres, for installations without Kubernetes.

Every write takes its version from the one row of ``resource_watermark`` and holds that row until
it commits. So writers take turns, versions become visible in their order, and a reader who has seen
a version has missed none below it. That is all a watch needs; ADR 0005 tells what else was weighed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from pydantic import BaseModel, TypeAdapter
from sqlalchemy import Executable, NullPool, Row, Text, and_, cast, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from reactorsync.db.models import ResourceRow, ResourceWatermarkRow
from reactorsync.resources import FieldSelector, LabelSelector
from reactorsync.store.port import AlreadyExists, Conflict, NotFound, R, ResourceList, WatchEvent
from reactorsync.store.postgres_errors import outages_as_unavailable
from reactorsync.store.postgres_query import (
    document,
    document_name,
    matches_fields,
    matches_labels,
    parse_document,
    parse_documents,
)
from reactorsync.store.postgres_statements import (
    CREATE,
    DELETE,
    REPLACE,
    REPLACE_STATUSES,
    TRIM,
    status_writes,
)
from reactorsync.store.postgres_watch import watch
from reactorsync.store.reading import kind_name
from reactorsync.store.rules import check_precondition, check_update

TOMBSTONES_KEPT: Final = timedelta(hours=1)
"""How long a watch may be away and go on without listing again, if something was deleted."""

_SECONDS_BETWEEN_TRIMS: Final = 60.0

_ATTEMPTS: Final = 100
"""Of a replacement that names no version: each that fails, failed because another succeeded."""


class PostgresStore:
    """A :class:`ResourceStore` in the tables ``resource`` and ``resource_watermark``.

    The watches have connections of their own, one each, outside the engine's pool. A watch asks
    every ``resync_seconds`` even if nobody notified it, and sends a bookmark.

    An object that is created and deleted while a watch looks away is not mentioned by it. When a
    watch goes on from a version between two events that belong together, an object may come as
    MODIFIED although it never came as ADDED: take both to mean "this is how it is now".
    """

    def __init__(
        self, engine: AsyncEngine, *, resync_seconds: float = 30.0, outage_seconds: float = 15.0
    ) -> None:
        # Every operation is one statement: no BEGIN and COMMIT to wait for.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._listeners = create_async_engine(
            engine.url,
            poolclass=NullPool,
            pool_reset_on_return=None,
            isolation_level="AUTOCOMMIT",
        )
        self._resync_seconds = resync_seconds
        self._outage_seconds = outage_seconds
        self._next_trim = 0.0

    async def ping(self) -> None:
        """See :meth:`ResourceStore.ping`."""
        await self._run(text("SELECT 1"))

    async def list(
        self,
        kind: type[R],
        *,
        namespace: str | None = None,
        labels: LabelSelector | None = None,
        fields: FieldSelector | None = None,
    ) -> ResourceList[R]:
        """See :meth:`ResourceStore.list`."""
        wanted = [ResourceRow.kind == kind_name(kind), ResourceRow.deleted_at.is_(None)]
        if namespace is not None:
            wanted.append(ResourceRow.namespace == namespace)
        if labels is not None:
            wanted.append(matches_labels(labels))
        if fields is not None:
            wanted.append(matches_fields(fields))
        # In one statement, so that the version and the objects are of one moment.
        rows = await self._run(
            select(
                ResourceWatermarkRow.current_version,
                ResourceRow.uid,
                cast(document, Text).label("document"),
            ).outerjoin_from(ResourceWatermarkRow, ResourceRow, and_(*wanted))
        )
        documents = [row.document for row in rows if row.uid is not None]
        parsed = parse_documents(kind, documents)
        items = [item for item in parsed if item is not None]
        # Here and not in SQL, where the documents would be sorted along with their names.
        items.sort(key=lambda item: (item.metadata.namespace, item.metadata.name))
        return ResourceList(
            items=items,
            resource_version=str(rows[0].current_version),
            unreadable=frozenset(
                document_name(document)
                for document, item in zip(documents, parsed, strict=True)
                if item is None
            ),
        )

    async def get(self, kind: type[R], namespace: str, name: str) -> R:
        """See :meth:`ResourceStore.get`."""
        rows = await self._run(
            select(cast(document, Text).label("document")).where(
                ResourceRow.kind == kind_name(kind),
                ResourceRow.namespace == namespace,
                ResourceRow.name == name,
                ResourceRow.deleted_at.is_(None),
            )
        )
        if not rows:
            raise _not_found(kind, namespace, name)
        return parse_document(kind, rows[0].document)

    async def create(self, resource: R) -> R:
        """See :meth:`ResourceStore.create`."""
        rows = await self._run(
            CREATE,
            {
                "uid": uuid4(),
                "kind": resource.kind,
                "namespace": resource.metadata.namespace,
                "name": resource.metadata.name,
                "status": _to_json(type(resource.status)()),
                **_desired(resource),
            },
        )
        if not rows:
            raise AlreadyExists(f"{_title(resource)} exists already")
        return type(resource).model_validate_json(rows[0].document)

    async def replace(self, resource: R) -> R:
        """See :meth:`ResourceStore.replace`."""
        metadata = resource.metadata
        for _ in range(_ATTEMPTS):
            old = await self.get(type(resource), metadata.namespace, metadata.name)
            check_precondition(old, resource)
            check_update(old, resource)
            is_new_spec = resource.spec != old.spec
            if not is_new_spec and _labelling(resource) == _labelling(old):
                return old
            rows = await self._run(
                REPLACE,
                {
                    "uid": old.metadata.uid,
                    "read_version": int(old.metadata.resource_version),
                    "generation": old.metadata.generation + is_new_spec,
                    **_desired(resource),
                },
            )
            if rows:
                return type(resource).model_validate_json(rows[0].document)
        raise Conflict(f"{_title(resource)} was changed {_ATTEMPTS} times in between")

    async def replace_status(self, resource: R) -> R:
        """See :meth:`ResourceStore.replace_status`."""
        written = await self.replace_statuses([resource])
        if written:
            return written[0]
        metadata = resource.metadata
        old = await self.get(type(resource), metadata.namespace, metadata.name)
        check_precondition(old, resource)
        raise Conflict(f"{_title(resource)} was changed in between")

    async def replace_statuses(self, resources: Sequence[R]) -> Sequence[R]:
        """See :meth:`ResourceStore.replace_statuses`. All are of one kind.

        Raises:
            ValueError: an object is named twice.
        """
        if not resources:
            return []
        if len({_title(resource) for resource in resources}) < len(resources):
            raise ValueError("the statuses to replace name an object twice")
        rows = await self._run(
            REPLACE_STATUSES,
            {"kind": resources[0].kind, "input": status_writes(resources)},
        )
        written = parse_documents(type(resources[0]), [row.document for row in rows])
        return [resource for resource in written if resource is not None]

    async def delete(
        self,
        kind: type[R],
        namespace: str,
        name: str,
        *,
        uid: UUID | None = None,
        resource_version: str | None = None,
    ) -> R:
        """See :meth:`ResourceStore.delete`. Tombstones that have served their time go with it."""
        now = asyncio.get_running_loop().time()
        if now >= self._next_trim:
            self._next_trim = now + _SECONDS_BETWEEN_TRIMS
            await self.trim_tombstones()
        rows = await self._run(
            DELETE,
            {
                "kind": kind_name(kind),
                "namespace": namespace,
                "name": name,
                "uid": uid,
                "version": resource_version,
            },
        )
        if not rows:
            if uid is not None or resource_version is not None:
                await self.get(kind, namespace, name)
                raise Conflict(f"{kind_name(kind)} {namespace}/{name} was changed or replaced")
            raise _not_found(kind, namespace, name)
        return parse_document(kind, rows[0].document)

    async def trim_tombstones(self, *, kept: timedelta = TOMBSTONES_KEPT) -> None:
        """Forget deletions older than ``kept``: a watch that has not seen them expires."""
        await self._run(TRIM, {"kept": kept})

    def watch(
        self, kind: type[R], *, since: str, namespace: str | None = None
    ) -> AsyncGenerator[WatchEvent[R]]:
        """See :meth:`ResourceStore.watch`; close it, or cancel its task, to give up its connection.

        A lost connection is made anew and the watch goes on without a gap. Only when that fails for
        ``outage_seconds`` it raises :class:`StoreUnavailable`.
        """
        return watch(
            self._listeners,
            kind,
            since=since,
            namespace=namespace,
            resync_seconds=self._resync_seconds,
            outage_seconds=self._outage_seconds,
        )

    async def _run(
        self, statement: Executable, parameters: dict[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        with outages_as_unavailable():
            async with self._engine.connect() as connection:
                result = await connection.execute(statement, parameters)
                return result.all() if result.returns_rows else []


def _desired(resource: R) -> dict[str, str]:
    """Return what a user sets, as the parameters of ``CREATE`` and ``REPLACE``."""
    metadata = resource.metadata
    return {
        "labels": _STRINGS.dump_json(metadata.labels).decode(),
        "annotations": _STRINGS.dump_json(metadata.annotations).decode(),
        "spec": _to_json(resource.spec),
    }


_STRINGS = TypeAdapter(dict[str, str])


def _to_json(model: BaseModel) -> str:
    return model.model_dump_json(by_alias=True, exclude_none=True)


def _labelling(resource: R) -> tuple[dict[str, str], dict[str, str]]:
    return resource.metadata.labels, resource.metadata.annotations


def _title(resource: R) -> str:
    return f"{resource.kind} {resource.metadata.namespace}/{resource.metadata.name}"


def _not_found(kind: type[R], namespace: str, name: str) -> NotFound:
    return NotFound(f"there is no {kind_name(kind)} {namespace}/{name}")
