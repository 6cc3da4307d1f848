"""Resources of installations without Kubernetes; ``reactorsync.store.postgres`` alone uses them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, SmallInteger, func, text
from sqlalchemy.orm import Mapped, mapped_column

from reactorsync.db.models.base import Base, CText, Json


class ResourceRow(Base):
    """A resource, or the tombstone of one."""

    __tablename__ = "resource"
    __table_args__ = (
        Index(
            "uq_resource_name",
            "kind",
            "namespace",
            "name",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(None, "kind", "resource_version"),
        Index(
            "ix_resource_labels",
            "labels",
            postgresql_using="gin",
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "ix_resource_tombstones",
            "deleted_at",
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
        {
            "comment": "Resources where there is no Kubernetes; deleted ones stay for a while as "
            "tombstones, so that watches learn of it"
        },
    )

    uid: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[CText]
    namespace: Mapped[CText]
    name: Mapped[CText]
    generation: Mapped[int] = mapped_column(BigInteger, comment="Grows when the spec changes")
    resource_version: Mapped[int] = mapped_column(
        BigInteger, comment="Grows with every change; unique and in commit order over all resources"
    )
    created_version: Mapped[int] = mapped_column(
        BigInteger, comment="resource_version of the creation"
    )
    labels: Mapped[Json]
    annotations: Mapped[Json]
    spec: Mapped[Json]
    status: Mapped[Json]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None] = mapped_column(comment="Set on tombstones")


class ResourceWatermarkRow(Base):
    """The single row whose lock makes writers take turns."""

    __tablename__ = "resource_watermark"
    __table_args__ = (
        CheckConstraint("id = 1", name="single_row"),
        {"comment": "One row. Every writer of resources updates it first, and so waits its turn"},
    )

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    current_version: Mapped[int] = mapped_column(
        BigInteger, comment="resource_version last given out"
    )
    trimmed_version: Mapped[int] = mapped_column(
        BigInteger, comment="Highest version of a removed tombstone: watches cannot start below it"
    )
