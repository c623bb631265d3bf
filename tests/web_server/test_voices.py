"""Voices: whose they are, and how they sound."""

import base64
import io
import wave
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI, HTTPException

from tests.media import wav
from tests.running import Running, base64_of
from tests.web_server.schools import People, Site, open_site, served
from web_server.voices import LIMIT_BYTES

VOICES = "/api/admin/voices"


def wish(name: str, data: bytes | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "recording": base64_of(wav(4) if data is None else data), **more}


async def add(http: httpx.AsyncClient, name: str, data: bytes | None = None) -> httpx.Response:
    return await http.post(VOICES, json=wish(name, data))


async def names(http: httpx.AsyncClient) -> list[str]:
    return [voice["name"] for voice in (await http.get(VOICES)).json()]


async def test_a_voice_from_its_recording_to_its_end(
    site: Site, people: People, gateway: Running
) -> None:
    async with site.as_(people.ada) as admin, site.as_(people.bo) as other:
        added = await admin.post(VOICES, json=wish("Emma", language="en"))
        assert added.status_code == 201, added.text
        emma = {"name": "Emma", "engine": "coqui", "language": "en", "kind": "cloned", "tutors": []}
        assert added.json() == emma
        assert await names(admin) == ["tone", "Emma"]
        assert await names(other) == ["tone"]
        for taken in ("Emma", "emma"):
            assert (await add(other, taken)).status_code == 409
        assert (await add(admin, "EMMA")).status_code == 409

        tutor = {"name": "Tess", "face": "anna", "voice": {"name": "Emma"}}
        made = await admin.post("/api/admin/tutors", json=tutor)
        assert made.status_code == 201
        kept = await admin.delete(f"{VOICES}/Emma")
        assert (kept.status_code, "Tess" in kept.json()["detail"]) == (409, True)
        changed = {**tutor, "voice": {"name": "tone"}}
        address = f"/api/admin/tutors/{made.json()['id']}"
        assert (await admin.put(address, json=changed)).status_code == 200

        assert (await other.delete(f"{VOICES}/Emma")).status_code == 404
        assert (await admin.delete(f"{VOICES}/Emma")).status_code == 204
        assert (await admin.delete(f"{VOICES}/Emma")).status_code == 404
        async with gateway.http() as http:
            there = [voice["name"] for voice in (await http.get("/v1/voices")).json()]
        assert there == ["tone"]
        assert (await add(other, "Emma")).status_code == 201
        assert (await other.delete(f"{VOICES}/Emma")).status_code == 204


async def test_a_voice_of_another_tenant_is_neither_heard_nor_given(
    site: Site, people: People
) -> None:
    async with site.as_(people.ada) as admin, site.as_(people.bo) as other:
        assert (await add(admin, "Mine")).status_code == 201
        for name in ("Mine", "mine"):
            assert (await other.get(f"{VOICES}/{name}/sample")).status_code == 404
            tutor = {"name": "T", "face": "anna", "voice": {"name": name}}
            assert (await other.post("/api/admin/tutors", json=tutor)).status_code == 404
        theirs = {"name": "T", "face": "anna"}
        made = (await other.post("/api/admin/tutors", json=theirs)).json()
        changed = {**theirs, "voice": {"name": "Mine"}}
        refused = await other.put(f"/api/admin/tutors/{made['id']}", json=changed)
        assert refused.status_code == 404
        assert (await admin.delete(f"{VOICES}/Mine")).status_code == 204


