"""The first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
FIRST_TUTOR_ID = 1001


def upgrade() -> None:
    op.create_table(
        "web_users",
        sa.Column("id", BIG, sa.Identity(), nullable=False),
        sa.Column("admin_id", BIG, nullable=True),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=True),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("token_version", sa.Integer(), nullable=False),
        sa.Column("spared_login", sa.String(length=32), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("last_seen_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["admin_id"], ["web_users.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_web_users_admin", "web_users", ["admin_id"])

    op.create_table(
        "web_faces",
        sa.Column("folded", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=48), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["web_users.id"]),
        sa.PrimaryKeyConstraint("folded"),
    )
    op.create_table(
        "web_knowledge",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("kb_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["web_users.id"]),
        sa.PrimaryKeyConstraint("tenant_id", "kb_id"),
    )
    op.create_table(
        "web_sessions",
        sa.Column("engine_session_id", sa.String(length=36), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("student_id", BIG, nullable=False),
        sa.Column("tutor_id", sa.BigInteger(), nullable=False),
        sa.Column("tutor_name", sa.String(length=100), nullable=False),
        sa.Column("kb_id", sa.String(length=128), nullable=True),
        sa.Column("engine_url", sa.String(length=500), nullable=False),
        sa.Column("engine_token", sa.String(length=500), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("last_words", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["student_id"], ["web_users.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["web_users.id"]),
        sa.PrimaryKeyConstraint("engine_session_id"),
    )
    op.create_index("ix_web_sessions_live", "web_sessions", ["status", "tenant_id"])
    op.create_index("ix_web_sessions_student", "web_sessions", ["student_id", "started_at"])

    op.create_table(
        "web_tutors",
        sa.Column("id", BIG, sa.Identity(start=FIRST_TUTOR_ID), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("subject", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=3), nullable=True),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=True),
        sa.Column("voice_name", sa.String(length=100), nullable=False),
        sa.Column("voice_rate", sa.Double(), nullable=False),
        sa.Column("voice_pitch", sa.Double(), nullable=False),
        sa.Column("face", sa.String(length=48), nullable=False),
        sa.Column("kb_id", sa.String(length=64), nullable=True),
        sa.Column("outside", sa.String(length=16), nullable=False),
        sa.Column("published", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["web_users.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_web_tutors_tenant", "web_tutors", ["tenant_id"])
    if op.get_bind().dialect.name == "sqlite":  # which knows no start of a column that counts up
        op.execute(f"INSERT INTO sqlite_sequence VALUES ('web_tutors', {FIRST_TUTOR_ID - 1})")


def downgrade() -> None:
    for table in ("web_tutors", "web_sessions", "web_knowledge", "web_faces", "web_users"):
        op.drop_table(table)
