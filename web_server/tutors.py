"""An administrator's tutors. Each is a tutor of the engine with the same id; the engine is told
first, so that nothing stands here that it refuses."""

import asyncio
import logging
from contextlib import suppress
from typing import Annotated, Any, Literal, cast
from weakref import WeakValueDictionary

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, select

from web_server.access import Admin, School, SchoolDep
from web_server.accounts import NO_CONTROL_CHARACTERS, NO_NUL, PersonName
from web_server.errors import EngineRefused, NotFound, WebError
from web_server.faces import FACES
from web_server.knowledge import base_of
from web_server.sentences import Sentence
from web_server.sessions import Sessions, engine_kb_id
from web_server.tables import MAX_NAME_CHARS, TutorRow
from web_server.voices import VOICES
from wire.names import GivenName
from wire.rest import MAX_PROMPT_CHARS, Id, Language, TutorPublic, TutorPut, TutorVoice

logger = logging.getLogger(__name__)

NO_TUTOR = Sentence("Tutor not found")
"""To the letter what clients have always been told."""
MAX_DESCRIPTION_CHARS = 2_000


class VoiceOfTutor(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(default="", max_length=MAX_NAME_CHARS, pattern=NO_CONTROL_CHARACTERS)
    """Of `GET /api/admin/voices`; empty: the engine's usual one."""
    rate: float = Field(default=1.0, ge=0.5, le=2)
    pitch: float = Field(default=1.0, ge=0.5, le=2)


class TutorWish(BaseModel):
    """What is left out is as usual, and not as it was."""

    model_config = ConfigDict(extra="ignore")
    name: PersonName
    subject: str = Field(default="", max_length=MAX_NAME_CHARS, pattern=NO_CONTROL_CHARACTERS)
    description: str = Field(default="", max_length=MAX_DESCRIPTION_CHARS, pattern=NO_NUL)
    language: Language | None = None
    prompt: str = Field(default="", max_length=MAX_PROMPT_CHARS, pattern=NO_NUL)
    """Empty: the engine's own."""
    model: str | None = Field(default=None, max_length=200, pattern=NO_CONTROL_CHARACTERS)
    """Null or empty: the engine's own."""
    voice: VoiceOfTutor = VoiceOfTutor()
    face: GivenName
    kb_id: str | None = Field(default=None, max_length=64, pattern=NO_CONTROL_CHARACTERS)
    outside: Literal["say_so", "general"] = "say_so"
    published: bool = False


class Tutor(TutorWish):
    id: int
    notes: list[str] = []
    """After a change: what stands between the tutor and its language model or voice."""


tutors = APIRouter(prefix="/api/admin/tutors", tags=["tutors"])


class TutorLocks:
    """Two changes of one tutor must not pass each other on the way to the engine."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    def of(self, tutor_id: int) -> asyncio.Lock:
        return self._locks.setdefault(tutor_id, asyncio.Lock())


def _locks(request: Request) -> TutorLocks:
    return cast(TutorLocks, request.app.state.tutor_locks)


LocksDep = Annotated[TutorLocks, Depends(_locks)]


async def own_tutor(school: School, tenant_id: int, tutor_id: int) -> TutorRow:
    """Raises `NotFound`."""
    wanted = select(TutorRow).where(TutorRow.id == tutor_id, TutorRow.tenant_id == tenant_id)
    async with school.database.reading() as rows:
        row = await rows.scalar(wanted)
    if row is None:
        raise NotFound(NO_TUTOR)
    return row


@tutors.get("")
async def list_tutors(admin: Admin, school: SchoolDep) -> list[Tutor]:
    wanted = select(TutorRow).where(TutorRow.tenant_id == admin.id).order_by(TutorRow.id)
    async with school.database.reading() as rows:
        return [_public(row) for row in await rows.scalars(wanted)]


@tutors.get("/{tutor_id}")
async def get_tutor(tutor_id: Id, admin: Admin, school: SchoolDep) -> Tutor:
    return _public(await own_tutor(school, admin.id, tutor_id))


@tutors.post("", status_code=201)
async def create_tutor(wish: TutorWish, admin: Admin, school: SchoolDep) -> Tutor:
    await _demand_own(school, admin.id, wish)
    row = TutorRow(tenant_id=admin.id, **_columns(wish.model_copy(update={"published": False})))
    async with school.database.writing() as rows:
        rows.add(row)  # for its id; nobody is shown it yet
    try:
        notes = await _tell(school, row.id, wish, admin.id)
        await _store(school, row.id, wish)
    except BaseException:
        await _drop(school, row.id)
        await _forget(school, row.id)
        raise
    return _told(row.id, wish, notes)


@tutors.put("/{tutor_id}")
async def change_tutor(
    tutor_id: Id, wish: TutorWish, admin: Admin, school: SchoolDep, locks: LocksDep
) -> Tutor:
    async with locks.of(tutor_id):
        before = _public(await own_tutor(school, admin.id, tutor_id))
        await _demand_own(school, admin.id, wish)
        notes = await _tell(school, tutor_id, wish, admin.id)
        try:
            await _store(school, tutor_id, wish)
        except WebError:
            await _take_back(school, tutor_id, before, admin.id)
            raise
    return _told(tutor_id, wish, notes)


@tutors.delete("/{tutor_id}", status_code=204)
async def delete_tutor(tutor_id: Id, admin: Admin, school: SchoolDep, locks: LocksDep) -> Response:
    """Conversations with it stay, under its name."""
    async with locks.of(tutor_id):
        before = _public(await own_tutor(school, admin.id, tutor_id))
        await _tell_gone(school, tutor_id)
        try:
            await _drop(school, tutor_id)
        except WebError:
            await _take_back(school, tutor_id, before, admin.id)
            raise
        await Sessions.of(school).end_all(tutor_id=tutor_id)  # else a stand-in would go on
    return Response(status_code=204)


async def _demand_own(school: School, tenant_id: int, wish: TutorWish) -> None:
    """Raises `NotFound` for a face, voice or knowledge base of another tenant, and for a face that
    there is not."""
    await FACES.demand_there(school, tenant_id, wish.face)
    await VOICES.demand_visible(school, tenant_id, wish.voice.name)
    if wish.kb_id:
        await base_of(school, tenant_id, wish.kb_id)


async def _tell(school: School, tutor_id: int, wish: TutorWish, tenant_id: int) -> list[str]:
    body = TutorPut(
        name=wish.name,
        language=wish.language,
        prompt=wish.prompt or None,
        model=wish.model or None,
        voice=TutorVoice(**wish.voice.model_dump()),
        face=wish.face,
        kb=engine_kb_id(tenant_id, wish.kb_id) if wish.kb_id else None,
        outside=wish.outside,
    )
    told = await school.engine.put(f"/v1/tutors/{tutor_id}", body.model_dump(exclude_none=True))
    return TutorPublic.model_validate(told).notes


async def _tell_gone(school: School, tutor_id: int) -> None:
    try:
        await school.engine.delete(f"/v1/tutors/{tutor_id}")
    except EngineRefused as refused:
        if refused.status not in (404, 409):  # unknown there, or one of its file, which stays there
            raise


async def _forget(school: School, tutor_id: int) -> None:
    """It may have got as far as the engine. Nobody can ask for it, and its id is not given
    again."""
    with suppress(WebError):
        await _tell_gone(school, tutor_id)


async def _take_back(school: School, tutor_id: int, before: Tutor, tenant_id: int) -> None:
    """The database failed after the engine had been told."""
    try:
        await _tell(school, tutor_id, before, tenant_id)
    except WebError:
        logger.error("Tutor %s is now another one at the engine; save it again.", tutor_id)


async def _store(school: School, tutor_id: int, wish: TutorWish) -> None:
    async with school.database.writing() as rows:
        row = await rows.get(TutorRow, tutor_id)
        if row is None:  # deleted by another process
            raise NotFound(NO_TUTOR)
        for column, value in _columns(wish).items():
            setattr(row, column, value)


async def _drop(school: School, tutor_id: int) -> None:
    async with school.database.writing() as rows:
        await rows.execute(delete(TutorRow).where(TutorRow.id == tutor_id))


def _columns(wish: TutorWish) -> dict[str, Any]:
    plain = wish.model_dump(exclude={"voice", "id", "notes"})
    voice = {f"voice_{part}": value for part, value in wish.voice.model_dump().items()}
    return plain | voice | {"kb_id": wish.kb_id or None, "model": wish.model or None}


def _told(tutor_id: int, wish: TutorWish, notes: list[str]) -> Tutor:
    given = wish.model_dump() | {"kb_id": wish.kb_id or None, "model": wish.model or None}
    return Tutor(**given, id=tutor_id, notes=notes)


def _public(row: TutorRow) -> Tutor:
    return Tutor(
        id=row.id,
        name=row.name,
        subject=row.subject,
        description=row.description,
        language=row.language,
        prompt=row.prompt,
        model=row.model,
        voice=VoiceOfTutor(name=row.voice_name, rate=row.voice_rate, pitch=row.voice_pitch),
        face=row.face,
        kb_id=row.kb_id,
        outside=cast(Literal["say_so", "general"], row.outside),
        published=row.published,
    )
