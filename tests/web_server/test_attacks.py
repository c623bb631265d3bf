"""What somebody sends who means harm; on SQLite and PostgreSQL where the database is asked."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request

from tests.running import Running
from tests.web_server.schools import (
    PASSWORD,
    People,
    Site,
    move_in,
    open_site,
    served,
    settings_for,
)
from web_server.app import opened
from web_server.demo import ADMIN, STUDENT
from web_server.settings import WebSettings
from web_server.tables import TutorRow

TOO_GREAT = 2**63
"""For the databases' integers."""

TUTOR = {"name": "T", "face": "anna"}
NUL = "a\0b"
KNOWLEDGE = "/api/admin/knowledge"


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", f"/api/admin/tutors/{TOO_GREAT}"),
        ("DELETE", f"/api/admin/tutors/{TOO_GREAT}"),
        ("GET", "/api/admin/tutors/-1"),
        ("DELETE", f"/api/admin/students/{TOO_GREAT}"),
        ("GET", f"/api/student/conversations?tutor_id={TOO_GREAT}"),
        ("GET", f"/api/student/memory?tutor_id={TOO_GREAT}"),
        ("GET", "/api/student/sessions/a%00b"),
        ("GET", "/api/student/conversations/a%00b/messages"),
        ("GET", "/api/student/conversations?before=a%00b"),
        ("DELETE", "/api/admin/sessions/a%00b"),
        ("DELETE", "/api/tutors/sessions/a%00b"),
        ("GET", "/api/faces/a%00b.webp"),
        ("DELETE", "/api/admin/faces/a%00b"),
        ("POST", "/api/admin/faces?name=a%00b"),
        ("POST", "/api/admin/faces?name=a%0D%0AX-Header:%20b"),
        ("POST", "/api/admin/faces?name=..%2F..%2Fv1%2Ftutors"),
        ("POST", "/api/admin/faces?name=http:%2F%2Fother.example"),
        ("DELETE", f"{KNOWLEDGE}/a%00b"),
        ("GET", f"{KNOWLEDGE}/%2E%2E/documents"),
        ("GET", "/assets/a%00b"),
        ("GET", "/a%00b"),
    ],
)
async def test_an_address_that_nothing_has_is_refused_with_a_sentence(
    site: Site, people: People, method: str, address: str
) -> None:
    async with site.as_(people.ada) as admin:
        refused = await admin.request(method, address)
    assert refused.status_code in (400, 404, 422)
    assert isinstance(refused.json()["detail"], str)


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("/api/auth/login", {"email": NUL, "password": PASSWORD}),
        ("/api/auth/login", {"email": "\ud800@x.example", "password": PASSWORD}),
        ("/api/auth/login", {"email": "a@x.example", "password": "\ud800"}),
        ("/api/admin/tutors", {**TUTOR, "description": NUL}),
        ("/api/admin/tutors", {**TUTOR, "prompt": NUL}),
        ("/api/admin/tutors", {**TUTOR, "kb_id": NUL}),
        ("/api/admin/tutors", {**TUTOR, "subject": "\ud800"}),
        ("/api/admin/tutors", {**TUTOR, "face": "../anna"}),
        (f"/api/tutors/{TOO_GREAT}/sessions", {"student_id": 1}),
        ("/api/student/sessions", {"tutor_id": TOO_GREAT}),
        ("/api/student/sessions", {"tutor_id": 1, "kb_id": NUL}),
        (KNOWLEDGE, {"name": NUL}),
    ],
)
async def test_texts_and_numbers_that_no_database_takes_are_wrong_fields(
    site: Site, people: People, address: str, body: dict[str, Any]
) -> None:
    headers = {"Content-Type": "application/json"}
    async with site.as_(people.ada) as admin:
        refused = await admin.post(address, content=json.dumps(body), headers=headers)
    assert refused.status_code == 422
    assert isinstance(refused.json()["detail"], str)


async def test_a_documents_name_leads_to_no_other_address_of_the_engine(
    site: Site, people: People
) -> None:
    """Whatever the engine is asked stays one part of an address, below the base."""
    asked, engine = list[str](), FastAPI()

    @engine.api_route("/{path:path}", methods=["POST", "DELETE"])
    async def take(request: Request) -> dict[str, Any]:
        asked.append(request.scope["raw_path"].decode())
        return {"kb_id": "1/a", "documents": 0, "passages": 0, "embedder": None}

    parts = ["..%2F..%2F..%2Ftutors%2F1", "a%2F..%2Fb", "tutors%3Fid%3D1%23", "%252E%252E", "%5C.."]
    with served(engine) as url, open_site(before(site, url)) as other:
        async with other.as_(people.ada) as admin:
            made = await admin.post(KNOWLEDGE, json={"name": "Physics"})
            base = made.raise_for_status().json()["kb_id"]
            asked.clear()
            for name in ("%2E%2E", "%2E", "a%0D%0Ab"):
                refused = await admin.delete(f"{KNOWLEDGE}/{base}/documents/{name}")
                assert refused.status_code in (404, 422), name
            assert asked == []
            for name in parts:
                await admin.delete(f"{KNOWLEDGE}/{base}/documents/{name}")
    above = f"/v1/knowledge/{people[people.ada]}%2F{base}/documents"
    assert asked == [f"{above}/{name}" for name in parts]


