"""What is remembered of students, in the database: read, written under a lease, and forgotten.

Two gateways never write at the same memory: whoever writes takes a lease, a random word in its row,
and what it writes counts only while that word still stands there. A gateway that dies leaves a
lease that ends by itself. Forgetting deletes the row, the lease with it, and marks all that was
said so far as never to be read again, so that nothing comes back.
"""

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, and_, delete, false, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from engines.memory.base import Fact, Remembered, Said
from serve_app.sessions import Clock, utc_clock
from serve_app.store import MemoryReading, MemoryRow, MessageRow, SessionRow, transactions

LEASE_S = 300.0
"""Longer than a memory takes to write; so late a killed gateway's work is done by another one."""

LOOK_BACK_DAYS = 7
"""Sessions that ended earlier without being remembered stay so: nobody remembers them either."""

LONG_MESSAGES = 40
"""Unread messages from which a session that goes on is remembered: what lies further back is told
to no language model any more (exchange.HISTORY_MESSAGES)."""

UNREAD_MESSAGES = 400
"""Looked at in one go."""

NEVER = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pair:
    """A student and a tutor, between whom a memory lies."""

    student_id: int
    tutor_id: int


@dataclass(frozen=True, slots=True)
class Due:
    """A memory that wants to be written."""

    pair: Pair
    since: datetime
    """When what it lacks was said."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A memory as it stands in the database."""

    tutor_id: int
    remembered: Remembered
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write at a memory."""

    pair: Pair
    word: str
    remembered: Remembered
    """As it was when the lease was taken; nobody else writes meanwhile."""
    failures: int


@dataclass(frozen=True, slots=True)
class UnreadMessage:
    id: int
    session_id: str
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Unread:
    """What the memory lacks of the sessions between a student and a tutor."""

    messages: tuple[UnreadMessage, ...]
    """Oldest first."""
    ended: frozenset[str]
    """Sessions that have ended, and are not settled."""
    unnoticed: frozenset[str]
    """Those of them whose facts have not been noted by patterns."""
    is_all: bool
    """False: there is more than was looked at."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a session has been read."""

    through_id: int | None
    """None: no further than before."""
    settled: bool
    noticed: bool


