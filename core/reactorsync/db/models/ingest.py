"""The ingest's bookkeeping: how far it is, what it could not read and what never came."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, LargeBinary, PrimaryKeyConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from reactorsync.db.models.base import Base, CText, JsonList


class ConsumerOffsetRow(Base):
    """How far a consumer has stored a partition; moved in the transaction that stores the rows."""

    __tablename__ = "consumer_offset"
    __table_args__ = (
        PrimaryKeyConstraint("consumer_group", "topic", "incarnation", "partition"),
        {"comment": "Offsets, moved by compare-and-swap in the transaction that stores the rows"},
    )

    consumer_group: Mapped[CText]
    topic: Mapped[CText]
    incarnation: Mapped[CText] = mapped_column(
        comment="Cluster id of the broker: offsets mean nothing in another incarnation"
    )
    partition: Mapped[int]
    next_offset: Mapped[int] = mapped_column(BigInteger, comment="First offset not yet stored")
    owner_epoch: Mapped[int] = mapped_column(
        BigInteger, server_default="0", comment="Raised by each new owner: fences the one before"
    )
    used_at: Mapped[datetime] = mapped_column(
        server_default=func.now(), comment="When it was last taken over or moved"
    )


class DeadLetterRow(Base):
    """A record that could not be processed, byte for byte."""

    __tablename__ = "dead_letter"
    __table_args__ = (
        PrimaryKeyConstraint("topic", "incarnation", "partition", "offset"),
        Index("ix_dead_letter_unmirrored", "seen_at", postgresql_where=text("mirrored_at IS NULL")),
        {"comment": "Records that could not be processed, in the transaction that passes them"},
    )

    topic: Mapped[CText]
    incarnation: Mapped[CText]
    partition: Mapped[int]
    offset: Mapped[int] = mapped_column(BigInteger)
    key: Mapped[bytes | None] = mapped_column(LargeBinary)
    value: Mapped[bytes | None] = mapped_column(LargeBinary)
    headers: Mapped[JsonList] = mapped_column(
        comment="Pairs of name and value, in order; values are base64 of their bytes"
    )
    reason: Mapped[str] = mapped_column(
        comment="Malformed, UnsupportedVersion, SchemaMismatch, ..."
    )
    detail: Mapped[str] = mapped_column(server_default="")
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    mirrored_at: Mapped[datetime | None] = mapped_column(
        comment="When it was sent to the dead-letter topic; null until then"
    )


class LostFramesRow(Base):
    """Frames that were made and will never be stored: counted, so that nobody has to guess."""

    __tablename__ = "lost_frames"
    __table_args__ = (
        PrimaryKeyConstraint("shard", "run", "first_sequence"),
        Index(None, "noticed_at"),
        {"comment": "Gaps in the sequence of frames, or what a volatile broker forgot"},
    )

    shard: Mapped[int]
    run: Mapped[CText] = mapped_column(comment="Life of the generator process that made them")
    first_sequence: Mapped[int] = mapped_column(BigInteger)
    count: Mapped[int] = mapped_column(BigInteger, comment="How many frames are missing")
    noticed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    cause: Mapped[str] = mapped_column(comment="SequenceGap, BrokerRestart, ...")