def before(site: Site, engine_url: str) -> WebSettings:
    """Of another server of the same people."""
    return site.settings.model_copy(update={"engine_url": engine_url})


async def test_the_demos_logins_are_for_this_machine_alone(
    tmp_path: Path, gateway: Running
) -> None:
    """Neither a page whose name leads here may use them, nor whoever a proxy lets in."""
    with open_site(settings_for(tmp_path, gateway.url, demo_accounts=True)) as site:
        async with site.http() as http:
            for demo in (ADMIN, STUDENT):
                body = {"email": demo.email.upper(), "password": demo.password}
                for foreign in (
                    {"Host": "evil.example:8000"},
                    {"Host": "127.0.0.1.evil.example"},
                    {"X-Forwarded-For": "192.0.2.7"},
                ):
                    refused = await http.post("/api/auth/login", json=body, headers=foreign)
                    assert refused.status_code == 403, foreign
                    assert "add-admin" in refused.json()["detail"]
                for near in ({"Host": "localhost:3000"}, {"Host": "[::1]:8000"}, {}):
                    taken = await http.post("/api/auth/login", json=body, headers=near)
                    assert taken.status_code == 200, near
        async with site.http(await site.token(ADMIN.email, ADMIN.password)) as admin:
            own = {"old": ADMIN.password, "new": PASSWORD}
            assert (await admin.post("/api/me/password", json=own)).status_code == 204
            body = {"email": ADMIN.email, "password": PASSWORD}
            public = {"Host": "tutor.example", "X-Forwarded-For": "192.0.2.7"}
            taken = await admin.post("/api/auth/login", json=body, headers=public)
            assert taken.status_code == 200


async def test_the_limit_of_logins_is_not_evaded_by_what_a_client_claims(
    tmp_path: Path, gateway: Running
) -> None:
    """A proxy of this machine adds the address that it sees to those that the client made up."""
    with open_site(settings_for(tmp_path, gateway.url)) as site:
        async with site.http() as http:
            statuses = []
            for number in range(8):
                claimed = {"X-Forwarded-For": f"10.0.0.{number}, 192.0.2.7"}
                body = {"email": "ada@school.example", "password": "guess"}
                refused = await http.post("/api/auth/login", json=body, headers=claimed)
                statuses.append(refused.status_code)
    assert statuses == [401] * 5 + [429] * 3


async def test_whose_voice_it_is_elsewhere_is_not_told(tmp_path: Path) -> None:
    engine = FastAPI()
    foreign, own = 2, 1

    @engine.get("/v1/voices")
    def voices() -> list[dict[str, Any]]:
        voice = {"name": "Anna", "engine": "kokoro", "language": "en", "kind": "cloned"}
        return [{**voice, "tutors": [own, foreign]}]

    with served(engine) as url:
        settings = settings_for(tmp_path, url)
        people = await move_in(settings)
        async with opened(settings) as school, school.database.writing() as rows:
            rows.add(TutorRow(id=own, tenant_id=people[people.ada], name="A", face="anna"))
            rows.add(TutorRow(id=foreign, tenant_id=people[people.bo], name="B", face="anna"))
        with open_site(settings) as site:
            async with site.as_(people.ada) as admin:
                (voice,) = (await admin.get("/api/admin/voices")).json()
    assert (voice["name"], voice["tutors"]) == ("Anna", [own])


async def test_a_picture_is_kept_for_one_login_alone(site: Site, people: People) -> None:
    async with site.as_(people.ann) as student:
        picture = await student.get("/api/faces/anna.svg")
    assert "authorization" in picture.headers["vary"].lower()


async def test_a_page_elsewhere_gets_no_answer_to_read(tmp_path: Path, gateway: Running) -> None:
    settings = settings_for(tmp_path, gateway.url, cors_origins="https://page.example")
    with open_site(settings) as site:
        async with site.http() as http:
            for origin, allowed in (
                ("https://page.example", "https://page.example"),
                ("https://page.example.evil.example", None),
                ("null", None),
            ):
                seen = await http.get("/api/student/gpu/health", headers={"Origin": origin})
                assert seen.headers.get("access-control-allow-origin") == allowed
                assert "access-control-allow-credentials" not in seen.headers
