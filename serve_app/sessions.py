"""Sessions and their conversations: who may speak with which tutor, for how long, and what was
said. All of it lives in the database, so any replica can serve any session, also after a crash."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, UpdateBase, and_, delete, func, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from serve_app.errors import BadToken, SessionNotFound, TooManyForStudent, TooManySessions
from serve_app.store import Admission, MemoryReading, MessageRow, SessionRow, transactions

TOKEN_BYTES = 32
"""256 random bits: not to be guessed."""

Clock = Callable[[], datetime]


def utc_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Session:
    """One learner with one tutor."""

    id: str
    tutor_id: int
    student_id: int
    kb_id: str | None
    created_at: datetime
    last_activity: datetime


@dataclass(frozen=True, slots=True)
class Limits:
    """How many sessions may live, and for how long."""

    sessions: int = 10
    per_student: int = 5
    timeout_s: float = 3600


class Sessions:
    """The live sessions of every replica on one database."""

    def __init__(self, engine: AsyncEngine, limits: Limits, clock: Clock = utc_clock) -> None:
        self._database = transactions(engine)
        self.limits = limits
        self._clock = clock

    async def create(
        self, tutor_id: int, student_id: int, kb_id: str | None
    ) -> tuple[Session, str]:
        """Open a session; returns it with its token, which is stored only as a hash.

        Raises `TooManySessions` or `TooManyForStudent`.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        async with self._database.writing() as transaction:
            await self._lock(transaction)  # makes the counts below binding for all replicas
            await self._admit(transaction, student_id)
            now = self._clock()
            row = SessionRow(
                id=str(uuid4()),
                tutor_id=tutor_id,
                student_id=student_id,
                kb_id=kb_id,
                status="active",
                token_hash=_hash(token),
                created_at=now,
                last_activity=now,
            )
            transaction.add(row)
        return _session(row), token

    async def _lock(self, transaction: AsyncSession) -> None:
        """From now to the end of the transaction no session is opened by anybody else."""
        await transaction.execute(update(Admission).values(granted=Admission.granted + 1))

    async def _admit(self, transaction: AsyncSession, student_id: int) -> None:
        count = select(func.count()).select_from(SessionRow).where(self._live())
        if (await transaction.scalar(count) or 0) >= self.limits.sessions:
            raise TooManySessions(
                f"All {self.limits.sessions} places are taken. Try again when a session has "
                "ended, or raise MAX_SESSIONS."
            )
        mine = count.where(SessionRow.student_id == student_id)
        if (await transaction.scalar(mine) or 0) >= self.limits.per_student:
            raise TooManyForStudent(
                f"This student already has {self.limits.per_student} sessions. End one first, or "
                "raise MAX_SESSIONS_PER_STUDENT."
            )

    async def get(self, session_id: str) -> Session:
        """Raises `SessionNotFound` when unknown, ended or expired."""
        async with self._database.reading() as transaction:
            return _session(await self._live_row(transaction, session_id))

    async def page(
        self,
        *,
        student_id: int | None = None,
        tutor_id: int | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> list[Session]:
        """Live sessions, oldest first; `after` is the id of the last one already seen."""
        query = select(SessionRow).where(self._live())
        if student_id is not None:
            query = query.where(SessionRow.student_id == student_id)
        if tutor_id is not None:
            query = query.where(SessionRow.tutor_id == tutor_id)
        async with self._database.reading() as transaction:
            if after is not None and (seen := await transaction.get(SessionRow, after)):
                query = query.where(_later_than(seen))
            ordered = query.order_by(SessionRow.created_at, SessionRow.id).limit(limit)
            return [_session(row) for row in await transaction.scalars(ordered)]

    async def count(self) -> int:
        query = select(func.count()).select_from(SessionRow).where(self._live())
        async with self._database.reading() as transaction:
            return await transaction.scalar(query) or 0

    async def end(self, session_id: str) -> None:
        """Raises `SessionNotFound` when there is nothing to end."""
        async with self._database.writing() as transaction:
            ending = (
                update(SessionRow)
                .where(SessionRow.id == session_id, self._live())
                .values(status="ended")
            )
            ended = cast(CursorResult[object], await transaction.execute(ending))
            if ended.rowcount == 0:
                raise SessionNotFound

    async def forget(self, student_id: int) -> None:
        """Delete all sessions of a student with what was said in them, also those that live."""
        theirs = select(SessionRow.id).where(SessionRow.student_id == student_id)
        async with self._database.writing() as transaction:
            await self._lock(transaction)
            for rows in (MemoryReading, MessageRow):
                await transaction.execute(delete(rows).where(rows.session_id.in_(theirs)))
            await transaction.execute(delete(SessionRow).where(SessionRow.student_id == student_id))

    async def expire(self) -> int:
        """Mark sessions without activity; returns how many."""
        async with self._database.writing() as transaction:
            expiring = (
                update(SessionRow)
                .where(SessionRow.status == "active", SessionRow.last_activity <= self._cutoff())
                .values(status="expired")
            )
            return cast(CursorResult[object], await transaction.execute(expiring)).rowcount

    async def touch(self, session_id: str) -> None:
        """Note activity. Raises `SessionNotFound` when the session has ended or expired."""
        async with self._database.writing() as transaction:
            await self._touch(transaction, session_id)

    async def _touch(self, transaction: AsyncSession, session_id: str) -> None:
        touching = (
            update(SessionRow)
            .where(SessionRow.id == session_id, self._live())
            .values(last_activity=self._clock())
        )
        touched = cast(CursorResult[object], await transaction.execute(touching))
        if touched.rowcount == 0:
            raise SessionNotFound

    async def living(self, session_ids: Collection[str]) -> set[str]:
        """Which of these are still live."""
        query = select(SessionRow.id).where(SessionRow.id.in_(session_ids), self._live())
        async with self._database.reading() as transaction:
            return set(await transaction.scalars(query))

    async def living_students(self, student_ids: Collection[int]) -> set[int]:
        """Which of these have a live session."""
        query = (
            select(SessionRow.student_id)
            .where(SessionRow.student_id.in_(student_ids), self._live())
            .distinct()
        )
        async with self._database.reading() as transaction:
            return set(await transaction.scalars(query))

    async def exists(self, session_id: str) -> bool:
        """Whether it is or ever was a session."""
        async with self._database.reading() as transaction:
            return await transaction.get(SessionRow, session_id) is not None

    async def authenticate(self, session_id: str, token: str) -> Session:
        """Raises `SessionNotFound` or `BadToken`."""
        async with self._database.reading() as transaction:
            row = await self._live_row(transaction, session_id)
        if not hmac.compare_digest(row.token_hash, _hash(token)):
            raise BadToken
        return _session(row)

    async def authenticate_student(self, student_id: int, token: str) -> None:
        """A token of any live session of the student will do. Raises `BadToken`."""
        query = select(SessionRow.token_hash).where(
            self._live(), SessionRow.student_id == student_id
        )
        async with self._database.reading() as transaction:
            hashes = list(await transaction.scalars(query))
        given = _hash(token)
        # Every hash is compared, so that the time tells nothing about which one was close.
        matches = [hmac.compare_digest(stored, given) for stored in hashes]
        if True not in matches:
            raise BadToken

    async def add_question(self, session_id: str, content: str) -> int:
        """Store what the learner said, which is activity; returns the message's id. Raises
        `SessionNotFound`."""
        async with self._database.writing() as transaction:
            await self._touch(transaction, session_id)
            row = MessageRow(
                session_id=session_id,
                role="user",
                content=_clean(content),
                created_at=self._clock(),
            )
            transaction.add(row)
        return row.id

    async def add_answer(self, session_id: str, content: str, *, interrupted: bool = False) -> int:
        """Store what the tutor said; returns the message's id."""
        async with self._database.writing() as transaction:
            row = MessageRow(
                session_id=session_id,
                role="assistant",
                content=_clean(content),
                interrupted=interrupted,
                created_at=self._clock(),
            )
            transaction.add(row)
        return row.id

    async def cut_message(self, message_id: int, heard: str) -> None:
        """The learner interrupted: keep only what had been played, or nothing at all."""
        this = MessageRow.id == message_id
        if heard.strip():
            cut: UpdateBase = (
                update(MessageRow).where(this).values(content=_clean(heard), interrupted=True)
            )
        else:
            cut = delete(MessageRow).where(this)
        async with self._database.writing() as transaction:
            await transaction.execute(cut)

    async def withdraw(self, message_id: int) -> None:
        """The learner had not finished: what was taken for a question is said again, whole."""
        async with self._database.writing() as transaction:
            await transaction.execute(delete(MessageRow).where(MessageRow.id == message_id))

    async def messages(
        self, session_id: str, *, last: int | None = None, after_id: int = 0
    ) -> list[MessageRow]:
        """The conversation, oldest first; `last`: only its newest entries; `after_id`: only later
        ones."""
        query = select(MessageRow).where(
            MessageRow.session_id == session_id, MessageRow.id > after_id
        )
        async with self._database.reading() as transaction:
            if last is None:
                return list(await transaction.scalars(query.order_by(MessageRow.id)))
            newest = query.order_by(MessageRow.id.desc()).limit(last)
            return list(await transaction.scalars(newest))[::-1]

    async def _live_row(self, transaction: AsyncSession, session_id: str) -> SessionRow:
        query = select(SessionRow).where(SessionRow.id == session_id, self._live())
        row = await transaction.scalar(query)
        if row is None:
            raise SessionNotFound
        return row

    def _live(self) -> ColumnElement[bool]:
        return and_(SessionRow.status == "active", SessionRow.last_activity > self._cutoff())

    def _cutoff(self) -> datetime:
        return self._clock() - timedelta(seconds=self.limits.timeout_s)


def session_id_in(text: str) -> str:
    """Sessions are UUIDs, in whichever spelling. Raises `SessionNotFound` for anything else."""
    try:
        return str(UUID(text))
    except ValueError as malformed:
        raise SessionNotFound from malformed


def _later_than(seen: SessionRow) -> ColumnElement[bool]:
    return or_(
        SessionRow.created_at > seen.created_at,
        and_(SessionRow.created_at == seen.created_at, SessionRow.id > seen.id),
    )


def _clean(content: str) -> str:
    """PostgreSQL stores no NUL."""
    return content.replace("\x00", "")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _session(row: SessionRow) -> Session:
    return Session(
        id=row.id,
        tutor_id=row.tutor_id,
        student_id=row.student_id,
        kb_id=row.kb_id,
        created_at=row.created_at,
        last_activity=row.last_activity,
    )
