"""Sessions: conversations that students hold at the engine, and whose they are.

The engine knows when a session ends by itself; a row here follows as soon as somebody looks. What
ends here while the engine is away is `ending`, and `keep_ending` tells the engine later.
"""

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import CursorResult, select, update
from sqlalchemy.exc import IntegrityError

from foundation.database import Transactions
from web_server.access import School
from web_server.engine import EngineClient
from web_server.errors import EngineAway, EngineRefused, NotFound, StorageFailed, WebError
from web_server.sentences import Sentence
from web_server.tables import SessionRow, TutorRow, UserRow

logger = logging.getLogger(__name__)

NO_SESSION = Sentence("There is no such session, or it has ended. Start a new one.")

ENDING_INTERVAL_S = 15.0
ENDINGS_AT_ONCE = 50

PAGE = 1000
MAX_PAGES = 20
"""Of the engine's live sessions: far more than an engine holds."""


def engine_kb_id(tenant_id: int, kb_id: str) -> str:
    """What the engine calls a tenant's knowledge base. Nobody can name one of another tenant."""
    return f"{tenant_id}/{kb_id}"


def own_kb_id(tenant_id: int, engine_id: str | None) -> str | None:
    return engine_id.removeprefix(f"{tenant_id}/") if engine_id is not None else None


