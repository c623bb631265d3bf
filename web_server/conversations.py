"""What a student has talked about, which tutors there are, and what these remember."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel
from sqlalchemy import and_, or_, select, update

from web_server.access import CurrentUser, School, SchoolDep
from web_server.errors import EngineAway, EngineRefused, StorageFailed
from web_server.faces import picture_url
from web_server.sessions import Sessions
from web_server.tables import SessionRow, TutorRow
from wire.rest import Id, MemoryPublic, MessagePublic

conversations = APIRouter(prefix="/api/student", tags=["student"])

LAST_WORDS_CHARS = 200
LOOKED_UP_AT_ONCE = 4
"""Messages of conversations that the engine is asked for at the same time, for one list."""


class TutorCard(BaseModel):
    id: int
    name: str
    subject: str
    description: str
    language: str | None
    face: str
    picture_url: str
    has_course: bool


class Conversation(BaseModel):
    id: str
    tutor_id: int
    tutor_name: str
    kb_id: str | None
    status: Literal["active", "ended"]
    started_at: datetime
    ended_at: datetime | None
    last_words: str
    """Of the last message, shortened; empty: there is none, or the engine is away."""


class Page(BaseModel):
    """Which conversations."""

    tutor_id: Id | None = None
    limit: int = 20
    before: str | None = None


@conversations.get("/tutors")
async def list_tutors(user: CurrentUser, school: SchoolDep) -> list[TutorCard]:
    wanted = select(TutorRow).where(TutorRow.tenant_id == user.tenant_id, TutorRow.published)
    async with school.database.reading() as rows:
        tutors = await rows.scalars(wanted.order_by(TutorRow.id))
    return [
        TutorCard(
            id=tutor.id,
            name=tutor.name,
            subject=tutor.subject,
            description=tutor.description,
            language=tutor.language,
            face=tutor.face,
            picture_url=picture_url(tutor.face),
            has_course=tutor.kb_id is not None,
        )
        for tutor in tutors
    ]


@conversations.get("/conversations")
async def list_conversations(
    user: CurrentUser,
    school: SchoolDep,
    tutor_id: Annotated[Id | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
    before: Annotated[str | None, Query(max_length=36)] = None,
) -> list[Conversation]:
    """One's own, the newest first; `before` is the id of the last one of the page before."""
    await _follow_engine(school, user.id)
    page = Page(tutor_id=tutor_id, limit=limit, before=before)
    found = await _page(school, user.id, page)
    places = asyncio.Semaphore(LOOKED_UP_AT_ONCE)
    async with asyncio.TaskGroup() as tasks:
        words = [
            tasks.create_task(_last_words(school, row, places), name=row.engine_session_id)
            for row in found
        ]
    return [_public(row, task.result()) for row, task in zip(found, words, strict=True)]


@conversations.get("/conversations/{session_id}/messages")
async def list_messages(
    session_id: str, user: CurrentUser, school: SchoolDep
) -> list[MessagePublic]:
    row = await Sessions.of(school).of_student(user.id, session_id)
    return [MessagePublic.model_validate(entry) for entry in await _messages(school, row)]


@conversations.get("/memory")
async def get_memory(
    user: CurrentUser, school: SchoolDep, tutor_id: Annotated[Id | None, Query()] = None
) -> list[MemoryPublic]:
    told = await school.engine.get(f"/v1/students/{user.id}/memory", tutor_id=tutor_id)
    return [MemoryPublic.model_validate(memory) for memory in told]


@conversations.delete("/memory", status_code=204)
async def delete_memory(
    user: CurrentUser, school: SchoolDep, tutor_id: Annotated[Id | None, Query()] = None
) -> Response:
    await school.engine.delete(f"/v1/students/{user.id}/memory", tutor_id=tutor_id)
    return Response(status_code=204)


async def _follow_engine(school: School, student_id: int) -> None:
    """What has expired there has ended here; while the engine is away, nobody knows."""
    with suppress(EngineAway, EngineRefused):
        await Sessions.of(school).live(student_id=student_id)


async def _page(school: School, student_id: int, page: Page) -> list[SessionRow]:
    wanted = select(SessionRow).where(SessionRow.student_id == student_id)
    if page.tutor_id is not None:
        wanted = wanted.where(SessionRow.tutor_id == page.tutor_id)
    newest_first = SessionRow.started_at.desc(), SessionRow.engine_session_id.desc()
    async with school.database.reading() as rows:
        last = await rows.get(SessionRow, page.before) if page.before else None
        if last is not None and last.student_id == student_id:
            same = and_(
                SessionRow.started_at == last.started_at,
                SessionRow.engine_session_id < last.engine_session_id,
            )
            wanted = wanted.where(or_(SessionRow.started_at < last.started_at, same))
        return list(await rows.scalars(wanted.order_by(*newest_first).limit(page.limit)))


async def _last_words(school: School, row: SessionRow, places: asyncio.Semaphore) -> str:
    """Those of an ended conversation are looked up once."""
    if row.last_words is not None:
        return row.last_words
    async with places:
        try:
            messages = await _messages(school, row)
        except (EngineAway, EngineRefused):
            return ""
    words = _shortened(messages[-1]["content"]) if messages else ""
    if row.status == "ended":
        named = SessionRow.engine_session_id == row.engine_session_id
        with suppress(StorageFailed):  # then it is looked up again
            async with school.database.writing() as rows:
                await rows.execute(update(SessionRow).where(named).values(last_words=words))
    return words


async def _messages(school: School, row: SessionRow) -> list[dict[str, Any]]:
    path = f"/v1/sessions/{row.engine_session_id}/messages"
    told: list[dict[str, Any]] = await school.engine.get(path)
    return told


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LAST_WORDS_CHARS else f"{line[: LAST_WORDS_CHARS - 1]}…"


def _public(row: SessionRow, last_words: str) -> Conversation:
    return Conversation(
        id=row.engine_session_id,
        tutor_id=row.tutor_id,
        tutor_name=row.tutor_name,
        kb_id=row.kb_id,
        status="active" if row.status == "active" else "ended",
        started_at=row.started_at,
        ended_at=row.ended_at,
        last_words=last_words,
    )
