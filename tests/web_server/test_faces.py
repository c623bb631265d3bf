"""Faces: whose they are, and their pictures."""

import asyncio
import json
from collections.abc import AsyncIterator

import cv2
import httpx
import numpy as np

from tests.running import Running
from tests.web_server.schools import People, Site
from web_server.app import opened
from web_server.tables import TutorRow


def photo() -> bytes:
    return bytes(cv2.imencode(".png", np.full((256, 256, 3), 200, np.uint8))[1])


async def upload(http: httpx.AsyncClient, name: str) -> httpx.Response:
    return await http.post("/api/admin/faces", params={"name": name}, content=photo())


async def test_a_face_from_its_upload_to_its_end(
    site: Site, people: People, gateway: Running
) -> None:
    async with site.as_(people.ada) as admin, site.as_(people.bo) as other:
        sent = await upload(admin, "Emma")
        assert sent.status_code == 202, sent.text
        assert (sent.json()["name"], sent.json()["state"]) == ("Emma", "waiting")

        async with admin.stream("GET", "/api/admin/faces/Emma/events") as events:
            assert events.headers["content-type"].startswith("text/event-stream")
            async with asyncio.timeout(60):
                told = [
                    json.loads(line.removeprefix("data: "))
                    async for line in events.aiter_lines()
                    if line.startswith("data: ")
                ]
        assert told[-1]["state"] == "failed"  # this gateway has no MuseTalk
        assert told[-1]["reason"]

        names = [face["name"] for face in (await admin.get("/api/admin/faces")).json()]
        assert names == ["mei", "anna", "david", "Emma"]
        theirs = [face["name"] for face in (await other.get("/api/admin/faces")).json()]
        assert theirs == ["mei", "anna", "david"]
        for taken in ("Emma", "emma"):
            assert (await upload(other, taken)).status_code == 409
        tutor = {"name": "T", "face": "Emma"}
        assert (await other.post("/api/admin/tutors", json=tutor)).status_code == 404

        assert (await admin.delete("/api/admin/faces/Emma")).status_code == 204
        assert (await admin.delete("/api/admin/faces/Emma")).status_code == 404
        async with gateway.http() as http:
            assert (await http.get("/v1/avatars/Emma")).status_code == 404
        freed = await upload(other, "Emma")
        assert freed.status_code == 202
        assert (await other.delete("/api/admin/faces/Emma")).status_code == 204


async def test_what_the_engine_refuses_is_nobodys(site: Site, people: People) -> None:
    async with site.as_(people.ada) as admin, site.as_(people.bo) as other:
        refused = await admin.post("/api/admin/faces?name=Text", content=b"no photo at all")
        assert refused.status_code == 422
        assert refused.json()["detail"]
        drawn = await upload(admin, "anna")
        assert drawn.status_code == 409
        assert (await upload(admin, "../x")).status_code == 422
        assert (await upload(other, "Text")).status_code == 202
        assert (await admin.delete("/api/admin/faces/anna")).status_code == 404
        assert (await other.delete("/api/admin/faces/Text")).status_code == 204


async def names(http: httpx.AsyncClient) -> list[str]:
    return [face["name"] for face in (await http.get("/api/admin/faces")).json()]


async def test_a_face_that_nobody_has_stays_everybodys(
    site: Site, people: People, gateway: Running
) -> None:
    """One that came to the engine by its own address."""
    async with gateway.http() as http:
        made = await http.post("/v1/avatars", params={"name": "Common"}, content=photo())
        assert made.status_code == 202
    address = "/api/admin/faces/Common"
    async with site.as_(people.ada) as admin, site.as_(people.bo) as other:

        async def slowly() -> AsyncIterator[bytes]:
            yield photo()
            for _ in range(10):
                assert "Common" in await names(other)
                assert (await admin.delete(address)).status_code == 404

        for name in ("Common", "common"):
            wish = {"name": name}
            claimed = await admin.post("/api/admin/faces", params=wish, content=slowly())
            assert (claimed.status_code, "already" in claimed.json()["detail"]) == (409, True)
        for one in (admin, other):
            assert "Common" in await names(one)
            assert (await one.delete(address)).status_code == 404
    async with gateway.http() as http:
        assert (await http.delete("/v1/avatars/Common")).status_code == 204


async def test_a_face_that_a_tutor_has_stays(site: Site, people: People, gateway: Running) -> None:
    async with site.as_(people.ada) as admin:
        assert (await upload(admin, "Worn")).status_code == 202
        # The engine takes only faces that are ready for a tutor; here it stands in the table alone.
        async with opened(site.settings) as school, school.database.writing() as rows:
            rows.add(TutorRow(tenant_id=people[people.ada], name="Wera", face="Worn"))
        kept = await admin.delete("/api/admin/faces/Worn")
        assert kept.status_code == 409
        assert "Wera" in kept.json()["detail"]
    async with gateway.http() as http:  # which the next database's tests share
        await http.delete("/v1/avatars/Worn")


async def test_drawn_faces_have_a_picture(site: Site, people: People) -> None:
    async with site.as_(people.ann) as student:
        picture = await student.get("/api/faces/mei.svg")
        assert picture.status_code == 200
        assert picture.headers["content-type"].startswith("image/svg+xml")
        assert "sandbox" in picture.headers["content-security-policy"]
        assert picture.text.startswith("<svg")
        for missing in ("mei.png", "nobody.webp", "..%2Fpage.svg", "page.svg"):
            assert (await student.get(f"/api/faces/{missing}")).status_code == 404