class MemoryStore:
    """The memories of all gateways on one database."""

    def __init__(self, engine: AsyncEngine, days: int, clock: Clock = utc_clock) -> None:
        self._database = transactions(engine)
        self._upsert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        self._days = timedelta(days=days)
        self._clock = clock

    async def of(self, student_id: int, tutor_id: int | None = None) -> list[Kept]:
        """What is remembered of a student, by one tutor or by each who does."""
        query = select(MemoryRow).where(
            _of(MemoryRow, student_id, tutor_id),
            MemoryRow.updated_at > self._clock() - self._days,
        )
        async with self._database.reading() as transaction:
            rows = await transaction.scalars(query.order_by(MemoryRow.tutor_id))
            kept = [Kept(row.tutor_id, _remembered(row), row.updated_at) for row in rows]
        return [memory for memory in kept if not memory.remembered.is_empty]

    async def forget(self, student_id: int, tutor_id: int | None = None) -> None:
        """Delete it for good, also from what is being written at this moment."""
        async with self._database.writing() as transaction:
            for tutor in await self._tutors(transaction, student_id, tutor_id):
                # First the row is taken: whoever wants a lease now waits, and then reads what is
                # marked below; whoever has one loses it.
                await self._take(transaction, Pair(student_id, tutor), "", self._clock())
            await self._mark_all_read(transaction, student_id, tutor_id)
            await transaction.execute(delete(MemoryRow).where(_of(MemoryRow, student_id, tutor_id)))

    async def forget_old(self) -> None:
        """Delete what has not changed for too long."""
        old = MemoryRow.updated_at <= self._clock() - self._days
        async with self._database.writing() as transaction:
            await transaction.execute(
                delete(MemoryRow).where(old, MemoryRow.leased_until <= self._clock())
            )

    async def unnoticed(self, limit: int) -> list[Due]:
        """Memories that lack the facts of a session that has ended, the oldest first."""
        return await self._due(self._ended(MemoryReading.noticed), limit)

    async def due(self, limit: int, away: Collection[int] = ()) -> list[Due]:
        """Memories that want to be written anew, the oldest first; none of the tutors `away`."""
        rested = and_(
            or_(MemoryRow.not_before.is_(None), MemoryRow.not_before <= self._clock()),
            SessionRow.tutor_id.not_in(list(away)),
        )
        long = and_(SessionRow.status == "active", _unread_count() >= LONG_MESSAGES)
        ended = await self._due(and_(rested, self._ended(MemoryReading.settled)), limit)
        going_on = await self._due(and_(rested, long), limit)
        found = {due.pair: due for due in (*going_on, *ended)}
        return sorted(found.values(), key=lambda due: due.since)[:limit]

    def _ended(self, done: InstrumentedAttribute[bool]) -> ColumnElement[bool]:
        return and_(
            SessionRow.status.in_(("ended", "expired")),
            SessionRow.last_activity > self._look_back(),
            func.coalesce(done, false()).is_(False),
        )

    async def _due(self, which: ColumnElement[bool], limit: int) -> list[Due]:
        """Those that nobody writes at."""
        since = func.min(SessionRow.last_activity)
        query = (
            select(SessionRow.student_id, SessionRow.tutor_id, since)
            .outerjoin(MemoryReading, MemoryReading.session_id == SessionRow.id)
            .outerjoin(
                MemoryRow,
                and_(
                    MemoryRow.student_id == SessionRow.student_id,
                    MemoryRow.tutor_id == SessionRow.tutor_id,
                ),
            )
            .where(
                which,
                or_(MemoryRow.leased_until.is_(None), MemoryRow.leased_until <= self._clock()),
            )
            .group_by(SessionRow.student_id, SessionRow.tutor_id)
            .order_by(since)
            .limit(limit)
        )
        async with self._database.reading() as transaction:
            rows = await transaction.execute(query)
            return [Due(Pair(row[0], row[1]), row[2]) for row in rows]

    async def lease(self, pair: Pair) -> Lease | None:
        """The right to write for `LEASE_S`; None while another one has it."""
        word = secrets.token_hex(16)
        async with self._database.writing() as transaction:
            until = self._clock() + timedelta(seconds=LEASE_S)
            await self._take(transaction, pair, word, until, free=self._clock())
            mine = select(MemoryRow).where(_of(MemoryRow, pair.student_id, pair.tutor_id))
            row = await transaction.scalar(mine)
            if row is None or row.lease != word:
                return None
            is_old = row.updated_at <= self._clock() - self._days
            known = Remembered() if is_old else _remembered(row)
            return Lease(pair, word, known, row.failures)

    async def unread(self, pair: Pair, *, newest: bool = False) -> Unread:
        """To be asked under a lease, so that nothing of it has been forgotten. Of too many messages
        the oldest, or the newest."""
        unsettled = (
            select(SessionRow.id, SessionRow.status, MemoryReading.noticed)
            .outerjoin(MemoryReading, MemoryReading.session_id == SessionRow.id)
            .where(
                _of(SessionRow, pair.student_id, pair.tutor_id),
                SessionRow.last_activity > self._look_back(),
                func.coalesce(MemoryReading.settled, false()).is_(False),
            )
        )
        async with self._database.reading() as transaction:
            sessions = list(await transaction.execute(unsettled))
            query = (
                select(MessageRow)
                .outerjoin(MemoryReading, MemoryReading.session_id == MessageRow.session_id)
                .where(
                    MessageRow.session_id.in_([row[0] for row in sessions]),
                    MessageRow.id > func.coalesce(MemoryReading.through_id, 0),
                )
                .order_by(MessageRow.id.desc() if newest else MessageRow.id)
                .limit(UNREAD_MESSAGES)
            )
            rows = sorted(await transaction.scalars(query), key=lambda row: row.id)
        ended = [row for row in sessions if row[1] != "active"]
        return Unread(
            tuple(UnreadMessage(m.id, m.session_id, m.role, m.content) for m in rows),
            frozenset(row[0] for row in ended),
            frozenset(row[0] for row in ended if not row[2]),
            len(rows) < UNREAD_MESSAGES,
        )

    async def write(
        self,
        lease: Lease,
        remembered: Remembered,
        readings: Mapping[str, Reading],
        *,
        pause_s: float | None = None,
        failures: int = 0,
    ) -> bool:
        """Remember it, and how far each session has been read, and give the lease back; for
        `pause_s` it is not due again. False: the lease has been lost, and nothing was written."""
        now = self._clock()
        values: dict[str, Any] = {**_columns(remembered), "failures": failures}
        values |= {"lease": "", "leased_until": now}
        if pause_s is not None:
            values["not_before"] = now + timedelta(seconds=pause_s)
        if remembered != lease.remembered:
            values["updated_at"] = now
        own = _of(MemoryRow, lease.pair.student_id, lease.pair.tutor_id)
        writing = update(MemoryRow).where(own, MemoryRow.lease == lease.word).values(**values)
        async with self._database.writing() as transaction:
            written = cast(CursorResult[object], await transaction.execute(writing))
            if written.rowcount == 0:
                return False
            for session_id, reading in readings.items():
                await self._note(transaction, session_id, reading)
        return True

    async def newest_question(self) -> tuple[int, datetime]:
        """Id and time of what any student said last to any tutor, on whichever gateway."""
        query = select(MessageRow.id, MessageRow.created_at).where(MessageRow.role == "user")
        async with self._database.reading() as transaction:
            found = await transaction.execute(query.order_by(MessageRow.id.desc()).limit(1))
            row = found.first()
        return (row[0], row[1]) if row is not None else (0, NEVER)

    async def _tutors(
        self, transaction: AsyncSession, student_id: int, tutor_id: int | None
    ) -> Collection[int]:
        """In one order for everybody, so that two who forget do not wait for each other."""
        if tutor_id is not None:
            return [tutor_id]
        taught = select(SessionRow.tutor_id).where(SessionRow.student_id == student_id)
        known = select(MemoryRow.tutor_id).where(MemoryRow.student_id == student_id)
        return sorted(set(await transaction.scalars(taught.union(known))))

    async def _take(
        self,
        transaction: AsyncSession,
        pair: Pair,
        word: str,
        until: datetime,
        *,
        free: datetime | None = None,
    ) -> None:
        """Put a lease into the row, which is made where it is missing; with `free` only when
        nobody has one at that time."""
        values = {"lease": word, "leased_until": until}
        new = self._upsert(MemoryRow).values(
            student_id=pair.student_id,
            tutor_id=pair.tutor_id,
            updated_at=self._clock(),
            **_columns(Remembered()),
            not_before=NEVER,
            failures=0,
            **values,
        )
        await transaction.execute(
            new.on_conflict_do_update(
                index_elements=["student_id", "tutor_id"],
                set_=values,
                where=None if free is None else MemoryRow.leased_until <= free,
            )
        )

    async def _mark_all_read(
        self, transaction: AsyncSession, student_id: int, tutor_id: int | None
    ) -> None:
        said = (
            select(SessionRow.id, SessionRow.status, func.coalesce(func.max(MessageRow.id), 0))
            .outerjoin(MessageRow, MessageRow.session_id == SessionRow.id)
            .where(_of(SessionRow, student_id, tutor_id))
            .group_by(SessionRow.id, SessionRow.status)
        )
        for session_id, status, newest in list(await transaction.execute(said)):
            ended = status != "active"
            await self._note(transaction, session_id, Reading(newest, ended, ended))

    async def _note(self, transaction: AsyncSession, session_id: str, reading: Reading) -> None:
        values: dict[str, Any] = {"noticed": reading.noticed, "settled": reading.settled}
        if reading.through_id is not None:
            values["through_id"] = reading.through_id
        new = self._upsert(MemoryReading).values(
            {"session_id": session_id, "through_id": 0, **values}
        )
        await transaction.execute(
            new.on_conflict_do_update(index_elements=["session_id"], set_=values)
        )

    def _look_back(self) -> datetime:
        return self._clock() - timedelta(days=LOOK_BACK_DAYS)


def _of(
    table: type[MemoryRow] | type[SessionRow], student_id: int, tutor_id: int | None
) -> ColumnElement[bool]:
    own = table.student_id == student_id
    return own if tutor_id is None else and_(own, table.tutor_id == tutor_id)


def _unread_count() -> ColumnElement[int]:
    return (
        select(func.count())
        .select_from(MessageRow)
        .where(
            MessageRow.session_id == SessionRow.id,
            MessageRow.id > func.coalesce(MemoryReading.through_id, 0),
        )
        .correlate(SessionRow, MemoryReading)
        .scalar_subquery()
    )


def _columns(remembered: Remembered) -> dict[str, str]:
    return {
        "summary": remembered.summary,
        "facts": _json([[fact.kind, fact.text] for fact in remembered.facts]),
        "recent": _json([[said.by_student, said.text] for said in remembered.recent]),
    }


def _json(value: Sequence[object]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _remembered(row: MemoryRow) -> Remembered:
    return Remembered(
        row.summary,
        tuple(Fact(kind, text) for kind, text in json.loads(row.facts)),
        tuple(Said(by_student, text) for by_student, text in json.loads(row.recent)),
    )
