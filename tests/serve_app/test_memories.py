"""The routes of the memory, and the memory in a conversation with a running gateway."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import SecretStr

from engines.base import EngineState, Message
from engines.memory.base import Fact, Note, Remembered, Said
from engines.memory.forgetting import FORGOTTEN_CHINESE, FORGOTTEN_ENGLISH
from serve_app import memory as memory_module
from serve_app.connection import CLOSE_NOT_FOUND
from serve_app.memories import memories
from serve_app.memory_store import MemoryStore, Pair
from serve_app.settings import Settings
from serve_app.store import open_database
from tests.running import Running, eventually, plain, stub_engines

KNOWN = Remembered("Learnt about rain.", (Fact("name", "Anna"),), (Said(True, "Bye"),))
PUBLIC = {
    "summary": "Learnt about rain.",
    "facts": [{"kind": "name", "text": "Anna"}],
    "recent": [{"role": "user", "content": "Bye"}],
}


async def demand_key(request: Request) -> None:
    if request.headers.get("authorization") != "Bearer key":
        raise HTTPException(401)


@asynccontextmanager
async def client(home: Path) -> AsyncIterator[tuple[httpx.AsyncClient, MemoryStore]]:
    api = FastAPI()
    api.include_router(memories, prefix="/v1", dependencies=[Depends(demand_key)])
    async with open_database(Settings(tutor_home=home).database) as database:
        api.state.memories = store = MemoryStore(database, days=365)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(api),
            base_url="http://localhost/v1",
            headers={"Authorization": "Bearer key"},
        ) as http:
            yield http, store


async def remember(store: MemoryStore, student_id: int, tutor_id: int) -> None:
    lease = await store.lease(Pair(student_id, tutor_id))
    assert lease is not None
    assert await store.write(lease, KNOWN, {})


async def test_a_memory_is_shown_and_deleted(tmp_path: Path) -> None:
    async with client(tmp_path) as (http, store):
        for tutor_id in (2, 3):
            await remember(store, 123, tutor_id)
        await remember(store, 124, 2)
        shown = (await http.get("/students/123/memory")).json()
        assert [(one.pop("tutor_id"), bool(one.pop("updated_at"))) for one in shown] == [
            (2, True),
            (3, True),
        ]
        assert shown == [PUBLIC, PUBLIC]
        one = (await http.get("/students/123/memory", params={"tutor_id": 3})).json()
        assert [memory["tutor_id"] for memory in one] == [3]

        deleted = await http.delete("/students/123/memory", params={"tutor_id": 3})
        assert (deleted.status_code, deleted.content) == (204, b"")
        left = (await http.get("/students/123/memory")).json()
        assert [memory["tutor_id"] for memory in left] == [2]
        await http.delete("/students/123/memory")
        assert (await http.get("/students/123/memory")).json() == []
        assert len((await http.get("/students/124/memory")).json()) == 1


async def test_of_a_stranger_nothing_is_known(tmp_path: Path) -> None:
    async with client(tmp_path) as (http, _):
        assert (await http.get("/students/9/memory")).json() == []
        assert (await http.delete("/students/9/memory")).status_code == 204


@pytest.mark.parametrize("path", ["x", "-1", "9223372036854775808"])
async def test_ids_are_checked(path: str, tmp_path: Path) -> None:
    async with client(tmp_path) as (http, _):
        for method in ("GET", "DELETE"):
            assert (await http.request(method, f"/students/{path}/memory")).status_code == 422
            wrong = await http.request(method, "/students/1/memory", params={"tutor_id": path})
            assert wrong.status_code == 422


async def test_without_the_key_nothing_is_shown(tmp_path: Path) -> None:
    with plain(
        Settings(tutor_home=tmp_path, engine_api_key=SecretStr("a-secret-key-for-the-test")),
        stub_engines(),
    ) as engine:
        async with engine.http() as http:
            for prefix in ("/v1", "/mgmt/v1"):
                for method in ("GET", "DELETE"):
                    answer = await http.request(method, f"{prefix}/students/1/memory")
                    assert answer.status_code == 401
                answer = await http.delete(f"{prefix}/students/1")
                assert answer.status_code == 401


async def test_a_student_can_be_deleted_with_all_that_is_known(
    tmp_path: Path, listener: "Listener"
) -> None:
    async with gateway(tmp_path, listener) as engine, engine.http() as http:
        await say(engine, "My name is Anna")
        await learnt(engine)
        await say(engine, "My name is Ben", student_id=124)
        async with engine.conversation(student_id=123) as (session, talk):
            await talk.send(type="text", content="What is rain?")
            await talk.until("text")
            path = f"/v1/sessions/{session.id}/messages"
            assert len((await http.get(path)).json()) == 2
            assert (await http.delete("/v1/students/123")).status_code == 204
            await talk.socket.wait_closed()
            assert talk.socket.close_code == CLOSE_NOT_FOUND
            assert (await http.get(path)).status_code == 404
        assert known(engine) == []
        assert (await http.get("/v1/sessions", params={"student_id": 123})).json() == []
        await eventually(lambda: httpx.get(f"{engine.url}/v1/students/124/memory").json())


@dataclass
class Listener:
    """A model that keeps what it is told."""

    notes: list[tuple[Note, ...]] = field(default_factory=list)
    conversations: list[list[str]] = field(default_factory=list)

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        self.notes.append(messages[0].notes)
        self.conversations.append([message.content for message in messages[1:]])
        yield "Good."


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    monkeypatch.setattr(memory_module, "LOOK_INTERVAL_S", 0.02)
    return Listener()


async def no_models() -> dict[str, EngineState]:
    return {"llm": EngineState("offline", "degraded")}


@asynccontextmanager
async def gateway(home: Path, listener: Listener, **changed: Any) -> AsyncIterator[Running]:
    engines = stub_engines(think=lambda tutor: listener, states=no_models)
    with plain(Settings(tutor_home=home, **changed), engines) as running:
        yield running


async def say(engine: Running, *words: str, student_id: int = 123) -> list[str]:
    """A lesson, to its end; the tutor's words."""
    said = []
    async with engine.conversation(student_id=student_id) as (_, talk):
        for question in words:
            answer = await talk.ask(type="text", content=question)
            while answer["type"] != "text":
                answer = await talk.receive()
            said.append(answer["content"])
    return said


