"""The routes of sessions as existing clients call them."""

import json
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from foundation.database import Transactions
from serve_app.settings import Settings
from tests.running import Running, free_port, plain, stub_engines
from tests.web_server.schools import People, Site, move_in, open_site, served, settings_for
from web_server.app import opened
from web_server.sessions import Sessions
from web_server.tables import TutorRow

TUTOR = {"name": "Tess", "face": "anna", "published": True}


async def new_tutor(admin: httpx.AsyncClient, **changed: object) -> int:
    made = await admin.post("/api/admin/tutors", json={**TUTOR, **changed})
    assert made.status_code == 201, made.text
    return int(made.json()["id"])


async def test_a_session_from_its_start_to_its_end(
    site: Site, people: People, gateway: Running
) -> None:
    async with site.as_(people.ada) as admin, site.as_(people.ann) as student:
        tutor_id = await new_tutor(admin)
        wish = {"tutor_id": tutor_id, "kb_id": "optional"}
        started = await student.post("/api/student/sessions", json=wish)
        assert started.status_code == 200
        body = started.json()
        assert set(body) == {"session_id", "engine_url", "engine_token", "status"}
        assert body["status"] == "active"
        assert body["engine_url"].endswith(f"/ws/ws/{body['session_id']}")
        async with gateway.talk(f"{body['engine_url']}?token={body['engine_token']}") as talk:
            assert (await talk.ask(type="text", content="Hello"))["type"] == "text"

        address = f"/api/student/sessions/{body['session_id']}"
        told = (await student.get(address)).raise_for_status().json()
        assert (told["tutor_id"], told["student_id"]) == (tutor_id, people[people.ann])
        assert (told["kb_id"], told["status"]) == ("optional", "active")
        async with gateway.http() as http:
            there = (await http.get(f"/v1/sessions/{body['session_id']}")).json()
        assert there["kb_id"] == f"{people[people.ada]}/optional"

        ended = await student.delete(address)
        assert (ended.status_code, ended.json()) == (200, {"message": "Session ended successfully"})
        assert (await student.get(address)).status_code == 404
        assert (await student.delete(address)).status_code == 404


async def test_an_administrator_starts_and_ends_a_session_of_a_student(
    site: Site, people: People
) -> None:
    async with site.as_(people.ada) as admin, site.as_(people.bo) as other:
        tutor_id = await new_tutor(admin)
        address = f"/api/tutors/{tutor_id}/sessions"
        theirs = await other.post(address, json={"student_id": people[people.ben]})
        assert (theirs.status_code, theirs.json()) == (404, {"detail": "Tutor not found"})
        foreign = await admin.post(address, json={"student_id": people[people.ben]})
        assert (foreign.status_code, foreign.json()) == (404, {"detail": "Student not found"})
        started = await admin.post(address, json={"student_id": people[people.ann]})
        assert started.status_code == 200
        session = f"/api/tutors/sessions/{started.json()['session_id']}"
        assert (await other.delete(session)).status_code == 404
        ended = await admin.delete(session)
        assert (ended.status_code, ended.json()) == (200, {"status": "deleted"})


async def test_an_unpublished_tutor_is_the_administrators_alone(site: Site, people: People) -> None:
    async with site.as_(people.ada) as admin, site.as_(people.ann) as student:
        wish = {"tutor_id": await new_tutor(admin, published=False)}
        assert (await student.post("/api/student/sessions", json=wish)).status_code == 404
        started = await admin.post("/api/student/sessions", json=wish)
        assert started.status_code == 200


async def test_what_the_engine_has_ended_has_ended_here(
    site: Site, people: People, gateway: Running
) -> None:
    async with site.as_(people.ada) as admin:
        wish = {"tutor_id": await new_tutor(admin)}
        session_id = (await admin.post("/api/student/sessions", json=wish)).json()["session_id"]
        async with gateway.http() as http:
            assert (await http.delete(f"/v1/sessions/{session_id}")).status_code == 204
        address = f"/api/student/sessions/{session_id}"
        assert (await admin.get(address)).status_code == 404
        assert (await admin.delete(address)).status_code == 404
        assert (await admin.get(f"/api/student/sessions/{uuid4()}")).status_code == 404


async def test_health_needs_no_login(site: Site) -> None:
    async with site.http() as http:
        seen = (await http.get("/api/student/gpu/health")).json()
        assert seen["enabled"] is True
        assert (seen["gpu_server"]["status"], seen["gpu_server"]["service"]) == (
            "healthy",
            "GPU Server",
        )
        assert (await http.get("/health")).json() == {"status": "ok"}


