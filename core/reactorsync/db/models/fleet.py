"""The fleet as the time series know it: a small number for each reactor."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Identity, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from reactorsync.db.models.base import Base, CText


class ReactorRow(Base):
    """A reactor that was ever seen. A recreated one keeps its row, and with it its history."""

    __tablename__ = "reactor"
    __table_args__ = (
        UniqueConstraint("namespace", "name"),
        {"comment": "Dimension of all time series: one row per reactor ever seen"},
    )

    id: Mapped[int] = mapped_column(
        Identity(always=True), primary_key=True, comment="Short key that telemetry rows carry"
    )
    namespace: Mapped[CText]
    name: Mapped[CText]
    uid: Mapped[UUID | None] = mapped_column(
        comment="UID of the resource that last had the name; null until its resource was read"
    )
    design: Mapped[str | None] = mapped_column(comment="spec.design; null until it was read")
    site_name: Mapped[str | None]
    latitude: Mapped[float | None] = mapped_column(comment="Degrees north, WGS 84")
    longitude: Mapped[float | None] = mapped_column(comment="Degrees east, WGS 84")
    country: Mapped[str | None] = mapped_column(comment="ISO 3166-1 alpha-2")
    interval_ms: Mapped[int | None] = mapped_column(comment="Time between two readings, ms")
    first_seen: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None] = mapped_column(
        comment="When the resource was deleted; null while it exists"
    )
