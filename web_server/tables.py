"""The tables of the web server. Their names begin with `web_`: the engine's may be in the same
database. A change of this file needs a migration beside it (`web_server/migrations`)."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from foundation.database import UtcTime

BIG = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up only what is called INTEGER."""

FIRST_TUTOR_ID = 1001
"""A tutor has the same id at the engine; the small ones are those of its configs/tutors.yaml."""

MAX_EMAIL_CHARS = 254
MAX_NAME_CHARS = 100


class Table(DeclarativeBase):
    pass


class UserRow(Table):
    """An administrator, who is a tenant, or a student of one."""

    __tablename__ = "web_users"
    # Ids are never given twice: the engine remembers students by them.
    __table_args__ = (Index("ix_web_users_admin", "admin_id"), {"sqlite_autoincrement": True})
    id: Mapped[int] = mapped_column(BIG, Identity(), primary_key=True)
    admin_id: Mapped[int | None] = mapped_column(ForeignKey("web_users.id"))
    """Whose student this is; null: an administrator."""
    email: Mapped[str] = mapped_column(String(MAX_EMAIL_CHARS), unique=True)
    """In lower case."""
    name: Mapped[str] = mapped_column(String(MAX_NAME_CHARS))
    language: Mapped[str | None] = mapped_column(String(2))
    """Of the page: zh or en; null: as the browser says."""
    password_hash: Mapped[str] = mapped_column(String(200))
    active: Mapped[bool] = mapped_column(default=True)
    token_version: Mapped[int] = mapped_column(default=1)
    """Logins of another version have ended."""
    spared_login: Mapped[str | None] = mapped_column(String(32))
    """The one login of an older version that goes on: from which the password was changed."""
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    last_seen_at: Mapped[datetime | None] = mapped_column(UtcTime)

    @property
    def tenant_id(self) -> int:
        return self.id if self.admin_id is None else self.admin_id

    @property
    def is_admin(self) -> bool:
        return self.admin_id is None


class TutorRow(Table):
    __tablename__ = "web_tutors"
    # Nor are these: another tenant must not get what an engine remembers of a deleted tutor.
    __table_args__ = (Index("ix_web_tutors_tenant", "tenant_id"), {"sqlite_autoincrement": True})
    id: Mapped[int] = mapped_column(BIG, Identity(start=FIRST_TUTOR_ID), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("web_users.id"))
    name: Mapped[str] = mapped_column(String(MAX_NAME_CHARS))
    subject: Mapped[str] = mapped_column(String(MAX_NAME_CHARS), default="")
    description: Mapped[str] = mapped_column(Text, default="")
    language: Mapped[str | None] = mapped_column(String(3))
    prompt: Mapped[str] = mapped_column(Text, default="")
    """Empty: the engine's own."""
    model: Mapped[str | None] = mapped_column(String(200))
    voice_name: Mapped[str] = mapped_column(String(MAX_NAME_CHARS), default="")
    voice_rate: Mapped[float] = mapped_column(default=1.0)
    voice_pitch: Mapped[float] = mapped_column(default=1.0)
    face: Mapped[str] = mapped_column(String(48))
    kb_id: Mapped[str | None] = mapped_column(String(64))
    """Of the tenant's knowledge bases."""
    outside: Mapped[str] = mapped_column(String(16), default="say_so")
    published: Mapped[bool] = mapped_column(default=False)


class KnowledgeRow(Table):
    """A knowledge base of a tenant; the engine calls it `{tenant_id}/{kb_id}`."""

    __tablename__ = "web_knowledge"
    tenant_id: Mapped[int] = mapped_column(ForeignKey("web_users.id"), primary_key=True)
    kb_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(MAX_NAME_CHARS))
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class Belonging(Table):
    """Whose something is of which the engine has one of a name. What nobody has is the engine's
    own, and everybody's."""

    __abstract__ = True
    folded: Mapped[str] = mapped_column(String(200), primary_key=True)
    """The name without regard to capitals, as the engine compares them."""
    name: Mapped[str] = mapped_column(String(48))
    tenant_id: Mapped[int] = mapped_column(ForeignKey("web_users.id"))
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class FaceRow(Belonging):
    __tablename__ = "web_faces"


class VoiceRow(Belonging):
    """A cloned voice."""

    __tablename__ = "web_voices"


class SessionRow(Table):
    """A conversation of a student with a tutor."""

    __tablename__ = "web_sessions"
    __table_args__ = (
        Index("ix_web_sessions_student", "student_id", "started_at"),
        Index("ix_web_sessions_live", "status", "tenant_id"),
    )
    engine_session_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("web_users.id"))
    student_id: Mapped[int] = mapped_column(ForeignKey("web_users.id", ondelete="CASCADE"))
    tutor_id: Mapped[int] = mapped_column(BigInteger)
    tutor_name: Mapped[str] = mapped_column(String(MAX_NAME_CHARS))
    """As it was then: the tutor may have been deleted since."""
    kb_id: Mapped[str | None] = mapped_column(String(128))
    engine_url: Mapped[str] = mapped_column(String(500))
    engine_token: Mapped[str | None] = mapped_column(String(500))
    """Encrypted; null as soon as the session has ended."""
    status: Mapped[str] = mapped_column(String(16))
    """active; ending: over, and the engine is yet to be told; ended"""
    started_at: Mapped[datetime] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)
    last_words: Mapped[str | None] = mapped_column(Text)
    """Of an ended one, once somebody has asked; shortened."""
