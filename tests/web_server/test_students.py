"""Students of an administrator; on SQLite and PostgreSQL."""

from pathlib import Path

from tests.running import Running, free_port
from tests.web_server.schools import PASSWORD, People, Site, move_in, open_site, settings_for
from web_server.app import opened
from web_server.sessions import Sessions
from web_server.settings import WebSettings

EVE = {"email": "Eve@School.example", "name": "Eve", "password": "a long password"}


async def test_a_student_from_beginning_to_end(site: Site, people: People) -> None:
    async with site.as_(people.ada) as admin:
        made = await admin.post("/api/admin/students", json=EVE)
        assert made.status_code == 201
        eve = made.json()
        assert set(eve) == {"id", "email", "name", "active", "created_at", "last_seen_at"}
        assert (eve["email"], eve["active"], eve["last_seen_at"]) == (
            "eve@school.example",
            True,
            None,
        )
        token = await site.token("eve@school.example", EVE["password"])
        (listed,) = [
            one for one in (await admin.get("/api/admin/students")).json() if one["name"] == "Eve"
        ]
        assert listed["last_seen_at"] is not None

        address = f"/api/admin/students/{eve['id']}"
        new = {"name": "Eva", "password": "another password"}
        assert (await admin.patch(address, json=new)).json()["name"] == "Eva"
        async with site.http(token) as http:
            assert (await http.get("/api/me")).status_code == 401
        await site.token("eve@school.example", "another password")

        assert (await admin.delete(address)).status_code == 204
        assert (await admin.delete(address)).status_code == 404
        async with site.http() as http:
            gone = {"email": "eve@school.example", "password": "another password"}
            assert (await http.post("/api/auth/login", json=gone)).status_code == 401


async def test_an_address_is_one_account_everywhere(site: Site, people: People) -> None:
    async with site.as_(people.bo) as admin:
        twice = await admin.post("/api/admin/students", json={**EVE, "email": people.ann})
        assert twice.status_code == 409
        assert people.ann in twice.json()["detail"]
        for wrong in (
            {"email": "none"},
            {"password": "short"},
            {"name": "\x00"},
            {"role": "admin"},
        ):
            refused = await admin.post("/api/admin/students", json={**EVE, **wrong})
            assert refused.status_code == 422
            assert "short" not in refused.json()["detail"]


async def test_closing_an_account_ends_its_logins_and_conversations(
    site: Site, people: People, gateway: Running
) -> None:
    async with site.as_(people.bo) as admin:
        tutor = {"name": "Tess", "face": "anna", "published": True}
        tutor_id = (await admin.post("/api/admin/tutors", json=tutor)).json()["id"]
        async with site.as_(people.ben) as student:
            wish = {"tutor_id": tutor_id}
            started = (await student.post("/api/student/sessions", json=wish)).json()
            address = f"/api/admin/students/{people[people.ben]}"
            closed = await admin.patch(address, json={"active": False})
            assert closed.json()["active"] is False
            assert (await student.get("/api/me")).status_code == 401
        async with site.http() as http:
            body = {"email": people.ben, "password": PASSWORD}
            assert (await http.post("/api/auth/login", json=body)).status_code == 401
        async with gateway.http() as http:
            assert (await http.get(f"/v1/sessions/{started['session_id']}")).status_code == 404
        await admin.patch(address, json={"active": True})
        await site.token(people.ben)


async def test_deleting_a_student_ends_also_what_the_engine_was_yet_to_be_told(
    site: Site, people: People, gateway: Running
) -> None:
    async with site.as_(people.bo) as admin:
        eli = {**EVE, "email": "eli@other.example"}
        made = (await admin.post("/api/admin/students", json=eli)).raise_for_status().json()
        tutor = {"name": "Tess", "face": "anna", "published": True}
        wish = {"tutor_id": (await admin.post("/api/admin/tutors", json=tutor)).json()["id"]}
        async with site.http(await site.token(eli["email"], eli["password"])) as student:
            begun = (await student.post("/api/student/sessions", json=wish)).raise_for_status()
        session_id = begun.json()["session_id"]
        async with opened(site.settings) as school:  # as when the engine was away
            await Sessions.of(school).mark([session_id], "ending")
        async with gateway.http() as http:
            assert (await http.get(f"/v1/sessions/{session_id}")).status_code == 200
            deleted = await admin.delete(f"/api/admin/students/{made['id']}")
            assert deleted.status_code == 204
            assert (await http.get(f"/v1/sessions/{session_id}")).status_code == 404


async def test_while_the_engine_is_away_accounts_are_closed_but_not_deleted(
    tmp_path: Path, gateway: Running
) -> None:
    """What ended meanwhile, the engine is told when it is back."""
    settings = settings_for(tmp_path, gateway.url)
    people = await move_in(settings)
    with open_site(settings) as site:
        async with site.as_(people.ada) as admin, site.as_(people.ann) as student:
            tutor = {"name": "Tess", "face": "anna", "published": True}
            tutor_id = (await admin.post("/api/admin/tutors", json=tutor)).json()["id"]
            wish = {"tutor_id": tutor_id}
            started = (await student.post("/api/student/sessions", json=wish)).json()
    address = f"/api/admin/students/{people[people.ann]}"
    with open_site(settings_for(tmp_path, f"http://127.0.0.1:{free_port()}")) as site:
        async with site.as_(people.ada) as admin:
            assert (await admin.delete(address)).status_code == 503
            (kept,) = (await admin.get("/api/admin/students")).json()
            assert kept["active"] is True
            closed = await admin.patch(address, json={"active": False})
            assert closed.status_code == 200
    async with gateway.http() as http:
        session = f"/v1/sessions/{started['session_id']}"
        assert (await http.get(session)).status_code == 200
        await _told_later(settings)
        assert (await http.get(session)).status_code == 404


async def _told_later(settings: WebSettings) -> None:
    async with opened(settings) as school:
        sessions = Sessions.of(school)
        endings = await sessions.endings()
        assert len(endings) == 1
        await sessions.finish_endings(endings)
        assert await sessions.endings() == []
