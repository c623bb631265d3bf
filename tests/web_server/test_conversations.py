"""Earlier conversations and what is remembered; on SQLite and PostgreSQL."""

import httpx
import pytest

from tests.running import Running
from tests.web_server.schools import People, Site


@pytest.fixture
async def tutor_id(site: Site, people: People) -> int:
    async with site.as_(people.ada) as admin:
        tutor = {"name": "Tess", "face": "anna", "published": True}
        return int((await admin.post("/api/admin/tutors", json=tutor)).json()["id"])


async def talked(
    student: httpx.AsyncClient, gateway: Running, tutor_id: int, question: str
) -> tuple[str, str]:
    """The session's id, and what was answered."""
    wish = {"tutor_id": tutor_id}
    started = (await student.post("/api/student/sessions", json=wish)).json()
    address = f"{started['engine_url']}?token={started['engine_token']}"
    async with gateway.talk(address) as talk:
        answer = await talk.ask(type="text", content=question)
    return started["session_id"], answer["content"]


async def test_conversations_newest_first_with_their_last_words(
    site: Site, people: People, gateway: Running, tutor_id: int
) -> None:
    async with site.as_(people.ann) as student:
        first, said = await talked(student, gateway, tutor_id, "One?")
        second, _ = await talked(student, gateway, tutor_id, "Two?")
        third, _ = await talked(student, gateway, tutor_id, "Three?")
        await student.delete(f"/api/student/sessions/{second}")
        async with gateway.http() as http:
            await http.delete(f"/v1/sessions/{first}")  # as when it expires

        query = f"/api/student/conversations?tutor_id={tutor_id}"
        listed = (await student.get(query)).raise_for_status().json()
        assert [one["id"] for one in listed] == [third, second, first]
        assert [one["status"] for one in listed] == ["active", "ended", "ended"]
        assert [one["ended_at"] is None for one in listed] == [True, False, False]
        assert {one["tutor_name"] for one in listed} == {"Tess"}
        assert listed[2]["last_words"] == " ".join(said.split())
        assert (await student.get(query)).json() == listed

        pages = [(await student.get(f"{query}&limit=2")).json()]
        pages.append((await student.get(f"{query}&limit=2&before={second}")).json())
        assert [[one["id"] for one in page] for page in pages] == [[third, second], [first]]
        assert (await student.get("/api/student/conversations?tutor_id=7")).json() == []
        assert (await student.get("/api/student/conversations?limit=51")).status_code == 422


async def test_messages_stay_after_the_end(
    site: Site, people: People, gateway: Running, tutor_id: int
) -> None:
    async with site.as_(people.ann) as student, site.as_(people.ada) as admin:
        session_id, said = await talked(student, gateway, tutor_id, "What is dew?")
        await student.delete(f"/api/student/sessions/{session_id}")
        address = f"/api/student/conversations/{session_id}/messages"
        told = (await student.get(address)).raise_for_status().json()
        assert [(one["role"], one["content"]) for one in told] == [
            ("user", "What is dew?"),
            ("assistant", said),
        ]
        assert (await admin.get(address)).status_code == 404


async def test_what_is_remembered_is_seen_and_forgotten(
    site: Site, people: People, gateway: Running, tutor_id: int
) -> None:
    async with site.as_(people.ben) as student:
        assert (await student.get(f"/api/student/memory?tutor_id={tutor_id}")).json() == []
        assert (await student.delete("/api/student/memory")).status_code == 204
        assert (await student.get("/api/student/memory?tutor_id=x")).status_code == 422


async def test_an_administrator_sees_and_ends_live_sessions(
    site: Site, people: People, gateway: Running, tutor_id: int
) -> None:
    async with site.as_(people.ann) as student, site.as_(people.ada) as admin:
        session_id, _ = await talked(student, gateway, tutor_id, "One?")
        live = {one["id"]: one for one in (await admin.get("/api/admin/sessions")).json()}
        seen = live[session_id]
        assert set(seen) == {"id", "student_name", "tutor_name", "started_at", "last_activity"}
        assert (seen["student_name"], seen["tutor_name"]) == ("Ann", "Tess")
        assert (await admin.delete(f"/api/admin/sessions/{session_id}")).status_code == 204
        assert (await admin.delete(f"/api/admin/sessions/{session_id}")).status_code == 404
        left = [one["id"] for one in (await admin.get("/api/admin/sessions")).json()]
        assert session_id not in left
        async with gateway.http() as http:
            assert (await http.get(f"/v1/sessions/{session_id}")).status_code == 404


async def test_the_engine_as_an_administrator_sees_it(site: Site, people: People) -> None:
    async with site.as_(people.ada) as admin:
        seen = (await admin.get("/api/admin/engine")).json()
        assert (seen["enabled"], seen["gpu_server"]["status"]) == (True, "healthy")
        assert seen["dashboard_url"] == "http://127.0.0.1:8265"
        assert (await admin.get("/api/admin/models")).json() == [
            {"name": "llm", "state": "ready", "reason": ""}
        ]
        (voice,) = (await admin.get("/api/admin/voices")).json()
        assert (voice["name"], voice["engine"]) == ("tone", "stub")
