"""Section 1 of docs/wire.md."""

from datetime import datetime
from urllib.parse import quote
from uuid import UUID

import pytest

from tests.media import unpacked
from tests.running import MAX_SESSIONS, Running, base64_of


async def test_health_names_the_engine_of_every_stage(engine: Running) -> None:
    async with engine.http() as http:
        answer = await http.get("/health")
    assert answer.status_code == 200
    health = answer.json()
    assert (health["status"], health["service"]) == ("healthy", "GPU Server")
    assert set(health["engines"]) == {"asr", "llm", "tts", "avatar", "knowledge"}
    for stage in health["engines"].values():
        assert stage["state"] in ("ready", "degraded")
        assert stage["state"] == "ready" or (stage["reason"] and stage["remedy"])
    assert health["sessions"]["max"] == MAX_SESSIONS
    assert health["version"]


@pytest.mark.parametrize("prefix", ["/v1", "/mgmt/v1"])
async def test_a_session_from_creation_to_its_end(engine: Running, prefix: str) -> None:
    async with engine.http() as http:
        wish = {"tutor_id": 1, "student_id": 123, "kb_id": "kb-001"}
        created = await http.post(f"{prefix}/sessions", json=wish)
        assert created.status_code == 200
        body = created.json()
        assert set(body) == {"session_id", "engine_url", "engine_token", "status"}
        session_id = body["session_id"]
        assert UUID(session_id).version == 4
        assert body["status"] == "active"
        assert body["engine_url"].endswith(f":{engine.port}/ws/ws/{session_id}")
        assert body["engine_token"] not in body["engine_url"]

        shown = await http.get(f"{prefix}/sessions/{session_id}")
        assert shown.status_code == 200
        session = shown.json()
        assert {key: session[key] for key in wish} == wish
        assert (session["session_id"], session["status"]) == (session_id, "active")
        for field in ("created_at", "last_activity"):
            assert datetime.fromisoformat(session[field]).utcoffset() is not None

        assert (await http.delete(f"{prefix}/sessions/{session_id}")).status_code == 204
        for again in (
            await http.get(f"{prefix}/sessions/{session_id}"),
            await http.delete(f"{prefix}/sessions/{session_id}"),
        ):
            assert again.status_code == 404
            assert "detail" in again.json()


async def test_kb_id_may_be_left_out_or_null(engine: Running) -> None:
    async with engine.http() as http:
        for wish in (
            {"tutor_id": 1, "student_id": 5},
            {"tutor_id": 1, "student_id": 5, "kb_id": None},
        ):
            created = await http.post("/v1/sessions", json=wish)
            assert created.status_code == 200
            session_id = created.json()["session_id"]
            assert (await http.get(f"/v1/sessions/{session_id}")).json()["kb_id"] is None
            await http.delete(f"/v1/sessions/{session_id}")


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"tutor_id": 1},
        {"tutor_id": "one", "student_id": 1},
        {"tutor_id": -1, "student_id": 1},
        {"tutor_id": 2**63, "student_id": 1},
        {"tutor_id": 1, "student_id": 1, "kb_id": "x" * 200},
        {"tutor_id": 1, "student_id": 1, "kb_id": "\x00"},
        [],
    ],
)
async def test_a_wrong_wish_is_refused_with_what_is_wrong(engine: Running, wish: object) -> None:
    async with engine.http() as http:
        refused = await http.post("/v1/sessions", json=wish)
    assert refused.status_code == 422
    assert refused.json()["detail"]


@pytest.mark.parametrize("kb_id", [r'"\ud800"', "NaN"])
async def test_what_json_cannot_carry_back_is_a_wrong_field_too(
    engine: Running, kb_id: str
) -> None:
    body = f'{{"tutor_id": 1, "student_id": 5, "kb_id": {kb_id}}}'
    async with engine.http() as http:
        headers = {"Content-Type": "application/json"}
        refused = await http.post("/v1/sessions", content=body, headers=headers)
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"] == ["body", "kb_id"]


async def test_half_a_surrogate_pair_in_a_question_is_an_error_of_that_message(
    engine: Running,
) -> None:
    async with engine.conversation() as (_, talk):
        assert (await talk.ask(type="text", content="\ud800"))["type"] == "error"
        assert (await talk.ask(type="ping"))["type"] == "pong"


@pytest.mark.parametrize(
    "session_id", ["b7f3c9e2-5a41-4d08-9c6f-2e1d0a8b4c57", "nonsense", "user_1", "%00", "'; --"]
)
async def test_unknown_sessions_are_404(engine: Running, session_id: str) -> None:
    async with engine.http() as http:
        for answer in (
            await http.get(f"/v1/sessions/{session_id}"),
            await http.delete(f"/v1/sessions/{session_id}"),
            await http.get(f"/v1/sessions/{session_id}/messages"),
        ):
            assert answer.status_code == 404
            assert answer.json()["detail"]


async def test_sessions_are_listed_by_student_and_tutor_and_page(engine: Running) -> None:
    async with (
        engine.live(student_id=77, tutor_id=1) as first,
        engine.live(student_id=77, tutor_id=2) as second,
        engine.http() as http,
    ):
        listed = (await http.get("/v1/sessions", params={"student_id": 77})).json()
        assert [entry["session_id"] for entry in listed] == [first.id, second.id]
        query: dict[str, str | int] = {"student_id": 77, "after": first.id, "limit": 1}
        rest = (await http.get("/mgmt/v1/sessions", params=query)).json()
        assert [entry["session_id"] for entry in rest] == [second.id]
        query = {"student_id": 77, "tutor_id": 1}
        assert len((await http.get("/v1/sessions", params=query)).json()) == 1
        everything = (await http.get("/v1/sessions")).json()
        assert {first.id, second.id} <= {entry["session_id"] for entry in everything}
        assert (await http.get("/v1/sessions", params={"limit": 0})).status_code == 422


async def test_a_voice_is_heard_before_a_tutor_has_it(engine: Running) -> None:
    async with engine.http(timeout=60) as http:
        name = (await http.get("/v1/voices")).json()[0]["name"]
        for path in (f"{quote(name)}/sample?language=zh&rate=1.2", "sample"):
            heard = await http.get(f"/v1/voices/{path}")
            assert (heard.status_code, heard.headers["content-type"]) == (200, "audio/wav")
            samples, rate_hz = unpacked(base64_of(heard.content))
            assert 0.2 < len(samples) / rate_hz < 15
            assert abs(samples).max() > 1_000
        assert (await http.get("/v1/voices/no such voice/sample")).status_code == 404


async def test_docs_are_served(engine: Running) -> None:
    async with engine.http() as http:
        assert "swagger" in (await http.get("/docs")).text.lower()
        assert "/v1/sessions" in (await http.get("/openapi.json")).json()["paths"]


async def test_too_large_a_body_is_refused(engine: Running) -> None:
    async with engine.http() as http:
        answer = await http.post("/v1/sessions", content=b" " * (2 * 2**20))
    assert answer.status_code == 413
    assert answer.json()["detail"]
