"""Nobody gets in where they may not: every route of the application, tried by everybody."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx
import jwt
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from tests.running import Running
from tests.web_server.schools import (
    SECRET,
    People,
    Site,
    move_in,
    open_site,
    settings_for,
)
from web_server.app import opened
from web_server.tables import FaceRow, KnowledgeRow, UserRow, VoiceRow
from web_server.tokens import ISSUER

Who = Literal["all", "user", "admin"]


@dataclass(frozen=True)
class Row:
    """A route: for whom it is, and how it is called about something of Ada's or Ann's."""

    who: Who
    address: str = ""
    body: dict[str, Any] | None = None
    owned: bool = False
    """It is about one thing that another tenant must not find."""


TUTOR = {"name": "Tess", "face": "anna", "published": True}
SEARCH = "/api/admin/knowledge/{kb}/search?q=water"
DOCUMENTS = "/api/admin/knowledge/{kb}/documents"

ROWS: dict[tuple[str, str], Row] = {
    ("GET", "/health"): Row("all"),
    ("POST", "/api/auth/login"): Row("all"),
    ("GET", "/api/student/gpu/health"): Row("all"),
    ("GET", "/{path:path}"): Row("all"),
    ("HEAD", "/{path:path}"): Row("all"),
    ("POST", "/api/auth/refresh"): Row("user"),
    ("GET", "/api/me"): Row("user"),
    ("PATCH", "/api/me"): Row("user", body={"language": "zh"}),
    ("POST", "/api/me/password"): Row("user", body={"old": "", "new": "another one"}),
    ("POST", "/api/student/sessions"): Row("user", body={"tutor_id": "{tutor}"}, owned=True),
    ("GET", "/api/student/sessions/{session_id}"): Row(
        "user", "/api/student/sessions/{session}", owned=True
    ),
    ("DELETE", "/api/student/sessions/{session_id}"): Row(
        "user", "/api/student/sessions/{session}", owned=True
    ),
    ("GET", "/api/student/tutors"): Row("user"),
    ("GET", "/api/student/conversations"): Row("user"),
    ("GET", "/api/student/conversations/{session_id}/messages"): Row(
        "user", "/api/student/conversations/{session}/messages", owned=True
    ),
    ("GET", "/api/student/memory"): Row("user"),
    ("DELETE", "/api/student/memory"): Row("user"),
    ("GET", "/api/faces/{name}.{kind}"): Row("user", "/api/faces/Emma.webp", owned=True),
    ("POST", "/api/tutors/{tutor_id}/sessions"): Row(
        "admin", "/api/tutors/{tutor}/sessions", {"student_id": "{student}"}, owned=True
    ),
    ("DELETE", "/api/tutors/sessions/{session_id}"): Row(
        "admin", "/api/tutors/sessions/{session}", owned=True
    ),
    ("GET", "/api/admin/tutors"): Row("admin"),
    ("POST", "/api/admin/tutors"): Row(
        "admin", body={**TUTOR, "face": "Emma", "kb_id": "{kb}"}, owned=True
    ),
    ("GET", "/api/admin/tutors/{tutor_id}"): Row("admin", "/api/admin/tutors/{tutor}", owned=True),
    ("PUT", "/api/admin/tutors/{tutor_id}"): Row(
        "admin", "/api/admin/tutors/{tutor}", TUTOR, owned=True
    ),
    ("DELETE", "/api/admin/tutors/{tutor_id}"): Row(
        "admin", "/api/admin/tutors/{tutor}", owned=True
    ),
    ("GET", "/api/admin/students"): Row("admin"),
    ("POST", "/api/admin/students"): Row(
        "admin", body={"email": "new@other.example", "name": "New", "password": "long enough"}
    ),
    ("PATCH", "/api/admin/students/{student_id}"): Row(
        "admin", "/api/admin/students/{student}", {"active": False}, owned=True
    ),
    ("DELETE", "/api/admin/students/{student_id}"): Row(
        "admin", "/api/admin/students/{student}", owned=True
    ),
    ("GET", "/api/admin/faces"): Row("admin"),
    ("POST", "/api/admin/faces"): Row("admin", "/api/admin/faces?name=Bob"),
    ("GET", "/api/admin/faces/{name}/events"): Row(
        "admin", "/api/admin/faces/Emma/events", owned=True
    ),
    ("DELETE", "/api/admin/faces/{name}"): Row("admin", "/api/admin/faces/Emma", owned=True),
    ("GET", "/api/admin/knowledge"): Row("admin"),
    ("POST", "/api/admin/knowledge"): Row("admin", body={"name": "Physics"}),
    ("DELETE", "/api/admin/knowledge/{kb_id}"): Row(
        "admin", "/api/admin/knowledge/{kb}", owned=True
    ),
    ("GET", "/api/admin/knowledge/{kb_id}/documents"): Row("admin", DOCUMENTS, owned=True),
    ("POST", "/api/admin/knowledge/{kb_id}/documents"): Row(
        "admin", f"{DOCUMENTS}?name=a.txt", owned=True
    ),
    ("GET", "/api/admin/knowledge/{kb_id}/documents/{name:path}/events"): Row(
        "admin", f"{DOCUMENTS}/a.txt/events", owned=True
    ),
    ("DELETE", "/api/admin/knowledge/{kb_id}/documents/{name:path}"): Row(
        "admin", f"{DOCUMENTS}/a.txt", owned=True
    ),
    ("GET", "/api/admin/knowledge/{kb_id}/search"): Row("admin", SEARCH, owned=True),
    ("GET", "/api/admin/engine"): Row("admin"),
    ("GET", "/api/admin/voices"): Row("admin"),
    ("POST", "/api/admin/voices"): Row("admin", body={"name": "Rex", "recording": ""}),
    ("DELETE", "/api/admin/voices/{name}"): Row("admin", "/api/admin/voices/Vera", owned=True),
    ("GET", "/api/admin/voices/{name}/sample"): Row(
        "admin", "/api/admin/voices/Vera/sample", owned=True
    ),
    ("GET", "/api/admin/voices/sample"): Row("admin"),
    ("GET", "/api/admin/models"): Row("admin"),
    ("GET", "/api/admin/sessions"): Row("admin"),
    ("DELETE", "/api/admin/sessions/{session_id}"): Row(
        "admin", "/api/admin/sessions/{session}", owned=True
    ),
}

GUARDED = [key for key, row in ROWS.items() if row.who != "all"]
OF_ADMINS = [key for key, row in ROWS.items() if row.who == "admin"]
OWNED = [key for key, row in ROWS.items() if row.owned]
LISTS = [key for key in GUARDED if key[0] == "GET" and not ROWS[key].owned and key[1] != "/api/me"]

Key = tuple[str, str]


@dataclass(frozen=True)
class Scene:
    site: Site
    people: People
    things: dict[str, Any]
    """Of Ada and Ann: tutor, session, kb, student."""

    async def call(self, key: Key, token: str) -> httpx.Response:
        row = ROWS[key]
        address = (row.address or key[1]).format(**self.things)
        async with self.site.http(token) as http:
            return await http.request(key[0], address, json=self._body(row))

    def _body(self, row: Row) -> dict[str, Any] | None:
        if row.body is None:
            return None
        return {
            name: value.format(**self.things) if isinstance(value, str) else value
            for name, value in row.body.items()
        }


@pytest.fixture(scope="module")
def scene(gateway: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    settings = settings_for(tmp_path_factory.mktemp("matrix"), gateway.url)
    people = asyncio.run(move_in(settings))
    with open_site(settings) as site:
        yield Scene(site, people, asyncio.run(_things(site, people)))


async def _things(site: Site, people: People) -> dict[str, Any]:
    ada, now = people[people.ada], datetime.now(UTC)
    async with opened(site.settings) as school, school.database.writing() as rows:
        rows.add(KnowledgeRow(tenant_id=ada, kb_id="adas-base", name="Adas base", created_at=now))
        rows.add(FaceRow(folded="emma", name="Emma", tenant_id=ada, created_at=now))
        rows.add(VoiceRow(folded="vera", name="Vera", tenant_id=ada, created_at=now))
        closed = UserRow(email="closed@x", name="C", password_hash="", active=False, created_at=now)
        rows.add(closed)
    async with site.as_(people.ada) as admin, site.as_(people.ann) as student:
        tutor_id = (await admin.post("/api/admin/tutors", json=TUTOR)).json()["id"]
        started = await student.post("/api/student/sessions", json={"tutor_id": tutor_id})
    return {
        "tutor": tutor_id,
        "session": started.json()["session_id"],
        "kb": "adas-base",
        "student": people[people.ann],
        "closed": closed.id,
    }


def routes_of(app: FastAPI) -> set[Key]:
    return {
        (method, route.path)
        for route in _flat(app.routes)
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }


def _flat(routes: Any) -> Iterator[Any]:
    """FastAPI keeps the routers that are included as one route each."""
    for route in routes:
        inner = getattr(getattr(route, "original_router", None), "routes", None)
        if inner is None:
            yield route
        else:
            yield from _flat(inner)


def test_every_route_has_a_row(scene: Scene) -> None:
    assert routes_of(scene.site.app) == set(ROWS)


def forged(user_id: int, key: str | None, **changed: Any) -> str:
    """A token as this server makes them, but for what is changed. No key: unsigned."""
    now = datetime.now(UTC)
    claims = {
        "iss": ISSUER,
        "sub": str(user_id),
        "ver": 1,
        "jti": "0" * 32,
        "auth_time": int(now.timestamp()),
        "iat": now,
        "exp": now + timedelta(minutes=5),
        **changed,
    }
    if key is None:
        return jwt.encode(claims, "", algorithm="none")
    return jwt.encode(claims, key, algorithm="HS256")


def bad_tokens(user_id: int) -> dict[str, str]:
    past = datetime.now(UTC) - timedelta(minutes=1)
    good = forged(user_id, SECRET)
    return {
        "none": "",
        "garbage": "a.b.c",
        "expired": forged(user_id, SECRET, exp=past),
        "another key": forged(user_id, f"{SECRET}!"),
        "unsigned": forged(user_id, None),
        "cut off": good[:-1],
        "another issuer": forged(user_id, SECRET, iss="somebody"),
        "an older version": forged(user_id, SECRET, ver=0),
        "no account": forged(10**9, SECRET),
        "no number": forged(user_id, SECRET, sub="1; DROP TABLE web_users"),
    }


async def test_a_forged_token_would_be_good_with_the_right_key(scene: Scene) -> None:
    """Else the others would be refused for no reason."""
    token = forged(scene.people[scene.people.ada], SECRET)
    assert (await scene.call(("GET", "/api/admin/tutors"), token)).status_code == 200


@pytest.mark.parametrize("key", GUARDED, ids=" ".join)
async def test_no_route_opens_without_a_good_token(scene: Scene, key: Key) -> None:
    for name, token in bad_tokens(scene.people[scene.people.ada]).items():
        refused = await scene.call(key, token)
        assert refused.status_code == 401, name
        assert refused.headers["www-authenticate"] == "Bearer"
        assert isinstance(refused.json()["detail"], str)


@pytest.mark.parametrize("key", GUARDED, ids=" ".join)
async def test_a_token_in_the_address_is_none(scene: Scene, key: Key) -> None:
    token = forged(scene.people[scene.people.ada], SECRET)
    address = (ROWS[key].address or key[1]).format(**scene.things)
    async with scene.site.http() as http:
        mark = "&" if "?" in address else "?"
        refused = await http.request(key[0], f"{address}{mark}token={token}&access_token={token}")
        assert refused.status_code == 401


@pytest.mark.parametrize("key", OF_ADMINS, ids=" ".join)
async def test_no_student_gets_to_an_administrators_route(scene: Scene, key: Key) -> None:
    token = forged(scene.people[scene.people.ann], SECRET)
    assert (await scene.call(key, token)).status_code == 403


@pytest.mark.parametrize("key", OWNED, ids=" ".join)
async def test_what_is_another_tenants_is_not_there(scene: Scene, key: Key) -> None:
    people = scene.people
    outsiders = [people.bo] if ROWS[key].who == "admin" else [people.bo, people.ben]
    for outsider in outsiders:
        refused = await scene.call(key, forged(people[outsider], SECRET))
        assert refused.status_code == 404, outsider


@pytest.mark.parametrize("key", LISTS, ids=" ".join)
async def test_no_list_shows_what_is_another_tenants(scene: Scene, key: Key) -> None:
    answer = await scene.call(key, forged(scene.people[scene.people.bo], SECRET))
    told = answer.text
    for foreign in ("Tess", "adas-base", "Emma", "Vera", scene.things["session"], scene.people.ann):
        assert foreign not in told


@pytest.mark.parametrize(
    "key", [key for key in OWNED if "session_id" in key[1] and "student" in key[1]], ids=" ".join
)
async def test_a_students_conversation_is_not_even_the_administrators(
    scene: Scene, key: Key
) -> None:
    token = forged(scene.people[scene.people.ada], SECRET)
    assert (await scene.call(key, token)).status_code == 404


@pytest.mark.parametrize("key", GUARDED, ids=" ".join)
async def test_a_closed_account_gets_in_nowhere(scene: Scene, key: Key) -> None:
    assert (await scene.call(key, forged(scene.things["closed"], SECRET))).status_code == 401


async def test_after_all_that_adas_things_are_still_there(scene: Scene) -> None:
    people = scene.people
    async with scene.site.as_(people.ada) as admin, scene.site.as_(people.ann) as student:
        tutor = await admin.get(f"/api/admin/tutors/{scene.things['tutor']}")
        assert tutor.json()["name"] == "Tess"
        session = await student.get(f"/api/student/sessions/{scene.things['session']}")
        assert session.status_code == 200
