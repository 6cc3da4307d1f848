"""When an offset was last of use, so that those of topics and brokers that are gone can go too.

Revision: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows that exist count as of use now."""
    op.add_column(
        "consumer_offset",
        sa.Column(
            "used_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
            comment="When it was last taken over or moved",
        ),
    )


def downgrade() -> None:
    """Forget the times."""
    op.drop_column("consumer_offset", "used_at")