async def test_the_engines_token_outlives_a_restart_encrypted_and_no_longer_than_its_session(
    site: Site, people: People
) -> None:
    async with site.as_(people.bo) as admin:
        wish = {"tutor_id": await new_tutor(admin)}
        async with site.as_(people.ben) as student:
            started = (await student.post("/api/student/sessions", json=wish)).json()
        token = started["engine_token"]
        async with opened(site.settings) as school:  # as a new process does
            sessions = Sessions.of(school)
            assert token in await sessions.live_tokens(people[people.ben])
            assert token not in json.dumps(await stored(school.database), default=str)
            await admin.delete(f"/api/tutors/sessions/{started['session_id']}")
            assert token not in await sessions.live_tokens(people[people.ben])
            (row,) = [
                row
                for row in await stored(school.database)
                if row["engine_session_id"] == started["session_id"]
            ]
            assert (row["engine_token"], row["status"]) == (None, "ended")


async def stored(database: Transactions) -> list[dict[str, object]]:
    async with database.reading() as rows:
        return [
            dict(row) for row in (await rows.execute(text("SELECT * FROM web_sessions"))).mappings()
        ]


async def test_an_account_that_is_closed_while_a_session_begins_gets_none(
    site: Site, people: People
) -> None:
    engine, begun, ended = FastAPI(), list[str](), list[str]()

    @engine.post("/v1/sessions")
    async def begin() -> dict[str, str]:
        begun.append(str(uuid4()))
        await change(active=False)
        url = f"ws://127.0.0.1:1/ws/ws/{begun[-1]}"
        return {"session_id": begun[-1], "engine_url": url, "engine_token": "t", "status": "active"}

    @engine.delete("/v1/sessions/{session_id}", status_code=204)
    async def end(session_id: str) -> None:
        ended.append(session_id)

    async def change(active: bool) -> None:
        async with site.as_(people.bo) as admin:
            address = f"/api/admin/students/{people[people.ben]}"
            (await admin.patch(address, json={"active": active})).raise_for_status()

    async with opened(site.settings) as school:
        async with school.database.writing() as rows:
            tutor = TutorRow(tenant_id=people[people.bo], name="B", face="anna", published=True)
            rows.add(tutor)
        with served(engine) as url:
            settings = site.settings.model_copy(update={"engine_url": url})
            with open_site(settings) as other:
                async with other.as_(people.ben) as student:
                    wish = {"tutor_id": tutor.id}
                    refused = await student.post("/api/student/sessions", json=wish)
        assert refused.status_code == 404, refused.text
        assert begun == ended
        assert len(ended) == 1
        assert begun[0] not in [row["engine_session_id"] for row in await stored(school.database)]
    await change(active=True)


@pytest.mark.parametrize("enabled", [True, False])
async def test_without_an_engine_sessions_are_refused_with_a_sentence(
    tmp_path: Path, gateway: Running, enabled: bool
) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    people = await move_in(settings_for(tmp_path, gateway.url))
    with open_site(settings_for(tmp_path, gateway.url)) as site:
        async with site.as_(people.ada) as admin:
            wish = {"tutor_id": await new_tutor(admin)}
    broken = settings_for(tmp_path, away, engine_enabled=enabled)
    with open_site(broken) as site:
        async with site.as_(people.ada) as admin:
            refused = await admin.post("/api/student/sessions", json=wish)
            assert refused.status_code == 503
            assert refused.json()["detail"].startswith("The tutor engine")
            assert refused.headers["retry-after"]
            seen = (await admin.get("/api/student/gpu/health")).json()
            assert (seen["gpu_server"]["status"], seen["enabled"]) == ("unhealthy", enabled)
            assert seen["gpu_server"]["error"]


async def test_the_engines_refusal_is_passed_on(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    small = Settings(tutor_home=tmp_path_factory.mktemp("small"), max_sessions=1)
    with plain(small, stub_engines()) as engine:
        settings = settings_for(tmp_path, engine.url)
        people = await move_in(settings)
        with open_site(settings) as site:
            async with site.as_(people.ada) as admin:
                wish = {"tutor_id": await new_tutor(admin)}
                assert (await admin.post("/api/student/sessions", json=wish)).status_code == 200
                full = await admin.post("/api/student/sessions", json=wish)
                assert full.status_code == 503
                assert full.headers["retry-after"] == "10"
                assert full.json()["detail"]
