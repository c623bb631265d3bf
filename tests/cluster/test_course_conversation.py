"""Lessons from real documents: asked on a socket of the whole engine, answered by the offline tutor
with document, page and quote; and what a student has said, remembered in the next session."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.cluster.test_knowledge import DOCUMENTS, LIMIT_S, QUESTIONS, followed, send
from tests.running import Running, Talk

pytestmark = pytest.mark.parametrize("engine", ["default", "throughput"], indirect=True)

BASE, OTHER = "lesson/science", "lesson/glaciers"
STUDENT = 700_001
"""Nobody else's in the suite: what is remembered of the others must not matter here."""


@pytest.fixture
async def bases(engine: Running) -> AsyncIterator[None]:
    """One of real documents, and one of which the first knows nothing."""
    async with engine.http() as http:
        for name, made in DOCUMENTS.items():
            await send(http, BASE, name, made())
        await send(http, OTHER, "other.md", b"# Glaciers\n\nGlaciers shape valleys.")
        for name in DOCUMENTS:
            assert (await followed(http, BASE, name))["state"] == "ready"
        assert (await followed(http, OTHER, "other.md"))["state"] == "ready"
        yield
        for kb_id in (BASE, OTHER):
            await http.delete(f"/v1/knowledge/{kb_id.replace('/', '%2F')}")


async def asked(talk: Talk, question: str) -> tuple[str, list[dict[str, Any]]]:
    """The answer, and what it stands on."""
    await talk.send(type="text", content=question)
    events = await talk.until("text")
    items = [item for event in events if event["type"] == "sources" for item in event["items"]]
    return events[-1]["content"], items


async def prepared(talk: Talk, question: str) -> tuple[str, list[dict[str, Any]]]:
    """The same; a replica that has never opened the base may be late for the first question."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            answer, items = await asked(talk, question)
            if items:
                return answer, items


@pytest.fixture
def quotes(request: pytest.FixtureRequest) -> bool:
    """Whether the offline tutor answers; in throughput mode it is a stub with a fixed answer."""
    return bool(request.node.callspec.params["engine"] == "default")


@pytest.mark.usefixtures("bases")
async def test_each_real_document_answers_with_its_page(engine: Running, quotes: bool) -> None:
    async with engine.conversation(kb_id=BASE) as (_, talk):
        assert (await talk.ask(type="hello", features=["sources"]))["features"] == ["sources"]
        for question, (document, page) in QUESTIONS.items():
            answer, items = await prepared(talk, question)
            assert (items[0]["document"], items[0].get("page")) == (document, page), question
            quoted = " ".join(items[0]["quote"].split()) in " ".join(answer.split())
            assert quoted == quotes, answer
            assert {item["kb_id"] for item in items} == {BASE}


@pytest.mark.usefixtures("bases")
async def test_what_the_course_does_not_tell_and_another_base_are_not_answered(
    engine: Running, quotes: bool
) -> None:
    async with engine.conversation(kb_id=BASE) as (_, talk):
        await talk.ask(type="hello", features=["sources"])
        await prepared(talk, next(iter(QUESTIONS)))
        for question in ("Who won the football cup in 1990?", "What do glaciers shape?"):
            answer, items = await asked(talk, question)
            assert items == [] and "valleys" not in answer
    async with engine.conversation(kb_id=OTHER) as (_, talk):
        await talk.ask(type="hello", features=["sources"])
        answer, items = await prepared(talk, "What do glaciers shape?")
        assert items[0]["document"] == "other.md"
        assert ("valleys" in answer) == quotes


async def noted(http: httpx.AsyncClient, memory: str) -> list[dict[str, str]]:
    """The facts, once there are any; they are written some seconds after the session."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            kept = (await http.get(memory)).raise_for_status().json()
            if facts := [fact for each in kept for fact in each["facts"]]:
                return facts
            await asyncio.sleep(0.2)


async def test_what_a_student_says_of_themselves_is_there_after_the_session(
    engine: Running,
) -> None:
    memory = f"/v1/students/{STUDENT}/memory"
    async with engine.http() as http:
        async with engine.conversation(student_id=STUDENT) as (session, talk):
            await asked(talk, "My name is Lena.")
        await http.delete(f"/v1/sessions/{session.id}")

        assert await noted(http, memory) == [{"kind": "name", "text": "Lena"}]
        assert (await http.delete(memory)).status_code == 204
        assert (await http.get(memory)).json() == []
