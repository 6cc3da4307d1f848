"""Who did what."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from reactorsync.db.models.base import Base, Json, RowId


class AuditRow(Base):
    """One write that somebody asked for, granted or not."""

    __tablename__ = "audit"
    __table_args__ = (
        Index(None, "at"),
        Index(None, "kind", "namespace", "name", "at"),
        {"comment": "Every write that somebody asked for, granted or not"},
    )

    id: Mapped[RowId]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    actor: Mapped[str] = mapped_column(comment="Who: user name, token name or anonymous")
    role: Mapped[str] = mapped_column(comment="Role the actor had at that time")
    channel: Mapped[str] = mapped_column(comment="Way it came in: api, mcp, cli, ...")
    action: Mapped[str] = mapped_column(comment="create, replace, delete, acknowledge, ...")
    kind: Mapped[str] = mapped_column(comment="What it was done to")
    namespace: Mapped[str] = mapped_column(server_default="")
    name: Mapped[str] = mapped_column(server_default="")
    outcome: Mapped[str] = mapped_column(comment="Done, Denied, Invalid, Conflict, ...")
    request_id: Mapped[str | None]
    detail: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
