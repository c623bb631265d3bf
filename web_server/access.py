"""Who is asking: what every route that is not for everybody begins with."""

from dataclasses import dataclass
from typing import Annotated, cast

from cryptography.fernet import Fernet
from fastapi import Depends
from starlette.requests import HTTPConnection

from foundation.database import Transactions
from web_server.engine import EngineClient
from web_server.errors import NotAllowed, NotSignedIn
from web_server.login_limit import LoginLimit
from web_server.passwords import Passwords
from web_server.relay import Relays
from web_server.settings import WebSettings
from web_server.tables import UserRow
from web_server.tokens import Login, Tokens


@dataclass(frozen=True, slots=True)
class School:
    """What the routes stand on."""

    settings: WebSettings
    database: Transactions
    engine: EngineClient
    tokens: Tokens
    cipher: Fernet
    """For the engine's tokens."""
    passwords: Passwords
    login_limit: LoginLimit
    relays: Relays


@dataclass(frozen=True, slots=True)
class Caller:
    """An account, and the login with which it asks."""

    user: UserRow
    login: Login


def school_of(connection: HTTPConnection) -> School:
    return cast(School, connection.app.state.school)


SchoolDep = Annotated[School, Depends(school_of)]


async def caller_of(school: School, token: str) -> Caller:
    """Raises `NotSignedIn`, also when the account is closed or the password has changed."""
    login = school.tokens.read(token)
    async with school.database.reading() as rows:
        user = await rows.get(UserRow, login.user_id)
    if user is None or not user.active or not _is_in_force(user, login):
        raise NotSignedIn
    return Caller(user, login)


def _is_in_force(user: UserRow, login: Login) -> bool:
    return login.version == user.token_version or login.id == user.spared_login


async def signed_in(connection: HTTPConnection, school: SchoolDep) -> Caller:
    """`Authorization: Bearer {JWT}`, and no other way: addresses are logged."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise NotSignedIn
    return await caller_of(school, token.strip())


CallerDep = Annotated[Caller, Depends(signed_in)]


def current_user(caller: CallerDep) -> UserRow:
    return caller.user


CurrentUser = Annotated[UserRow, Depends(current_user)]


def administrator(user: CurrentUser) -> UserRow:
    if not user.is_admin:
        raise NotAllowed
    return user


Admin = Annotated[UserRow, Depends(administrator)]
