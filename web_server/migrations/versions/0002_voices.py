"""Whose the cloned voices are"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "web_voices",
        sa.Column("folded", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=48), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["web_users.id"]),
        sa.PrimaryKeyConstraint("folded"),
    )


def downgrade() -> None:
    op.drop_table("web_voices")
