"""Tutors, here and at the engine; on SQLite and PostgreSQL."""

from pathlib import Path

import pytest

from tests.running import Running, free_port
from tests.web_server.schools import People, Site, move_in, open_site, settings_for
from web_server.tables import FIRST_TUTOR_ID

WHOLE = {
    "name": "Tess",
    "subject": "Physics",
    "description": "Forces\nand heat.",
    "language": "en",
    "prompt": "You are {name}.",
    "model": "qwen2.5:7b",
    "voice": {"name": "tone", "rate": 1.2, "pitch": 0.9},
    "face": "anna",
    "kb_id": None,
    "outside": "general",
    "published": True,
}


async def at_engine(gateway: Running, tutor_id: int) -> dict[str, object] | None:
    async with gateway.http() as http:
        answer = await http.get(f"/v1/tutors/{tutor_id}")
    return dict(answer.json()) if answer.status_code == 200 else None


async def test_a_tutor_from_its_making_to_its_end(
    site: Site, people: People, gateway: Running
) -> None:
    async with site.as_(people.ada) as admin, site.as_(people.ann) as student:
        made = await admin.post("/api/admin/tutors", json=WHOLE)
        assert made.status_code == 201
        tutor = made.json()
        assert tutor["id"] >= FIRST_TUTOR_ID
        assert {key: tutor[key] for key in WHOLE} == WHOLE
        there = await at_engine(gateway, tutor["id"])
        assert there is not None
        same = ("name", "language", "prompt", "model", "face", "outside")
        assert {key: there[key] for key in same} == {key: WHOLE[key] for key in same}
        assert there["voice"] == {"name": "tone", "rate": 1.2, "pitch": 0.9, "language": None}

        address = f"/api/admin/tutors/{tutor['id']}"
        assert (await admin.get(address)).json() == tutor
        assert tutor in (await admin.get("/api/admin/tutors")).json()
        (card,) = [
            card
            for card in (await student.get("/api/student/tutors")).json()
            if card["id"] == tutor["id"]
        ]
        assert card == {
            **{key: WHOLE[key] for key in ("name", "subject", "description", "language", "face")},
            "id": tutor["id"],
            "picture_url": "/api/faces/anna.svg",
            "has_course": False,
        }

        changed = await admin.put(address, json={"name": "Tom", "face": "david"})
        assert changed.status_code == 200
        assert (changed.json()["subject"], changed.json()["model"]) == ("", None)
        there = await at_engine(gateway, tutor["id"])
        assert there is not None
        assert (there["name"], there["model"], there["face"]) == ("Tom", None, "david")
        cards = (await student.get("/api/student/tutors")).json()
        assert tutor["id"] not in [card["id"] for card in cards]  # no longer published

        assert (await admin.delete(address)).status_code == 204
        assert (await admin.get(address)).status_code == 404
        assert await at_engine(gateway, tutor["id"]) is None


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"voice": {"name": "nosuch"}}, "nosuch"),
        ({"voice": {"rate": 9}}, "rate"),
        ({"name": ""}, "name"),
        ({"language": "English"}, "language"),
        ({"outside": "guess"}, "outside"),
    ],
)
async def test_what_cannot_be_changes_nothing(
    site: Site, people: People, gateway: Running, wrong: dict[str, object], word: str
) -> None:
    async with site.as_(people.ada) as admin:
        tutor = (await admin.post("/api/admin/tutors", json=WHOLE)).json()
        before = (await admin.get("/api/admin/tutors")).json()
        address = f"/api/admin/tutors/{tutor['id']}"
        for refused in (
            await admin.post("/api/admin/tutors", json={**WHOLE, **wrong}),
            await admin.put(address, json={**WHOLE, "subject": "Other", **wrong}),
        ):
            assert refused.status_code == 422
            assert word in refused.json()["detail"]
        assert (await admin.get("/api/admin/tutors")).json() == before
        there = await at_engine(gateway, tutor["id"])
        assert there is not None
        assert there["name"] == "Tess"
        await admin.delete(address)


async def test_a_face_that_there_is_not_is_told_without_naming_others(
    site: Site, people: People, gateway: Running
) -> None:
    async with site.as_(people.ada) as admin:
        tutor = (await admin.post("/api/admin/tutors", json=WHOLE)).json()
        address = f"/api/admin/tutors/{tutor['id']}"
        wrong = {**WHOLE, "name": "Tom", "face": "nobody"}
        for refused in (
            await admin.post("/api/admin/tutors", json=wrong),
            await admin.put(address, json=wrong),
        ):
            assert refused.status_code == 404
            for face in ("mei", "anna", "david"):
                assert face not in refused.json()["detail"]
        assert (await admin.get(address)).json() == tutor
        there = await at_engine(gateway, tutor["id"])
        assert there is not None
        assert (there["name"], there["face"]) == ("Tess", "anna")
        await admin.delete(address)


async def test_deleting_a_tutor_ends_its_lessons(
    site: Site, people: People, gateway: Running
) -> None:
    async with site.as_(people.ada) as admin, site.as_(people.ann) as student:
        going, staying = [
            (await admin.post("/api/admin/tutors", json=WHOLE)).json()["id"] for _ in range(2)
        ]
        lessons = {}
        for tutor_id in (going, staying):
            begun = await student.post("/api/student/sessions", json={"tutor_id": tutor_id})
            lessons[tutor_id] = begun.raise_for_status().json()["session_id"]
        assert (await admin.delete(f"/api/admin/tutors/{going}")).status_code == 204
        for tutor_id, status in ((going, 404), (staying, 200)):
            own = await student.get(f"/api/student/sessions/{lessons[tutor_id]}")
            assert own.status_code == status
            async with gateway.http() as http:
                there = await http.get(f"/v1/sessions/{lessons[tutor_id]}")
            assert there.status_code == status
        kept = {
            one["id"]: one["status"]
            for one in (await student.get("/api/student/conversations")).json()
        }
        assert (kept[lessons[going]], kept[lessons[staying]]) == ("ended", "active")
        assert (await admin.delete(f"/api/admin/tutors/{staying}")).status_code == 204


async def test_while_the_engine_is_away_nothing_changes(tmp_path: Path, gateway: Running) -> None:
    settings = settings_for(tmp_path, gateway.url)
    people = await move_in(settings)
    with open_site(settings) as site:
        async with site.as_(people.ada) as admin:
            tutor = (await admin.post("/api/admin/tutors", json=WHOLE)).json()
    with open_site(settings_for(tmp_path, f"http://127.0.0.1:{free_port()}")) as site:
        async with site.as_(people.ada) as admin:
            address = f"/api/admin/tutors/{tutor['id']}"
            for refused in (
                await admin.post("/api/admin/tutors", json=WHOLE),
                await admin.put(address, json={**WHOLE, "name": "Tom"}),
                await admin.delete(address),
            ):
                assert refused.status_code == 503
                assert "does not answer" in refused.json()["detail"]
                assert refused.headers["retry-after"]
            kept = (await admin.get("/api/admin/tutors")).json()
            assert [(one["id"], one["name"]) for one in kept] == [(tutor["id"], "Tess")]