def known(engine: Running) -> Any:
    return httpx.get(f"{engine.url}/v1/students/123/memory").json()


async def learnt(engine: Running) -> None:
    """Until something is remembered."""
    await eventually(lambda: known(engine))


async def test_the_next_session_begins_with_what_is_known(
    tmp_path: Path, listener: Listener
) -> None:
    async with gateway(tmp_path, listener) as engine:
        await say(engine, "My name is Anna")
        assert listener.notes[-1] == ()
        await learnt(engine)
        await say(engine, "What is rain?", "And snow?")
        for notes in listener.notes[-2:]:
            assert notes[0] == Note("name", "Anna")
        await say(engine, "What is rain?", student_id=124)
        assert listener.notes[-1] == ()


async def test_a_student_may_ask_to_be_forgotten(tmp_path: Path, listener: Listener) -> None:
    async with gateway(tmp_path, listener) as engine:
        await say(engine, "My name is Anna")
        await learnt(engine)
        told = len(listener.notes)
        answers = await say(
            engine, "Forget what you know about me", "请忘记我", "What is rain?", student_id=123
        )
        assert answers == [FORGOTTEN_ENGLISH, FORGOTTEN_CHINESE, "Good."]
        assert len(listener.notes) == told + 1  # the model had nothing to do with it
        assert listener.notes[-1] == ()
        assert listener.conversations[-1] == ["What is rain?"]
        shown = known(engine)
        assert "Anna" not in str(shown)


async def test_switched_off_nobody_is_reminded(tmp_path: Path, listener: Listener) -> None:
    async with gateway(tmp_path, listener) as engine:
        await say(engine, "My name is Anna")
        await learnt(engine)
    async with gateway(tmp_path, listener, memory=False) as engine:
        assert known(engine)
        await say(engine, "What is my name?")
        assert listener.notes[-1] == ()
