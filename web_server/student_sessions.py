"""The routes with which a conversation begins and ends, as existing clients call them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from web_server.access import Admin, CurrentUser, School, SchoolDep
from web_server.accounts import NO_CONTROL_CHARACTERS
from web_server.errors import NotFound
from web_server.oversight import EngineSeen, engine_seen
from web_server.sentences import LanguageDep, Sentence
from web_server.sessions import Sessions
from web_server.tables import TutorRow, UserRow
from web_server.tutors import NO_TUTOR, own_tutor
from wire.rest import Id

NO_STUDENT = Sentence("Student not found")

KbId = Annotated[str, Field(max_length=64, pattern=NO_CONTROL_CHARACTERS)]


class SessionWish(BaseModel):
    model_config = ConfigDict(extra="ignore")
    tutor_id: Id
    kb_id: KbId | None = None
    """Of the tenant's knowledge bases; null or empty: the tutor's own. One that is not there says
    nothing, as with the engine."""


class StudentSessionWish(BaseModel):
    model_config = ConfigDict(extra="ignore")
    student_id: Id
    kb_id: KbId | None = None


class SessionStarted(BaseModel):
    session_id: str
    engine_url: str
    """For a direct socket; the client appends `?token={engine_token}`."""
    engine_token: str
    status: str


student_sessions = APIRouter(prefix="/api/student", tags=["sessions"])
tutor_sessions = APIRouter(prefix="/api/tutors", tags=["sessions"])


@student_sessions.post("/sessions")
async def start_session(wish: SessionWish, user: CurrentUser, school: SchoolDep) -> SessionStarted:
    tutor = await own_tutor(school, user.tenant_id, wish.tutor_id)
    if not (tutor.published or user.is_admin):
        raise NotFound(NO_TUTOR)
    return await _started(school, user, tutor, wish.kb_id)


@student_sessions.get("/sessions/{session_id}")
async def get_session(session_id: str, user: CurrentUser, school: SchoolDep) -> dict[str, Any]:
    """As the engine answers, with the web server's own `kb_id`."""
    sessions = Sessions.of(school)
    return await sessions.told(await sessions.of_student(user.id, session_id))


class Ended(BaseModel):
    message: Literal["Session ended successfully"] = "Session ended successfully"


@student_sessions.delete("/sessions/{session_id}")
async def end_session(session_id: str, user: CurrentUser, school: SchoolDep) -> Ended:
    sessions = Sessions.of(school)
    await sessions.end(await sessions.of_student(user.id, session_id))
    return Ended()


@student_sessions.get("/gpu/health")
async def gpu_health(school: SchoolDep, language: LanguageDep) -> EngineSeen:
    return await engine_seen(school.engine, language)


@tutor_sessions.post("/{tutor_id}/sessions")
async def start_session_of(
    tutor_id: Id, wish: StudentSessionWish, admin: Admin, school: SchoolDep
) -> SessionStarted:
    """A session of one of the administrator's students."""
    tutor = await own_tutor(school, admin.id, tutor_id)
    async with school.database.reading() as rows:
        student = await rows.get(UserRow, wish.student_id)
    if student is None or student.tenant_id != admin.id or not student.active:
        raise NotFound(NO_STUDENT)
    return await _started(school, student, tutor, wish.kb_id)


class Deleted(BaseModel):
    status: Literal["deleted"] = "deleted"


@tutor_sessions.delete("/sessions/{session_id}")
async def delete_session(session_id: str, admin: Admin, school: SchoolDep) -> Deleted:
    sessions = Sessions.of(school)
    await sessions.end(await sessions.of_tenant(admin.id, session_id))
    return Deleted()


async def _started(
    school: School, student: UserRow, tutor: TutorRow, kb_id: str | None
) -> SessionStarted:
    created = await Sessions.of(school).start(student, tutor, kb_id)
    return SessionStarted.model_validate(created)
