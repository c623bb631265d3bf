"""The tables behind sessions and conversations, and how their database is opened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import CreateIndex, CreateTable

from foundation.database import Transactions, UtcTime, connected
from serve_app.errors import StorageFailed

CREATE_ATTEMPTS = 10
CREATE_PAUSE_S = 0.2


class Table(DeclarativeBase):
    pass


class Admission(Table):
    """One row that everyone who opens a session writes first: its lock makes counting and
    inserting one step across replicas, on SQLite as on PostgreSQL."""

    __tablename__ = "admission"
    id: Mapped[int] = mapped_column(primary_key=True)
    granted: Mapped[int] = mapped_column(BigInteger, default=0)


class SessionRow(Table):
    __tablename__ = "sessions"
    __table_args__ = (
        Index("ix_sessions_live", "status", "last_activity"),
        Index("ix_sessions_student", "student_id", "status"),
    )
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    tutor_id: Mapped[int] = mapped_column(BigInteger)
    student_id: Mapped[int] = mapped_column(BigInteger)
    kb_id: Mapped[str | None] = mapped_column(String(128))
    status: Mapped[str] = mapped_column(String(16))
    """active, ended or expired"""
    token_hash: Mapped[str] = mapped_column(String(64))
    """SHA-256 in hex. A token has 256 random bits, so a slow hash would protect nothing more."""
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    last_activity: Mapped[datetime] = mapped_column(UtcTime)


class MessageRow(Table):
    __tablename__ = "messages"
    __table_args__ = (Index("ix_messages_session", "session_id", "id"),)
    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id"))
    role: Mapped[str] = mapped_column(String(16))
    content: Mapped[str] = mapped_column(Text)
    interrupted: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class MemoryRow(Table):
    """What a tutor remembers of a student, and who is writing at it. Whoever forgets the student
    deletes the row, and with it the lease of a gateway that is just writing."""

    __tablename__ = "memories"
    __table_args__ = (Index("ix_memories_updated", "updated_at"),)
    student_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    tutor_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    summary: Mapped[str] = mapped_column(Text, default="")
    facts: Mapped[str] = mapped_column(Text, default="[]")
    """JSON: [[kind, text], …]"""
    recent: Mapped[str] = mapped_column(Text, default="[]")
    """JSON: [[by the student?, text], …]"""
    updated_at: Mapped[datetime] = mapped_column(UtcTime)
    lease: Mapped[str] = mapped_column(String(32), default="")
    """Random, new for each writing."""
    leased_until: Mapped[datetime] = mapped_column(UtcTime)
    """Until then nobody else begins to write."""
    not_before: Mapped[datetime] = mapped_column(UtcTime)
    """Until then no language model is asked again."""
    failures: Mapped[int] = mapped_column(default=0)
    """Answers in a row that were no memory."""


class MemoryReading(Table):
    """How far a session has been taken into the memory. One without a row has not been at all."""

    __tablename__ = "memory_readings"
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id"), primary_key=True)
    through_id: Mapped[int] = mapped_column(BigInteger, default=0)
    """Newest message that is in the memory, or that must never be."""
    noticed: Mapped[bool] = mapped_column(default=False)
    """Whether its facts have been noted by patterns, after its end."""
    settled: Mapped[bool] = mapped_column(default=False)
    """Nothing of it is to be remembered any more."""


class TutorsRevision(Table):
    """One row that every change of a given tutor writes first: its lock puts the changes in order,
    and a look at its number tells a gateway whether there is anything new."""

    __tablename__ = "given_tutors_revision"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, default=0)


class TutorRow(Table):
    """A tutor that was given over REST; it goes before one of the tutors' file."""

    __tablename__ = "given_tutors"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    entry: Mapped[str] = mapped_column(Text)
    """JSON, as an entry of the tutors' file."""
    updated_at: Mapped[datetime] = mapped_column(UtcTime)


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[AsyncEngine]:
    """Connect, create what is missing, and close at the end."""
    engine = connected(url)
    try:
        await _create_tables(engine)
        yield engine
    finally:
        await engine.dispose()


async def _create_tables(engine: AsyncEngine) -> None:
    for attempt in range(1, CREATE_ATTEMPTS + 1):
        try:
            async with engine.begin() as connection:
                for table in Table.metadata.sorted_tables:
                    await connection.execute(CreateTable(table, if_not_exists=True))
                    for index in table.indexes:
                        await connection.execute(CreateIndex(index, if_not_exists=True))
                if await connection.scalar(select(Admission.id)) is None:
                    await connection.execute(insert(Admission).values(id=1, granted=0))
                if await connection.scalar(select(TutorsRevision.id)) is None:
                    await connection.execute(insert(TutorsRevision).values(id=1, number=0))
            return
        except DBAPIError:
            # Replicas that start together get in each other's way; one of them has done it.
            if attempt == CREATE_ATTEMPTS:
                raise
            await asyncio.sleep(CREATE_PAUSE_S)


def transactions(engine: AsyncEngine) -> Transactions:
    """Every failure comes out as `StorageFailed`."""
    return Transactions(engine, StorageFailed)
