"""Knowledge bases, in front of the engine's own routes and reader."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi import FastAPI

from serve_app.knowledge import Desk
from tests.documents_made import worksheet
from tests.engines.knowledge.test_ingest import quick, shop_at
from tests.serve_app.test_knowledge import api_over
from tests.web_server.schools import People, Site, move_in, open_site, served, settings_for

__all__ = ["quick"]  # a fixture: documents are looked for often


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Site, People]]:
    """A web server before an engine that has knowledge alone."""
    shop = shop_at(tmp_path / "knowledge")

    @asynccontextmanager
    async def working(_: FastAPI) -> AsyncIterator[None]:
        async with shop.working():
            yield

    outer = FastAPI(lifespan=working)
    outer.mount("/", api_over(Desk(shop.catalogue, shop.spool)))
    with served(outer) as engine:
        settings = settings_for(tmp_path / "web", engine, engine_api_key="key")
        people = asyncio.run(move_in(settings))
        with open_site(settings) as site:
            yield site, people


@pytest.mark.parametrize("name", ["sheet.docx", "第 1/课 50%.docx"])
async def test_a_base_and_its_documents(place: tuple[Site, People], name: str) -> None:
    site, people = place
    async with site.as_(people.ada) as admin, site.as_(people.bo) as other:
        made = await admin.post("/api/admin/knowledge", json={"name": "Physics 7"})
        assert made.status_code == 201, made.text
        base = made.json()
        assert base == {
            "kb_id": base["kb_id"],
            "name": "Physics 7",
            "documents": 0,
            "passages": 0,
            "embedder": None,
        }
        at = f"/api/admin/knowledge/{base['kb_id']}"
        sent = await admin.post(f"{at}/documents", params={"name": name}, content=worksheet())
        assert sent.status_code == 202, sent.text
        document = f"{at}/documents/{quote(name, safe='')}"
        async with admin.stream("GET", f"{document}/events") as events:
            async with asyncio.timeout(60):
                told = [
                    json.loads(line.removeprefix("data: "))
                    async for line in events.aiter_lines()
                    if line.startswith("data: ")
                ]
        assert (told[-1]["name"], told[-1]["state"]) == (name, "ready")
        (listed,) = (await admin.get(f"{at}/documents")).json()
        assert (listed["name"], listed["passages"] > 0) == (name, True)
        (counted,) = (await admin.get("/api/admin/knowledge")).json()
        assert (counted["documents"], counted["passages"]) == (1, listed["passages"])
        query = {"q": "How large is the resistivity of copper?"}
        (found, *_) = (await admin.get(f"{at}/search", params=query)).json()
        assert found["document"] == name
        assert (await other.get(f"{at}/search", params=query)).status_code == 404
        assert (await other.get("/api/admin/knowledge")).json() == []

        assert (await admin.delete(document)).status_code == 204
        assert (await admin.delete(document)).status_code == 404
        assert (await admin.get(f"{at}/documents")).json() == []
        assert (await admin.delete(at)).status_code == 204
        assert (await admin.get(f"{at}/documents")).status_code == 404
        assert (await admin.get("/api/admin/knowledge")).json() == []


async def test_another_tenants_base_cannot_be_named_by_a_trick(
    place: tuple[Site, People],
) -> None:
    site, people = place
    async with site.as_(people.ada) as admin, site.as_(people.bo) as other:
        kb_id = (await admin.post("/api/admin/knowledge", json={"name": "P"})).json()["kb_id"]
        ada = people[people.ada]
        for trick in (
            f"{ada}/{kb_id}",
            f"../{ada}/{kb_id}",
            f"..%2F{ada}%2F{kb_id}",
            f"%2F{kb_id}",
        ):
            asked = await other.get(f"/api/admin/knowledge/{quote(trick, safe='%')}/documents")
            assert asked.status_code == 404


async def test_the_engines_refusals_are_passed_on(place: tuple[Site, People]) -> None:
    site, people = place
    async with site.as_(people.ada) as admin:
        kb_id = (await admin.post("/api/admin/knowledge", json={"name": "P"})).json()["kb_id"]
        at = f"/api/admin/knowledge/{kb_id}/documents"
        empty = await admin.post(at, params={"name": "a.txt"}, content=b"")
        assert empty.status_code == 422
        assert empty.json()["detail"].startswith("The file is empty")
        assert (await admin.post(at, params={"name": ".."}, content=b"x")).status_code == 422
        unknown = await admin.get(f"{at}/none.txt/events")
        assert unknown.status_code == 404
        assert unknown.json()["detail"]
