"""The writes of the Postgres store: one statement each, and so one transaction each.

The CTE ``turn`` comes first in every one. It waits until the writer before has committed, and only
then are the rows to be changed locked: so nobody waits for somebody who waits for him. Rows that
changed during the wait are looked at again by Postgres, with the conditions of the statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from pydantic import BaseModel, SerializeAsAny, TypeAdapter
from sqlalchemy import text

from reactorsync.resources import Resource
from reactorsync.store.postgres_query import DOCUMENT_SQL
from reactorsync.store.postgres_watch import CHANNEL

_TURN = """turn AS (
    UPDATE resource_watermark SET current_version = current_version + 1
    RETURNING current_version AS version
)"""
_RETURNING = f"RETURNING {DOCUMENT_SQL}::text AS document, pg_notify('{CHANNEL}', resource.kind)"

CREATE: Final = text(
    f"""
    WITH {_TURN}
    INSERT INTO resource (uid, kind, namespace, name, generation, resource_version,
        created_version, labels, annotations, spec, status)
    SELECT :uid, :kind, :namespace, :name, 1, version, version, CAST(:labels AS jsonb),
        CAST(:annotations AS jsonb), CAST(:spec AS jsonb), CAST(:status AS jsonb)
    FROM turn
    ON CONFLICT (kind, namespace, name) WHERE deleted_at IS NULL DO NOTHING
    {_RETURNING}
    """  # noqa: S608 - nothing in it comes from outside; the same holds below
)

REPLACE: Final = text(
    f"""
    WITH {_TURN}
    UPDATE resource SET resource_version = turn.version, generation = :generation,
        labels = CAST(:labels AS jsonb), annotations = CAST(:annotations AS jsonb),
        spec = CAST(:spec AS jsonb)
    FROM turn
    WHERE uid = :uid AND deleted_at IS NULL AND resource_version = :read_version
    {_RETURNING}
    """  # noqa: S608
)

REPLACE_STATUSES: Final = text(
    f"""
    WITH input AS (
        SELECT * FROM json_to_recordset(CAST(:input AS json)) AS input (
            ordinal int, namespace text, name text, uid uuid, version text, status jsonb)
    ), turn AS (
        UPDATE resource_watermark
        SET current_version = current_version + (SELECT count(*) FROM input)
        RETURNING current_version - (SELECT count(*) FROM input) AS base
    ), changed AS (
        UPDATE resource SET status = input.status, resource_version = turn.base + input.ordinal
        FROM input, turn
        WHERE {{matches}} AND resource.status <> input.status
        RETURNING input.ordinal, {DOCUMENT_SQL}::text AS document
    )
    SELECT answer.*, (SELECT pg_notify('{CHANNEL}', :kind) FROM changed LIMIT 1)
    FROM (
        SELECT * FROM changed
        UNION ALL
        SELECT input.ordinal, {DOCUMENT_SQL}::text
        FROM input, resource WHERE {{matches}} AND resource.status = input.status
    ) AS answer ORDER BY ordinal
    """.format(  # noqa: S608
        matches="""resource.kind = :kind AND resource.namespace = input.namespace
            AND resource.name = input.name AND resource.deleted_at IS NULL
            AND (input.uid IS NULL OR resource.uid = input.uid)
            AND (input.version IS NULL OR resource.resource_version::text = input.version)"""
    )
)

DELETE: Final = text(
    f"""
    WITH {_TURN}
    UPDATE resource SET resource_version = turn.version, deleted_at = now()
    FROM turn
    WHERE kind = :kind AND namespace = :namespace AND name = :name AND deleted_at IS NULL
        AND (CAST(:uid AS uuid) IS NULL OR uid = :uid)
        AND (CAST(:version AS text) IS NULL OR resource_version::text = :version)
    {_RETURNING}
    """  # noqa: S608
)

TRIM: Final = text(
    """
    WITH old AS (
        SELECT uid, resource_version FROM resource WHERE deleted_at < now() - :kept
    ), trimmed AS (
        UPDATE resource_watermark SET trimmed_version = greatest(
            trimmed_version, (SELECT max(resource_version) FROM old))
        WHERE EXISTS (SELECT FROM old)
    )
    DELETE FROM resource USING old WHERE resource.uid = old.uid
    """
)


class _StatusWrite(BaseModel):
    """One row of the input of ``REPLACE_STATUSES``; what is absent there is null."""

    ordinal: int
    namespace: str
    name: str
    uid: UUID | None
    version: str | None
    status: SerializeAsAny[BaseModel]


_STATUS_WRITES = TypeAdapter(list[_StatusWrite])


def status_writes(resources: Sequence[Resource]) -> str:
    """Return the input of ``REPLACE_STATUSES``; ordinals count from 1."""
    writes = [
        _StatusWrite.model_construct(
            ordinal=ordinal,
            namespace=resource.metadata.namespace,
            name=resource.metadata.name,
            uid=resource.metadata.uid,
            version=resource.metadata.resource_version or None,
            status=resource.status,
        )
        for ordinal, resource in enumerate(resources, start=1)
    ]
    return _STATUS_WRITES.dump_json(writes, by_alias=True, exclude_none=True).decode()
