"""What an alarm's events need: its identity, whose it was, and which of them the broker has taken.

Revision: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows that exist get an identity of their own."""
    op.add_column(
        "alarm",
        sa.Column(
            "uid",
            sa.Uuid(),
            server_default=sa.func.gen_random_uuid(),
            nullable=False,
            comment=(
                "`alarmId` of its events: the same however often it is raised again from its tick"
            ),
        ),
    )
    op.add_column(
        "alarm",
        sa.Column(
            "reactor_uid",
            sa.Uuid(),
            comment="UID of the resource at that time: a recreated reactor keeps reactor_id",
        ),
    )
    op.add_column(
        "alarm",
        sa.Column(
            "raise_announced_at",
            sa.DateTime(timezone=True),
            comment="When the broker took AlarmRaised; null until then",
        ),
    )
    op.add_column(
        "alarm",
        sa.Column(
            "clear_announced_at",
            sa.DateTime(timezone=True),
            comment="When the broker took AlarmCleared; null until then",
        ),
    )
    op.create_index("uq_alarm_uid", "alarm", ["uid"], unique=True)
    op.create_index(
        "ix_alarm_unannounced",
        "alarm",
        ["id"],
        postgresql_where=sa.text(
            "raise_announced_at IS NULL OR (cleared_at IS NOT NULL AND clear_announced_at IS NULL)"
        ),
    )


def downgrade() -> None:
    """Forget who has been told."""
    op.drop_index("ix_alarm_unannounced", "alarm")
    op.drop_index("uq_alarm_uid", "alarm")
    for column in ("clear_announced_at", "raise_announced_at", "reactor_uid", "uid"):
        op.drop_column("alarm", column)
