"""Logging in, and one's own account."""

from datetime import UTC, datetime
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlalchemy import select, update

from web_server.access import Caller, CallerDep, CurrentUser, School, SchoolDep
from web_server.demo import demand_here
from web_server.errors import NotSignedIn, Unreadable, WrongLogin
from web_server.passwords import GivenPassword, NewPassword
from web_server.sentences import Sentence
from web_server.tables import MAX_EMAIL_CHARS, MAX_NAME_CHARS, UserRow

NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f]*$"
NO_NUL = r"^[^\x00]*$"
"""PostgreSQL takes a text with any other character."""
EMAIL = r"^\s*[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+\s*$"


def _plain_name(name: str) -> str:
    name = name.strip()
    if not name:
        raise ValueError("must not be empty")
    return name


PersonName = Annotated[
    str,
    Field(max_length=MAX_NAME_CHARS, pattern=NO_CONTROL_CHARACTERS),
    AfterValidator(_plain_name),
]


def folded_email(email: str) -> str:
    return email.strip().lower()


GivenEmail = Annotated[
    str, Field(max_length=MAX_EMAIL_CHARS, pattern=NO_NUL), AfterValidator(folded_email)
]

NewEmail = Annotated[
    str,
    Field(max_length=MAX_EMAIL_CHARS, pattern=EMAIL),
    AfterValidator(folded_email),
]
"""Nothing is sent to it: it is a name to log in with."""


WRONG_OLD_PASSWORD = Sentence("The old password is not right, so nothing has changed. Try again.")


class LoginBody(BaseModel):
    email: GivenEmail
    password: GivenPassword


class UserPublic(BaseModel):
    id: int
    email: str
    name: str
    role: Literal["admin", "student"]
    language: Literal["zh", "en"] | None


class TokenPublic(BaseModel):
    access_token: str
    token_type: Literal["bearer"] = "bearer"
    expires_in: int
    """Seconds."""
    user: UserPublic


class UserChange(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: PersonName | None = None
    language: Literal["zh", "en"] | None = None


class PasswordChange(BaseModel):
    old: GivenPassword
    new: NewPassword


auth = APIRouter(prefix="/api/auth", tags=["account"])
me = APIRouter(prefix="/api/me", tags=["account"])


@auth.post("/login")
async def log_in(body: LoginBody, request: Request, school: SchoolDep) -> TokenPublic:
    """A wrong address takes as long as a wrong password, and is told in the same words."""
    address = request.client.host if request.client else ""
    demand_here(body.email, body.password, request.headers.get("host", ""), address)
    with school.login_limit.trying(body.email, address, wrong=WrongLogin):
        user = await _known(school, body)
    token, lifetime_s = school.tokens.issue(user.id, user.token_version)
    return await _answered(school, user, token, lifetime_s)


async def _known(school: School, body: LoginBody) -> UserRow:
    """Raises `WrongLogin`, `Crowded`."""
    async with school.database.reading() as rows:
        user = await rows.scalar(select(UserRow).where(UserRow.email == body.email))
    stored = user.password_hash if user is not None and user.active else None
    if not await school.passwords.fits(body.password, stored) or user is None:
        raise WrongLogin
    return user


@auth.post("/refresh")
async def refresh(caller: CallerDep, school: SchoolDep) -> TokenPublic:
    """A token that holds for longer; the old one holds until its own end."""
    user = caller.user
    token, lifetime_s = school.tokens.issue(user.id, user.token_version, caller.login.began_at)
    return await _answered(school, user, token, lifetime_s)


@me.get("")
async def get_me(user: CurrentUser) -> UserPublic:
    return _public(user)


@me.patch("")
async def change_me(change: UserChange, user: CurrentUser, school: SchoolDep) -> UserPublic:
    async with school.database.writing() as rows:
        stored = await rows.get(UserRow, user.id)
        if stored is None:  # deleted a moment ago
            raise NotSignedIn
        if change.name is not None:
            stored.name = change.name
        if "language" in change.model_fields_set:
            stored.language = change.language
    return _public(stored)


@me.post("/password", status_code=204)
async def change_password(
    change: PasswordChange, request: Request, caller: CallerDep, school: SchoolDep
) -> Response:
    """Ends all other logins of the account."""
    user = caller.user
    address = request.client.host if request.client else ""
    with school.login_limit.trying(user.email, address, wrong=Unreadable):
        if not await school.passwords.fits(change.old, user.password_hash):
            raise Unreadable(WRONG_OLD_PASSWORD)
    await _set_password(school, caller, await school.passwords.hashed(change.new))
    return Response(status_code=204)


async def _set_password(school: School, caller: Caller, password_hash: str) -> None:
    async with school.database.writing() as rows:
        stored = await rows.get(UserRow, caller.user.id)
        if stored is None:  # deleted a moment ago
            raise NotSignedIn
        stored.password_hash = password_hash
        stored.token_version += 1
        stored.spared_login = caller.login.id


async def _answered(school: School, user: UserRow, token: str, lifetime_s: int) -> TokenPublic:
    async with school.database.writing() as rows:
        seen = update(UserRow).where(UserRow.id == user.id)
        await rows.execute(seen.values(last_seen_at=datetime.now(UTC)))
    return TokenPublic(access_token=token, expires_in=lifetime_s, user=_public(user))


def _public(user: UserRow) -> UserPublic:
    return UserPublic(
        id=user.id,
        email=user.email,
        name=user.name,
        role="admin" if user.is_admin else "student",
        language=cast(Literal["zh", "en"] | None, user.language),
    )
