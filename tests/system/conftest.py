"""Everything started by `tutor up` as a person types it: engine, web server and page."""

import asyncio
import contextlib
import io
import json
import wave
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect

from tests.cli.test_up_cluster import User, fine
from tests.running import ANSWER_LIMIT_S, Event, Talk
from web_server.demo import ADMIN, STUDENT, Account

BACK_LIMIT_S = 120.0
"""How long something that was killed may take to be back on a loaded machine."""

LOOK_INTERVAL_S = 0.5


@dataclass(frozen=True)
class Lesson:
    """A session with a tutor, on the web server's proxy."""

    session_id: str
    talk: Talk

    async def ask(self, question: str) -> Event:
        """The answer, or the error that came in its place."""
        await self.talk.send(type="text", content=question, engine_session_id=self.session_id)
        return (await self.talk.until("text", "error"))[-1]

    async def ask_until_answered(self, question: str) -> Event:
        """Again and again, as the sentence says that comes while the engine is away."""
        async with asyncio.timeout(BACK_LIMIT_S):
            # The engine is in another process, which tells nobody when it is back.
            while (answer := await self.ask(question))["type"] != "text":  # noqa: ASYNC110
                await asyncio.sleep(LOOK_INTERVAL_S)
        return answer


class House:
    """What runs, and its demo's people."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.url = f"http://127.0.0.1:{user.web_port}"

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.user.types("status", "--json").stdout)
        return found

    def http(self, token: str = "") -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=ANSWER_LIMIT_S)

    @contextlib.asynccontextmanager
    async def logged_in(self, account: Account) -> AsyncIterator[tuple[httpx.AsyncClient, Any]]:
        """With what the login was answered."""
        async with self.http() as http:
            body = {"email": account.email, "password": account.password}
            login = (await http.post("/api/auth/login", json=body)).raise_for_status().json()
        async with self.http(login["access_token"]) as http:
            yield http, login

    @contextlib.asynccontextmanager
    async def lesson(self, tutor_id: int) -> AsyncIterator[Lesson]:
        async with self.logged_in(STUDENT) as (http, login):
            begun = await http.post("/api/student/sessions", json={"tutor_id": tutor_id})
            session_id = begun.raise_for_status().json()["session_id"]
            path = f"/api/ws/proxy/user/{login['user']['id']}?token={login['access_token']}"
            async with connect(self.url.replace("http", "ws", 1) + path, max_size=None) as socket:
                yield Lesson(session_id, Talk(socket))
            await http.delete(f"/api/student/sessions/{session_id}")

    async def course_is_read(self) -> None:
        """Wait until the tutors know the sample course."""
        async with self.logged_in(ADMIN) as (http, _), asyncio.timeout(BACK_LIMIT_S):
            while True:
                listed = await http.get("/api/admin/knowledge/weather/documents")
                states = [one["state"] for one in listed.json()] if listed.is_success else []
                if states and set(states) == {"ready"}:
                    return
                await asyncio.sleep(LOOK_INTERVAL_S)

    async def is_back(self) -> None:
        """Wait until the web server answers."""
        async with self.http() as http, asyncio.timeout(BACK_LIMIT_S):
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get("/health")).is_success:
                        return
                await asyncio.sleep(LOOK_INTERVAL_S)

    def processes(self) -> list[psutil.Process]:
        """Of the engine, of the web server, and what keeps it."""
        record, web = self.user.files.running(), self.status()["web"]
        assert record is not None
        keeper = psutil.Process(web["keeper_pid"])
        return [*record.processes(), keeper, *keeper.children(recursive=True)]


def seconds_of(voice: bytes) -> float:
    """How long a WAV file is; nothing but silence counts as nothing."""
    with wave.open(io.BytesIO(voice)) as file:
        frames = file.readframes(file.getnframes())
        return file.getnframes() / file.getframerate() if any(frames) else 0.0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    user = User(tmp_path_factory.mktemp("house"))
    try:
        said = fine(user.types("up", "--no-open")).splitlines()
        assert said[-1] == f"Open http://127.0.0.1:{user.web_port}"
        yield House(user)
    finally:
        user.types("down")
