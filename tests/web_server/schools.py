"""Web servers that really run, under uvicorn, and the people who use them."""

import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.running import START_LIMIT_S, TLS
from web_server.access import School
from web_server.app import create_app, opened
from web_server.settings import WebSettings
from web_server.students import add_account
from web_server.tables import UserRow

SECRET = "a secret key for tests, long enough"
PASSWORD = "correct horse"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""For accounts that tests make, and for servers in the tests' own process (`conftest.py`)."""


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """Its address. Runs in a thread of its own, on any free port."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="warning", ws="websockets-sansio")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_LIMIT_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("The server did not start; its log says why.")
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


@dataclass(frozen=True)
class Site:
    """A web server at an address."""

    url: str
    settings: WebSettings
    app: FastAPI

    def http(self, token: str = "") -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.url, timeout=60, headers=headers, verify=TLS)

    async def token(self, email: str, password: str = PASSWORD) -> str:
        async with self.http() as http:
            body = {"email": email, "password": password}
            answer = await http.post("/api/auth/login", json=body)
        return str(answer.raise_for_status().json()["access_token"])

    @contextlib.asynccontextmanager
    async def as_(self, email: str) -> AsyncIterator[httpx.AsyncClient]:
        async with self.http(await self.token(email)) as http:
            yield http


@dataclass
class People:
    """Two tenants: Ada's and Bo's, each with a student."""

    ids: dict[str, int] = field(default_factory=dict)

    ada = "ada@school.example"
    ann = "ann@school.example"
    bo = "bo@other.example"
    ben = "ben@other.example"

    def __getitem__(self, email: str) -> int:
        return self.ids[email]


def settings_for(home: Path, engine_url: str, **more: Any) -> WebSettings:
    given: dict[str, Any] = {
        "tutor_home": home,
        "engine_url": engine_url,
        "secret_key": SECRET,
        "demo_accounts": False,
        "frontend_dist": home / "dist",
    }
    return WebSettings(**{**given, **more})


async def move_in(settings: WebSettings) -> People:
    """Accounts for everybody."""
    people = People()
    async with opened(settings) as school:
        for admin, student in ((people.ada, people.ann), (people.bo, people.ben)):
            people.ids[admin] = await _account(school, admin, None)
            people.ids[student] = await _account(school, student, people.ids[admin])
    return people


async def _account(school: School, email: str, admin_id: int | None) -> int:
    row = UserRow(
        admin_id=admin_id,
        email=email,
        name=email.partition("@")[0].title(),
        password_hash=QUICK.hash(PASSWORD),
        created_at=datetime.now(UTC),
    )
    await add_account(school, row)
    return row.id


@contextlib.contextmanager
def open_site(settings: WebSettings) -> Iterator[Site]:
    app = create_app(settings)
    with served(app) as url:
        yield Site(url, settings, app)


async def new_database(server_url: str, name: str) -> str:
    """A fresh database of a PostgreSQL server."""
    plain = server_url.replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(plain, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            await connection.execute(text(f"CREATE DATABASE {name}"))
    finally:
        await engine.dispose()
    return f"{server_url.rpartition('/')[0]}/{name}"
