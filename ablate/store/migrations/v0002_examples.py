"""What runs got right, example by example. Nothing is known of older runs; `ablate examples` finds it out anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "example_set",
        sa.Column("fingerprint", sa.Text, primary_key=True),
        sa.Column("ids", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("groups", sa.Text, nullable=False),
        sa.Column("classes", sa.Text, nullable=False),
    )
    op.create_table(
        "example",
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("metric", sa.Text, primary_key=True),
        sa.Column("at", sa.Text, primary_key=True),
        sa.Column("examples", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("factor", sa.Float, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
