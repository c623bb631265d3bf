"""Courses through the whole server: real documents, two bases apart, a replica that is killed."""

import asyncio
import json
import signal
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.cluster.test_graph import BACK_LIMIT_S, back_again, replicas
from tests.documents_made import slides, worksheet
from tests.pdfs_made import book
from tests.running import Running

pytestmark = pytest.mark.parametrize("engine", ["default", "throughput"], indirect=True)

LIMIT_S = 120.0
"""A child is started for each document, on a machine that holds two engines."""

DOCUMENTS = {"book.pdf": book, "unit 1/sheet.docx": worksheet, "slides.pptx": slides}

QUESTIONS: dict[str, tuple[str, int | None]] = {
    "Why does water boil at a lower temperature on a high mountain?": ("book.pdf", 1),
    "How large is the resistivity of copper?": ("unit 1/sheet.docx", None),
    "What share of the air is nitrogen?": ("slides.pptx", 2),
    "植物怎样利用光能？": ("slides.pptx", 4),
}


QUESTION = "Why does sweat cool the skin?"


def at(kb_id: str, name: str | None = None) -> str:
    address = f"/v1/knowledge/{quote(kb_id, safe='')}/documents"
    return address if name is None else f"{address}/{quote(name, safe='')}"


async def send(http: httpx.AsyncClient, kb_id: str, name: str, data: bytes) -> None:
    sent = await http.post(at(kb_id), params={"name": name}, content=data)
    assert sent.status_code == 202, sent.text


async def followed(http: httpx.AsyncClient, kb_id: str, name: str) -> dict[str, Any]:
    """The last that is told of a document on its way."""
    events = f"{at(kb_id, name)}/events"
    async with asyncio.timeout(LIMIT_S), http.stream("GET", events, timeout=LIMIT_S) as answer:
        lines = [line async for line in answer.aiter_lines() if line.startswith("data: ")]
    last: dict[str, Any] = json.loads(lines[-1].removeprefix("data: "))
    return last


async def search(http: httpx.AsyncClient, kb_id: str, question: str) -> list[dict[str, Any]]:
    where = f"/v1/knowledge/{quote(kb_id, safe='')}/search"
    answer = await http.get(where, params={"q": question})
    found: list[dict[str, Any]] = answer.raise_for_status().json()
    return found


async def test_documents_are_found_with_their_pages_and_bases_are_apart(engine: Running) -> None:
    async with engine.http() as http:
        for name, made in DOCUMENTS.items():
            await send(http, "science/1", name, made())
        await send(http, "science", "other.md", b"# Glaciers\n\nGlaciers shape valleys.")
        for name in DOCUMENTS:
            ready = await followed(http, "science/1", name)
            assert (ready["state"], ready["passages"] > 0) == ("ready", True), ready
        assert (await followed(http, "science", "other.md"))["state"] == "ready"
        for question, (document, page) in QUESTIONS.items():
            best = (await search(http, "science/1", question))[0]
            assert (best["document"], best["page"]) == (document, page), question
            assert all(
                each["document"] == "other.md" for each in await search(http, "science", question)
            )
        for found in await search(http, "science/1", "What do glaciers shape?"):
            assert found["document"] in DOCUMENTS
        bases = {base["kb_id"]: base for base in (await http.get("/v1/knowledge")).json()}
        assert (bases["science"]["documents"], bases["science/1"]["documents"]) == (1, 3)
        health = (await http.get("/health")).json()["engines"]["knowledge"]
        assert (health["engine"], health["state"]) == ("full text", "ready")
        for kb_id in ("science", "science/1"):
            gone = await http.delete(f"/v1/knowledge/{quote(kb_id, safe='')}")
            assert gone.status_code == 204


def long_book() -> bytes:
    """Takes some ten seconds to read."""
    return book(400)


async def begun(http: httpx.AsyncClient, kb_id: str, name: str) -> str:
    """Its state as soon as it is no longer waiting."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            state = str((await http.get(at(kb_id, name))).json()["state"])
            if state != "waiting":
                return state
            await asyncio.sleep(0.02)


async def watched(http: httpx.AsyncClient, kb_id: str, name: str) -> dict[str, Any]:
    """The document once it is ready; until then nothing of it may be seen."""
    async with asyncio.timeout(LIMIT_S + BACK_LIMIT_S):
        while True:
            found = await search(http, kb_id, QUESTION)
            document: dict[str, Any] = (await http.get(at(kb_id, name))).json()
            assert document["state"] != "failed", document
            if document["state"] == "ready":
                return document
            assert found == []
            assert (document["passages"], document["pages"]) == (0, 0)
            await asyncio.sleep(0.1)


async def test_a_killed_replica_leaves_nothing_half_done_and_the_next_one_does_it(
    engine: Running,
) -> None:
    async with engine.http() as http:
        await send(http, "killed", "small.md", b"# Glaciers\n\nGlaciers shape valleys.")
        assert (await followed(http, "killed", "small.md"))["state"] == "ready"
        await send(http, "killed", "long.pdf", long_book())
        assert await begun(http, "killed", "long.pdf") == "reading"
        victims = replicas("knowledge")
        assert victims
        for victim in victims:
            victim.send_signal(signal.SIGKILL)
        await back_again(engine, "knowledge", victims)
        assert (await watched(http, "killed", "long.pdf"))["pages"] > 100
        assert {each["document"] for each in await search(http, "killed", QUESTION)} == {"long.pdf"}
        listed = {each["name"]: each["state"] for each in (await http.get(at("killed"))).json()}
        assert listed == {"small.md": "ready", "long.pdf": "ready"}
        await http.delete("/v1/knowledge/killed")
