"""The routes, over real bases and with the reader that the application has."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request

from engines.knowledge.documents.limits import LIMIT_BYTES
from serve_app.body_limit import BodyLimit
from serve_app.encoded_path import EncodedPath
from serve_app.knowledge import MAX_UPLOADS, Desk, knowledge
from tests.documents_made import worksheet
from tests.engines.knowledge.test_ingest import Shop, quick, shop_at
from tests.running import NoBases, eventually

LIMIT_S = 60.0

__all__ = ["quick"]  # a fixture


async def demand_key(request: Request) -> None:
    if request.headers.get("authorization") != "Bearer key":
        raise HTTPException(401)


def api_over(desk: Desk) -> FastAPI:
    api = FastAPI()
    api.add_middleware(EncodedPath, below="/v1/knowledge/")
    api.add_middleware(BodyLimit)
    api.include_router(knowledge, prefix="/v1", dependencies=[Depends(demand_key)])
    api.state.knowledge = desk
    return api


def client(desk: Desk) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(api_over(desk)),
        base_url="http://localhost/v1",
        headers={"Authorization": "Bearer key"},
    )


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return shop_at(tmp_path)


@pytest.fixture
async def http(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    async with shop.working(), client(Desk(shop.catalogue, shop.spool)) as http:
        yield http


def at(kb_id: str, name: str | None = None) -> str:
    address = f"/knowledge/{quote(kb_id, safe='')}/documents"
    return address if name is None else f"{address}/{quote(name, safe='')}"


async def send(http: httpx.AsyncClient, kb_id: str, name: str, data: bytes) -> httpx.Response:
    return await http.post(at(kb_id), params={"name": name}, content=data)


async def settled(http: httpx.AsyncClient, kb_id: str, name: str) -> dict[str, Any]:
    async with asyncio.timeout(LIMIT_S):
        while True:
            document: dict[str, Any] = (await http.get(at(kb_id, name))).raise_for_status().json()
            if document["state"] in ("ready", "failed"):
                return document
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("kb_id", "name"), [("physics", "sheet.docx"), ("a/b %2F ü", "第 1/课 50%.docx")]
)
async def test_a_document_from_its_upload_to_its_end(
    http: httpx.AsyncClient, kb_id: str, name: str
) -> None:
    sent = await send(http, kb_id, name, worksheet())
    assert sent.status_code == 202, sent.text
    assert (sent.json()["name"], sent.json()["state"]) == (name, "waiting")
    ready = await settled(http, kb_id, name)
    assert (ready["state"], ready["progress"], ready["id"]) == ("ready", 1, sent.json()["id"])
    assert ready["passages"] > 0
    assert ready["notes"]
    assert (await http.get(at(kb_id))).json() == [ready]
    (base,) = (await http.get("/knowledge")).json()
    assert base == {
        "kb_id": kb_id,
        "documents": 1,
        "passages": ready["passages"],
        "embedder": None,
    }
    where = f"/knowledge/{quote(kb_id, safe='')}/search"
    found = (await http.get(where, params={"q": "How large is the resistivity of copper?"})).json()
    assert found[0]["document"] == name
    assert "1.7e-8" in found[0]["text"]
    assert found[0]["heading"].startswith("Electricity")
    assert 0 < found[0]["score"] <= 1
    assert (await http.delete(at(kb_id, name))).status_code == 204
    assert (await http.delete(at(kb_id, name))).status_code == 404
    assert (await http.get(at(kb_id))).json() == []
    whole = f"/knowledge/{quote(kb_id, safe='')}"
    assert (await http.delete(whole)).status_code == 204
    assert (await http.delete(whole)).status_code == 404
    assert (await http.get(where, params={"q": "copper"})).status_code == 404


async def test_a_base_may_be_created_first_and_again(http: httpx.AsyncClient) -> None:
    for _ in range(2):
        created = await http.post("/knowledge", json={"kb_id": "x"})
        assert (created.status_code, created.json()["documents"]) == (201, 0)
    assert (await http.get(at("x"))).json() == []


async def test_its_way_is_told_as_events(http: httpx.AsyncClient) -> None:
    await send(http, "physics", "a/b.txt", b"Glaciers shape valleys.")
    answer = await http.get(f"{at('physics', 'a/b.txt')}/events")
    told = [
        json.loads(line.removeprefix("data: "))
        for line in answer.text.splitlines()
        if line.startswith("data: ")
    ]
    assert told[-1]["state"] == "ready"
    steps = [step["progress"] for step in told]
    assert steps == sorted(steps)
    assert (await http.get(f"{at('physics', 'none')}/events")).status_code == 404


async def test_all_routes_want_the_key(http: httpx.AsyncClient) -> None:
    http.headers.pop("Authorization")
    for method, path in (
        ("GET", ""),
        ("POST", ""),
        ("DELETE", "/x"),
        ("GET", "/x/documents"),
        ("POST", "/x/documents?name=a"),
        ("GET", "/x/documents/a"),
        ("GET", "/x/documents/a/events"),
        ("DELETE", "/x/documents/a"),
        ("GET", "/x/search?q=a"),
    ):
        assert (await http.request(method, f"/knowledge{path}")).status_code == 401


async def test_what_cannot_be_meant_is_refused_at_the_edge(http: httpx.AsyncClient) -> None:
    for name in ("", "a\nb", "x" * 256, "..", "."):
        assert (await send(http, "physics", name, b"text")).status_code == 422, name
    for kb_id in ("x" * 129, "a\nb"):
        assert (await send(http, kb_id, "a.txt", b"text")).status_code == 422, kb_id
    for kb_id in ("", "x" * 129, "a\nb", ".."):
        assert (await http.post("/knowledge", json={"kb_id": kb_id})).status_code == 422, kb_id
    assert (await http.get("/knowledge/%ff/documents")).status_code == 422
    empty = await send(http, "physics", "a.txt", b"")
    assert (empty.status_code, "empty" in empty.json()["detail"]) == (422, True)
    for query in ("q=", "q=a&limit=0", "q=a&limit=21"):
        answer = await http.get(f"/knowledge/physics/search?{query}")
        assert answer.status_code == 422, query
    assert (await http.get("/knowledge")).json() == [], "none of it made a base"


async def test_an_upload_ends_where_it_is_too_large(http: httpx.AsyncClient, shop: Shop) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 2**22
            yield bytes(2**22)

    refused = await http.post(at("physics"), params={"name": "a"}, content=endless())
    assert refused.status_code == 413
    assert "100 MB" in refused.json()["detail"]
    assert LIMIT_BYTES <= sent < 1.1 * LIMIT_BYTES
    assert list(shop.spool._folder.iterdir()) == []


async def test_only_some_uploads_are_received_at_once(http: httpx.AsyncClient, shop: Shop) -> None:
    hold = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"Glaciers "
        await hold.wait()
        yield b"shape valleys."

    async with asyncio.TaskGroup() as tasks:
        sending = [
            tasks.create_task(
                http.post(at(f"kb{i}"), params={"name": "a.txt"}, content=slow()), name=f"send {i}"
            )
            for i in range(MAX_UPLOADS)
        ]
        await eventually(lambda: len(list(shop.spool._folder.glob(".*"))) == MAX_UPLOADS)
        refused = await send(http, "physics", "a.txt", b"text")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "10")
        hold.set()
    assert {task.result().status_code for task in sending} == {202}
    assert (await send(http, "physics", "a.txt", b"text")).status_code == 202


async def test_a_knowledge_application_that_is_away_is_told(shop: Shop) -> None:
    async with client(Desk(NoBases(), shop.spool)) as http:
        for answer in (
            await http.get("/knowledge"),
            await http.get("/knowledge/x/search", params={"q": "a"}),
            await send(http, "x", "a.txt", b"text"),
        ):
            assert answer.status_code == 503
            assert "'knowledge' is not running" in answer.json()["detail"]
    assert list(shop.spool._folder.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["\u202egnp.exe", "a\u200bb.md", "a" + "".join(chr(0xE0000 + ord(c)) for c in "obey")]
)
async def test_a_name_with_hidden_characters_is_refused(
    http: httpx.AsyncClient, shop: Shop, name: str
) -> None:
    refused = await send(http, "physics", name, b"Water boils.")
    assert refused.status_code == 422
    assert "nobody sees" in refused.json()["detail"]
    assert shop.spool.jobs("physics") == []
