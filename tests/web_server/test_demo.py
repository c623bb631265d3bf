"""What stands in a new database, and where it must not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import update
from starlette.middleware.base import RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

from foundation.database import Transactions
from foundation.settings import SettingsError
from serve_app.knowledge import Desk
from tests.engines.knowledge.test_ingest import quick, shop_at
from tests.running import Running, free_port
from tests.serve_app.test_knowledge import api_over
from tests.web_server.schools import QUICK, open_site, served, settings_for
from web_server import demo
from web_server.app import opened, prepare
from web_server.demo import ADMIN, COURSE_FOLDER, STUDENT, offer_course
from web_server.settings import WebSettings
from web_server.tables import UserRow

__all__ = ["quick"]  # a fixture: documents are looked for often


async def test_the_documents_login_and_their_curl_commands(
    tmp_path: Path, gateway: Running
) -> None:
    settings = settings_for(tmp_path, gateway.url, demo_accounts=None)
    with open_site(settings) as site:
        async with site.http(await site.token("admin@example.com", "admin123")) as admin:
            wish = {"tutor_id": 1, "kb_id": "optional"}
            started = await admin.post("/api/student/sessions", json=wish)
            assert started.status_code == 200
            bases = await admin.get("/api/admin/tutors")
            assert [(one["id"], one["kb_id"]) for one in bases.json()] == [
                (1, "weather"),
                (2, "weather"),
                (3, "weather"),
            ]
        async with site.http(await site.token("student@example.com", "student123")) as student:
            cards = (await student.get("/api/student/tutors")).json()
            assert [(one["name"], one["language"]) for one in cards] == [
                ("梅老师", "zh"),
                ("Anna", "en"),
                ("David", "en"),
            ]
            started = await student.post("/api/student/sessions", json={"tutor_id": 2})
            address = f"/api/student/sessions/{started.json()['session_id']}"
            assert (await student.get(address)).json()["kb_id"] == "weather"


async def test_what_a_person_has_deleted_does_not_come_back(
    tmp_path: Path, gateway: Running
) -> None:
    settings = settings_for(tmp_path, gateway.url, demo_accounts=True)
    with open_site(settings) as site:
        async with site.http(await site.token("admin@example.com", "admin123")) as admin:
            assert (await admin.delete("/api/admin/tutors/3")).status_code == 204
            assert (await admin.delete("/api/admin/students/2")).status_code == 204
    with open_site(settings) as site:
        async with site.http(await site.token("admin@example.com", "admin123")) as admin:
            tutors = (await admin.get("/api/admin/tutors")).json()
            assert [tutor["id"] for tutor in tutors] == [1, 2]
            assert (await admin.get("/api/admin/students")).json() == []


@pytest.mark.parametrize("account", [ADMIN, STUDENT])
async def test_a_server_that_others_reach_does_not_start_with_them(
    tmp_path: Path, account: demo.Account
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with opened(settings_for(tmp_path, url, demo_accounts=None)) as school:
        await prepare(school)
    elsewhere = settings_for(tmp_path, url, demo_accounts=None, web_host="0.0.0.0")
    async with opened(elsewhere) as school:
        other = STUDENT if account is ADMIN else ADMIN
        await give_password(school.database, other.email)
        with pytest.raises(SettingsError, match=account.email):
            await prepare(school)
        await give_password(school.database, account.email)
        await prepare(school)


async def give_password(database: Transactions, email: str) -> None:
    async with database.writing() as rows:
        named = update(UserRow).where(UserRow.email == email)
        await rows.execute(named.values(password_hash=QUICK.hash("another one")))


async def test_the_sample_course_is_offered_once_the_engine_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "OFFER_INTERVAL_S", 0.05)
    shop = shop_at(tmp_path / "knowledge")

    @asynccontextmanager
    async def working(_: FastAPI) -> AsyncIterator[None]:
        async with shop.working():
            yield

    away = {"now": True}
    outer = FastAPI(lifespan=working)

    @outer.middleware("http")
    async def starting(request: Request, call_next: RequestResponseEndpoint) -> Response:
        return Response(status_code=502) if away["now"] else await call_next(request)

    outer.mount("/", api_over(Desk(shop.catalogue, shop.spool)))
    with served(outer) as engine:
        settings = settings_for(tmp_path, engine, engine_api_key="key", demo_accounts=True)
        async with opened(settings) as school:
            await prepare(school)
            offered = asyncio.create_task(offer_course(school), name="offer")
            await asyncio.sleep(0)
            away["now"] = False
            async with asyncio.timeout(60):
                await offered
                names = {file.name for file in COURSE_FOLDER.iterdir()}
                listed = await school.engine.get("/v1/knowledge/1%2Fweather/documents")
                assert {document["name"] for document in listed} == names
                await offer_course(school)  # nothing is sent again
            ids = {document["id"] for document in listed}
            again = await school.engine.get("/v1/knowledge/1%2Fweather/documents")
            assert {document["id"] for document in again} == ids


def test_the_demo_is_for_loopback(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="DEMO_ACCOUNTS"):
        WebSettings(tutor_home=tmp_path, web_host="0.0.0.0", demo_accounts=True)
    assert not WebSettings(tutor_home=tmp_path, web_host="0.0.0.0").demo
    assert WebSettings(tutor_home=tmp_path, web_host="::1").demo
