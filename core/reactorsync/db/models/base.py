"""What all tables share: naming of constraints and how Python types are stored."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Identity, Integer, MetaData, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Every constraint has a name that follows from its table, so that migrations can speak of it."""

Json = dict[str, Any]
JsonList = list[Any]

RowId = Annotated[int, mapped_column(BigInteger, Identity(always=True), primary_key=True)]
"""A number given by the database, for rows that nothing outside names."""

CText = Annotated[str, mapped_column(Text(collation="C"))]
"""Text that is compared byte by byte: names sort alike in the database and in Python."""


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: Text,
        int: Integer,
        datetime: DateTime(timezone=True),
        UUID: Uuid,
        Json: JSONB,
        JsonList: JSONB,
    }