async def test_a_voice_is_heard(site: Site, people: People) -> None:
    async with site.as_(people.ada) as admin:
        assert (await add(admin, "梅 老师")).status_code == 201
        for path in ("tone/sample?language=zh&rate=1.5", "sample", "梅 老师/sample"):
            heard = await admin.get(f"{VOICES}/{path}")
            assert (heard.status_code, heard.headers["content-type"]) == (200, "audio/wav")
            with wave.open(io.BytesIO(heard.content)) as sound:
                samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
            assert np.abs(samples).max() > 1_000
        assert (await admin.get(f"{VOICES}/nobody/sample")).status_code == 404
        wrong = await admin.get(f"{VOICES}/tone/sample?rate=9")
        assert (wrong.status_code, "rate" in wrong.json()["detail"]) == (422, True)
        assert (await admin.delete(f"{VOICES}/梅 老师")).status_code == 204


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (wish("Emma", wav(2)), 422, "shorter than 3 s"),
        (wish("Emma", b"no recording"), 422, "kind"),
        (wish("Emma", wav(31)), 413, "longer than 30 s"),
        (wish("../x"), 422, "name"),
        (wish("Emma", language="English"), 422, "language"),
        (wish("Emma", tutor_id=1), 422, "tutor_id"),
        ({"name": "Emma"}, 422, "recording"),
        ([], 422, "body"),
        (wish("tone"), 409, "already"),
        (wish("TONE"), 409, "already"),
    ],
)
async def test_what_is_refused_is_nobodys(
    site: Site, people: People, body: Any, status: int, told: str
) -> None:
    async with site.as_(people.ada) as admin, site.as_(people.bo) as other:
        refused = await admin.post(VOICES, json=body)
        assert (refused.status_code, told in refused.json()["detail"]) == (status, True), (
            refused.text
        )
        assert "tone" in await names(other)
        assert (await other.get(f"{VOICES}/tone/sample")).status_code == 200
        assert (await add(other, "Emma")).status_code == 201
        assert (await other.delete(f"{VOICES}/Emma")).status_code == 204


async def test_too_large_a_request_is_not_even_read(site: Site, people: People) -> None:
    async def endless() -> Any:
        for _ in range(LIMIT_BYTES // 2**20 + 2):
            yield b" " * 2**20

    async with site.as_(people.ada) as admin:
        for content in (b" " * (LIMIT_BYTES + 1), endless()):
            refused = await admin.post(VOICES, content=content)
            assert (refused.status_code, "9 MB" in refused.json()["detail"]) == (413, True)
        broken = await admin.post(VOICES, content=b'{"name": "E')
        assert (broken.status_code, "JSON" in broken.json()["detail"]) == (422, True)


async def test_what_was_sent_is_never_told_back(site: Site, people: People) -> None:
    async with site.as_(people.ada) as admin:
        secret = base64.b64encode(b"somebody's voice").decode()
        refused = await admin.post(VOICES, json={"name": 5, "recording": secret, "more": secret})
        assert refused.status_code == 422
        assert secret not in refused.text


async def test_a_voice_that_nobody_has_stays_everybodys(
    site: Site, people: People, gateway: Running
) -> None:
    """One that came to the engine by its own address."""
    async with gateway.http() as http:
        assert (await http.post("/v1/voices", json=wish("Common"))).status_code == 201
    async with site.as_(people.ada) as admin, site.as_(people.bo) as other:
        for name in ("Common", "common"):
            assert (await add(admin, name)).status_code == 409
        for one in (admin, other):
            assert "Common" in await names(one)
            assert (await one.delete(f"{VOICES}/Common")).status_code == 404
    async with gateway.http() as http:
        assert (await http.delete("/v1/voices/Common")).status_code == 204


async def test_nor_becomes_it_a_tenants_by_an_answer_that_got_lost(
    site: Site, people: People
) -> None:
    engine = FastAPI()

    @engine.get("/v1/voices")
    def voices() -> list[dict[str, Any]]:
        return [{"name": "Common", "engine": "coqui", "language": None, "kind": "cloned"}]

    @engine.post("/v1/voices")
    def lost() -> None:
        raise HTTPException(500)

    with served(engine) as url:
        settings = site.settings.model_copy(update={"engine_url": url})
        with open_site(settings) as broken:
            async with broken.as_(people.ada) as admin, broken.as_(people.bo) as other:
                assert (await add(admin, "common")).status_code == 409
                assert await names(other) == ["Common"]
                assert (await admin.delete(f"{VOICES}/Common")).status_code == 404


async def test_a_voice_that_may_be_there_stays_the_tenants(site: Site, people: People) -> None:
    """Rather than become everybody's, when the engine's answer got lost."""

    async def engine(scope: Any, receive: Any, send: Any) -> None:
        """Knows one voice, and breaks when it is given another one."""
        if scope["type"] == "lifespan":
            return
        status = 200 if scope["method"] == "GET" else 500
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"[]"})

    with served(engine) as url:
        settings = site.settings.model_copy(update={"engine_url": url})
        with open_site(settings) as broken:
            async with broken.as_(people.ada) as admin:
                assert (await add(admin, "Lost")).status_code == 503
    async with site.as_(people.ada) as admin, site.as_(people.bo) as other:
        assert (await add(other, "Lost")).status_code == 409
        assert (await add(admin, "Lost")).status_code == 201
        assert (await admin.delete(f"{VOICES}/Lost")).status_code == 204
