"""An administrator's students."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from web_server.access import Admin, School, SchoolDep
from web_server.accounts import NewEmail, PersonName
from web_server.errors import NotFound, Taken, WebError
from web_server.passwords import NewPassword
from web_server.sentences import Sentence
from web_server.sessions import Sessions
from web_server.tables import SessionRow, UserRow
from wire.rest import Id

NO_STUDENT = Sentence("There is no such student.")
TWICE = Sentence("There is an account with {email} already.")


class StudentCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")
    email: NewEmail
    name: PersonName
    password: NewPassword


class StudentChange(BaseModel):
    """What is left out stays."""

    model_config = ConfigDict(extra="forbid")
    name: PersonName | None = None
    password: NewPassword | None = None
    active: bool | None = None


class StudentPublic(BaseModel):
    id: int
    email: str
    name: str
    active: bool
    created_at: datetime
    last_seen_at: datetime | None


students = APIRouter(prefix="/api/admin/students", tags=["students"])


async def own_student(student_id: Id, admin: Admin, school: SchoolDep) -> UserRow:
    """Raises `NotFound`."""
    async with school.database.reading() as rows:
        row = await rows.get(UserRow, student_id)
    if row is None or row.admin_id != admin.id:
        raise NotFound(NO_STUDENT)
    return row


OwnStudent = Annotated[UserRow, Depends(own_student)]


@students.get("")
async def list_students(admin: Admin, school: SchoolDep) -> list[StudentPublic]:
    """By name."""
    wanted = select(UserRow).where(UserRow.admin_id == admin.id).order_by(UserRow.name, UserRow.id)
    async with school.database.reading() as rows:
        return [_public(row) for row in await rows.scalars(wanted)]


@students.post("", status_code=201)
async def create_student(wish: StudentCreate, admin: Admin, school: SchoolDep) -> StudentPublic:
    row = UserRow(
        admin_id=admin.id,
        email=wish.email,
        name=wish.name,
        password_hash=await school.passwords.hashed(wish.password),
        active=True,
        token_version=1,
        created_at=datetime.now(UTC),
    )
    await add_account(school, row)
    return _public(row)


@students.patch("/{student_id}")
async def change_student(
    change: StudentChange, student: OwnStudent, school: SchoolDep
) -> StudentPublic:
    """A new password, or closing the account, ends the student's logins; closing ends the
    conversations as well."""
    password_hash = await school.passwords.hashed(change.password) if change.password else None
    async with school.database.writing() as rows:
        row = await rows.get(UserRow, student.id)
        if row is None:  # deleted a moment ago
            raise NotFound(NO_STUDENT)
        _apply(change, password_hash, row)
    if change.active is False:
        await Sessions.of(school).end_all(student_id=student.id)
    return _public(row)


def _apply(change: StudentChange, password_hash: str | None, row: UserRow) -> None:
    if change.name is not None:
        row.name = change.name
    if change.active is not None:
        row.active = change.active
    if password_hash is not None:
        row.password_hash = password_hash
    if password_hash is not None or change.active is False:
        row.token_version += 1
        row.spared_login = None


@students.delete("/{student_id}", status_code=204)
async def delete_student(student: OwnStudent, school: SchoolDep) -> Response:
    """For good, with all that was said and what the tutors remember. While the engine is away
    nothing is deleted, since its part would stay behind."""
    await _set_active(school, student.id, False)  # so that nothing new begins meanwhile
    try:
        await school.engine.delete(f"/v1/students/{student.id}")
    except WebError:
        await _set_active(school, student.id, student.active)
        raise
    async with school.database.writing() as rows:
        await rows.execute(delete(SessionRow).where(SessionRow.student_id == student.id))
        await rows.execute(delete(UserRow).where(UserRow.id == student.id))
    return Response(status_code=204)


async def _set_active(school: School, student_id: int, active: bool) -> None:
    async with school.database.writing() as rows:
        await rows.execute(update(UserRow).where(UserRow.id == student_id).values(active=active))


async def add_account(school: School, row: UserRow) -> None:
    """Raises `Taken`."""
    try:
        async with school.database.writing() as rows:
            rows.add(row)
    except IntegrityError as twice:
        raise Taken(TWICE.about(email=row.email)) from twice


def _public(row: UserRow) -> StudentPublic:
    return StudentPublic(
        id=row.id,
        email=row.email,
        name=row.name,
        active=row.active,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
    )
