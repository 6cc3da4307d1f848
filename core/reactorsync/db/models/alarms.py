"""What was noticed: alarms, the incidents they belong to, and what was made of them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import REAL, ForeignKey, Index, SmallInteger, func, text
from sqlalchemy.orm import Mapped, mapped_column

from reactorsync.db.models.base import Base, Json, JsonList, RowId


class IncidentRow(Base):
    """Alarms that belong together, told as one story."""

    __tablename__ = "incident"
    __table_args__ = (
        Index(None, "opened_at"),
        Index("ix_incident_open", "reactor_id", postgresql_where=text("closed_at IS NULL")),
        {"comment": "Alarms of one cause, from the first raised to the last cleared"},
    )

    id: Mapped[RowId]
    reactor_id: Mapped[int | None] = mapped_column(
        ForeignKey("reactor.id"), comment="Null when several reactors share the cause"
    )
    title: Mapped[str]
    summary: Mapped[str] = mapped_column(server_default="")
    severity: Mapped[int] = mapped_column(SmallInteger, comment="1 is worst, 4 is least")
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class AlarmRow(Base):
    """One alarm, from raise to clear. Whether it is open, acknowledged or shelved is derived."""

    __tablename__ = "alarm"
    __table_args__ = (
        Index(
            "uq_alarm_open",
            "reactor_id",
            "signal",
            "condition",
            unique=True,
            postgresql_where=text("cleared_at IS NULL"),
            postgresql_nulls_not_distinct=True,
        ),
        Index(None, "reactor_id", "raised_at"),
        Index(None, "raised_at"),
        Index(None, "incident_id"),
        Index("uq_alarm_uid", "uid", unique=True),
        Index(
            "ix_alarm_unannounced",
            "id",
            postgresql_where=text(
                "raise_announced_at IS NULL"
                " OR (cleared_at IS NOT NULL AND clear_announced_at IS NULL)"
            ),
        ),
        {"comment": "At most one alarm is open per reactor, signal and condition"},
    )

    id: Mapped[RowId]
    reactor_id: Mapped[int] = mapped_column(ForeignKey("reactor.id"))
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incident.id", ondelete="SET NULL"))
    signal: Mapped[str | None] = mapped_column(comment="Null when the whole plant is meant")
    condition: Mapped[str] = mapped_column(comment="LowLow, Low, High, HighHigh, Rate, Stale, ...")
    severity: Mapped[int] = mapped_column(SmallInteger, comment="1 is worst, 4 is least")
    message: Mapped[str] = mapped_column(server_default="")
    value: Mapped[float | None] = mapped_column(REAL, comment="Reading that raised it")
    threshold: Mapped[float | None] = mapped_column(REAL, comment="Limit that it passed")
    raised_at: Mapped[datetime]
    cleared_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]
    comment: Mapped[str | None] = mapped_column(comment="What the person who acknowledged wrote")
    shelved_until: Mapped[datetime | None] = mapped_column(comment="Not shown before this time")
    uid: Mapped[UUID] = mapped_column(
        server_default=func.gen_random_uuid(),
        comment="`alarmId` of its events: the same however often it is raised again from its tick",
    )
    reactor_uid: Mapped[UUID | None] = mapped_column(
        comment="UID of the resource at that time: a recreated reactor keeps reactor_id"
    )
    raise_announced_at: Mapped[datetime | None] = mapped_column(
        comment="When the broker took AlarmRaised; null until then"
    )
    clear_announced_at: Mapped[datetime | None] = mapped_column(
        comment="When the broker took AlarmCleared; null until then"
    )


class DiagnosisRow(Base):
    """An answer to the question what is wrong with a plant."""

    __tablename__ = "diagnosis"
    __table_args__ = (
        Index(None, "reactor_id", "made_at"),
        Index(None, "incident_id"),
        {"comment": "Ranked hypotheses with their evidence, and their explanation"},
    )

    id: Mapped[RowId]
    reactor_id: Mapped[int] = mapped_column(ForeignKey("reactor.id"))
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incident.id", ondelete="CASCADE"))
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
    method: Mapped[str] = mapped_column(comment="How the hypotheses were ranked")
    model: Mapped[str | None] = mapped_column(comment="Language model; null when made offline")
    hypotheses: Mapped[JsonList] = mapped_column(comment="Best first: fault, score, for, against")
    evidence: Mapped[JsonList] = mapped_column(
        server_default=text("'[]'::jsonb"), comment="Signal, window, value, threshold"
    )
    explanation: Mapped[str | None]
    citations: Mapped[JsonList] = mapped_column(
        server_default=text("'[]'::jsonb"), comment="Documents and evidence the text rests on"
    )
    detail: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
