"""What the assistant has read: documents in chunks, to be found by words and by meaning."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import Computed, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from reactorsync.db.models.base import Base, Json, RowId

EMBEDDING_SIZE: Final = 384


class DocumentRow(Base):
    """A text that answers may cite."""

    __tablename__ = "document"
    __table_args__ = (
        UniqueConstraint("source_id"),
        {"comment": "Texts that answers may cite"},
    )

    id: Mapped[RowId]
    source_id: Mapped[str] = mapped_column(comment="Stable name that citations use")
    title: Mapped[str]
    kind: Mapped[str] = mapped_column(comment="Procedure, manual, incident report, ...")
    uri: Mapped[str | None]
    licence: Mapped[str | None]
    trust: Mapped[str] = mapped_column(comment="Who vouches for it: Curated, Operator or External")
    content_hash: Mapped[str] = mapped_column(comment="SHA-256 of the text, hexadecimal")
    attributes: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    ingested_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ChunkRow(Base):
    """A passage of a document, as it is searched and cited."""

    __tablename__ = "chunk"
    __table_args__ = (
        UniqueConstraint("document_id", "ordinal"),
        Index(None, "search", postgresql_using="gin"),
        Index(
            None,
            "embedding",
            postgresql_using="hnsw",
            postgresql_ops={"embedding": "halfvec_cosine_ops"},
            postgresql_with={"m": 16, "ef_construction": 64},
        ),
        {"comment": "Passages of documents, indexed for full-text and vector search"},
    )

    id: Mapped[RowId]
    document_id: Mapped[int] = mapped_column(ForeignKey("document.id", ondelete="CASCADE"))
    ordinal: Mapped[int] = mapped_column(comment="Position in the document, from 0")
    heading: Mapped[str] = mapped_column(server_default="")
    text: Mapped[str]
    search: Mapped[str] = mapped_column(
        TSVECTOR,
        Computed(
            "setweight(to_tsvector('english'::regconfig, heading), 'A') || "
            "setweight(to_tsvector('english'::regconfig, text), 'C')",
            persisted=True,
        ),
        comment="Words of heading (weight A) and text (weight C)",
    )
    embedding: Mapped[list[float] | None] = mapped_column(
        HALFVEC(EMBEDDING_SIZE), comment="Null until embedded; vectors of one model only"
    )
    embedding_model: Mapped[str | None] = mapped_column(comment="Model the vector comes from")