class Sessions:
    def __init__(self, database: Transactions, engine: EngineClient, cipher: Fernet) -> None:
        self._database = database
        self._engine = engine
        self._cipher = cipher

    @classmethod
    def of(cls, school: School) -> "Sessions":
        return cls(school.database, school.engine, school.cipher)

    async def start(self, student: UserRow, tutor: TutorRow, kb_id: str | None) -> dict[str, Any]:
        """What the engine answers: session_id, engine_url, engine_token, status. `kb_id` is one of
        the tenant's own; None: the tutor's."""
        own = kb_id or tutor.kb_id
        wish = {
            "tutor_id": tutor.id,
            "student_id": student.id,
            "kb_id": engine_kb_id(tutor.tenant_id, own) if own else None,
        }
        created: dict[str, Any] = await self._engine.post("/v1/sessions", wish)
        try:
            await self._store(student, tutor, own, created)
        except (NotFound, StorageFailed, IntegrityError):  # or the account was closed a moment ago
            await self._give_up(str(created["session_id"]))
            raise
        return created

    async def _store(
        self, student: UserRow, tutor: TutorRow, kb_id: str | None, created: dict[str, Any]
    ) -> None:
        token = self._cipher.encrypt(str(created["engine_token"]).encode()).decode()
        now = datetime.now(UTC)
        row = SessionRow(
            engine_session_id=created["session_id"],
            tenant_id=tutor.tenant_id,
            student_id=student.id,
            tutor_id=tutor.id,
            tutor_name=tutor.name,
            kb_id=kb_id,
            engine_url=created["engine_url"],
            engine_token=token,
            status="active",
            started_at=now,
        )
        async with self._database.writing() as rows:
            seen = update(UserRow).where(UserRow.id == student.id, UserRow.active)
            result = await rows.execute(seen.values(last_seen_at=now))
            if cast(CursorResult[Any], result).rowcount == 0:  # closed a moment ago
                raise NotFound(NO_SESSION)
            rows.add(row)

    async def _give_up(self, session_id: str) -> None:
        """A session that nobody could find again would only take a place."""
        try:
            await self._engine.delete(f"/v1/sessions/{session_id}")
        except WebError:
            logger.warning("A session could not be stored, and stays until it expires.")

    async def of_student(self, student_id: int, session_id: str) -> SessionRow:
        """Raises `NotFound`."""
        row = await self._row(session_id)
        if row is None or row.student_id != student_id:
            raise NotFound(NO_SESSION)
        return row

    async def of_tenant(self, tenant_id: int, session_id: str) -> SessionRow:
        """Raises `NotFound`."""
        row = await self._row(session_id)
        if row is None or row.tenant_id != tenant_id:
            raise NotFound(NO_SESSION)
        return row

    async def _row(self, session_id: str) -> SessionRow | None:
        async with self._database.reading() as rows:
            return await rows.get(SessionRow, session_id)

    async def told(self, row: SessionRow) -> dict[str, Any]:
        """The engine's word on a session. Raises `NotFound` when it is over."""
        if row.status != "active":
            raise NotFound(NO_SESSION)
        try:
            told: dict[str, Any] = await self._engine.get(f"/v1/sessions/{row.engine_session_id}")
        except EngineRefused as refused:
            if refused.status == 404:
                await self.mark([row.engine_session_id], "ended")
                raise NotFound(NO_SESSION) from refused
            raise
        return told | {"kb_id": own_kb_id(row.tenant_id, told.get("kb_id"))}

    async def end(self, row: SessionRow) -> None:
        """Raises `NotFound` when it is over already, `EngineAway`."""
        if row.status != "active":
            raise NotFound(NO_SESSION)
        await self._end_at_engine(row.engine_session_id)

    async def _end_at_engine(self, session_id: str) -> None:
        try:
            await self._engine.delete(f"/v1/sessions/{session_id}")
        except EngineRefused as refused:
            if refused.status != 404:  # it has ended by itself
                raise
        await self.mark([session_id], "ended")

    async def mark(self, session_ids: Iterable[str], status: str) -> None:
        """Over. Nothing opens the engine with it any more."""
        ids = list(session_ids)
        if not ids:
            return
        over = {"status": status, "engine_token": None, "ended_at": datetime.now(UTC)}
        named = SessionRow.engine_session_id.in_(ids), SessionRow.status != "ended"
        async with self._database.writing() as rows:
            await rows.execute(update(SessionRow).where(*named).values(over))

    async def end_all(self, **whose: int) -> None:
        """Those of a `student_id` or `tutor_id`, at once; what the engine cannot be told now, it is
        told later."""
        ids = [row.engine_session_id for row in await self._active(**whose)]
        await self.mark(ids, "ending")
        await self.finish_endings(ids)

    async def finish_endings(self, session_ids: Iterable[str]) -> None:
        for session_id in session_ids:
            try:
                await self._end_at_engine(session_id)
            except (EngineAway, EngineRefused) as later:
                logger.warning("A session is yet to be ended: %s", later.sentence)
                return

    async def endings(self) -> list[str]:
        wanted = select(SessionRow.engine_session_id).where(SessionRow.status == "ending")
        async with self._database.reading() as rows:
            return list(await rows.scalars(wanted.limit(ENDINGS_AT_ONCE)))

    async def live_tokens(self, student_id: int) -> list[str]:
        """The engine's tokens of a student's sessions, of the newest first: each opens the
        student's user-based connection. Some may have ended at the engine since."""
        found = []
        for row in await self._active(student_id=student_id):
            try:
                found.append(self._cipher.decrypt((row.engine_token or "").encode()).decode())
            except InvalidToken:  # of another SECRET_KEY
                continue
        return found

    async def live(self, **whose: int) -> list[tuple[SessionRow, dict[str, Any]]]:
        """Rows of a `student_id` or `tenant_id` that the engine calls live, and what it says of
        them, the newest first; rows that it does not know any more end. Raises `EngineAway`."""
        rows = await self._active(**whose)
        if not rows:
            return []
        told = await self._told_of_all(whose.get("student_id"))
        ids = {row.engine_session_id for row in rows}
        await self.mark(ids - told.keys(), "ended")
        known = [row for row in rows if row.engine_session_id in told]
        return [(row, told[row.engine_session_id]) for row in known]

    async def _active(self, **whose: int) -> list[SessionRow]:
        wanted = select(SessionRow).where(SessionRow.status == "active")
        async with self._database.reading() as rows:
            return list(
                await rows.scalars(
                    wanted.filter_by(**whose).order_by(
                        SessionRow.started_at.desc(), SessionRow.engine_session_id
                    )
                )
            )

    async def _told_of_all(self, student_id: int | None) -> dict[str, dict[str, Any]]:
        told: dict[str, dict[str, Any]] = {}
        last: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._engine.get(
                "/v1/sessions", student_id=student_id, limit=PAGE, after=last
            )
            told |= {session["session_id"]: session for session in page}
            if len(page) < PAGE:
                break
            last = page[-1]["session_id"]
        return told


async def keep_ending(sessions: Sessions) -> None:
    """Tell the engine of what has ended while it was away."""
    while True:
        await asyncio.sleep(ENDING_INTERVAL_S)
        try:
            await sessions.finish_endings(await sessions.endings())
        except StorageFailed:
            continue  # logged where it failed
