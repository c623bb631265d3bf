"""What the contract's tests cannot ask of a shared engine: keys, limits, expiry, slow engines."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from engines.base import Audio, Voice
from engines.stub import StubLlm, StubTts
from serve_app import outbox
from serve_app.body_limit import MAX_BODY_BYTES
from serve_app.recording import wav_bytes
from serve_app.settings import Settings
from tests.running import plain, stub_engines

SECRET = "a-secret-key-for-the-test"


def settings(home: Path, **changed: Any) -> Settings:
    return Settings(tutor_home=home, **changed)


async def test_with_a_key_everything_but_health_and_docs_wants_it(tmp_path: Path) -> None:
    with plain(settings(tmp_path, engine_api_key=SECRET), stub_engines()) as engine:
        async with engine.http() as http:
            calls = [
                (method, f"{prefix}{path}")
                for prefix in ("/v1", "/mgmt/v1")
                for method, path in (
                    ("POST", "/sessions"),
                    ("GET", "/sessions"),
                    ("GET", "/sessions/x"),
                    ("DELETE", "/sessions/x"),
                    ("GET", "/sessions/x/messages"),
                    ("GET", "/voices"),
                    ("POST", "/voices"),
                    ("DELETE", "/voices/x"),
                    ("GET", "/voices/x/sample"),
                    ("GET", "/voices/sample"),
                    ("GET", "/tutors"),
                    ("GET", "/tutors/1"),
                    ("PUT", "/tutors/1"),
                    ("DELETE", "/tutors/1"),
                )
            ]
            for method, path in calls:
                for given in (None, "Bearer wrong", f"Basic {SECRET}", f"Bearer {SECRET} "[:-2]):
                    headers = {"Authorization": given} if given else {}
                    answer = await http.request(method, path, headers=headers)
                    assert answer.status_code == 401, (method, path, given)
                    assert answer.headers["WWW-Authenticate"] == "Bearer"
                allowed = {"Authorization": f"Bearer {SECRET}"}
                answer = await http.request(method, path, headers=allowed)
                assert answer.status_code != 401
            for path in ("/health", "/v1/health", "/docs", "/openapi.json"):
                assert (await http.get(path)).status_code == 200


async def test_a_voice_that_was_added_speaks_with_its_recording(tmp_path: Path) -> None:
    spoken = SpokenVoices()
    recording = wav_bytes(Audio(np.full(48_000 * 20, 3_000, np.int16), 48_000))
    assert len(recording) > MAX_BODY_BYTES
    wish = {"name": "f2", "recording": base64.b64encode(recording).decode()}
    with plain(settings(tmp_path), stub_engines(speak=spoken)) as engine:
        async with engine.conversation(tutor_id=2) as (_, talk), engine.http() as http:
            await talk.ask(type="text", content="Hello")
            added = await http.post("/v1/voices", json=wish)
            assert added.status_code == 201
            await talk.ask(type="text", content="Hello")
            names = [voice["name"] for voice in (await http.get("/mgmt/v1/voices")).json()]
            assert names == ["tone", "f2"]
            large = await http.post("/v1/sessions", json=wish)
            assert (large.status_code, "1 MiB" in large.text) == (413, True)
    assert [bool(voice.reference) for voice in spoken.voices] == [False, True]
    assert {voice.name for voice in spoken.voices} == {"f2"}


class SpokenVoices:
    """A voice engine that keeps in mind who was to speak."""

    def __init__(self) -> None:
        self.voices: list[Voice] = []

    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        self.voices.append(voice)
        async for piece in StubTts().speak(sentence, voice):
            yield piece


async def test_neither_key_nor_token_reaches_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with plain(settings(tmp_path), stub_engines()) as engine:
        async with engine.conversation() as (session, talk):
            await talk.ask(type="text", content="Hello")
            await talk.ask(type="nonsense")
    own = [r for r in caplog.records if r.name.startswith(("serve_app", "engines", "sqlalchemy"))]
    assert not [record for record in own if session.token in record.getMessage()]


async def test_too_many_sessions_of_one_student_is_429(tmp_path: Path) -> None:
    with plain(settings(tmp_path, max_sessions_per_student=1), stub_engines()) as engine:
        async with engine.live(student_id=1), engine.http() as http:
            refused = await http.post("/v1/sessions", json={"tutor_id": 1, "student_id": 1})
            assert refused.status_code == 429
            assert int(refused.headers["Retry-After"]) > 0


async def test_a_session_expires_by_itself_and_its_socket_is_told(tmp_path: Path) -> None:
    with plain(settings(tmp_path, session_timeout_seconds=1), stub_engines()) as engine:
        async with engine.conversation() as (session, talk):
            assert (await talk.receive())["code"] == "session_ended"
            async with engine.http() as http:
                assert (await http.get(f"/v1/sessions/{session.id}")).status_code == 404
                assert (await http.get("/health")).json()["sessions"]["active"] == 0


async def test_one_sessions_slow_answer_does_not_hold_up_another(tmp_path: Path) -> None:
    def think(tutor: Any) -> StubLlm:
        return StubLlm(("Done.",), first_token_s=30 if tutor.id == 1 else 0)

    with plain(settings(tmp_path), stub_engines(think=think)) as engine:
        async with (
            engine.live(tutor_id=1, student_id=5) as slow,
            engine.live(tutor_id=2, student_id=5) as quick,
            engine.talk(engine.socket_url("user_5", quick.token)) as talk,
        ):
            await talk.send(type="text", content="x", engine_session_id=slow.id)
            async with asyncio.timeout(10):
                answer = await talk.ask(type="text", content="x", engine_session_id=quick.id)
                assert answer["engine_session_id"] == quick.id
                stopped = await talk.ask(type="interrupt", engine_session_id=slow.id)
                assert (stopped["type"], stopped["engine_session_id"]) == ("interrupted", slow.id)


async def test_the_model_is_told_the_prompt_and_the_conversation(tmp_path: Path) -> None:
    heard: list[list[tuple[str, str]]] = []

    class Remembering(StubLlm):
        async def reply(self, messages: Any) -> Any:
            heard.append([(message.role, message.content) for message in messages])
            yield f"Answer {len(heard)}."

    with plain(settings(tmp_path), stub_engines(think=lambda tutor: Remembering())) as engine:
        async with engine.conversation() as (_, talk):
            for question in ("one", "two"):
                await talk.ask(type="text", content=question)
    assert heard[0][0][0] == "system"
    assert "Anna" in heard[0][0][1]
    assert heard[0][1:] == [("user", "one")]
    assert heard[1][1:] == [("user", "one"), ("assistant", "Answer 1."), ("user", "two")]


async def test_a_client_that_does_not_read_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "STALL_LIMIT_S", 0.5)
    monkeypatch.setattr(outbox, "SLOWEST_BYTES_A_SECOND", 10**9)
    monkeypatch.setattr(outbox, "MAX_WAITING_BYTES", 1_000_000)
    talkative = StubTts(pieces=100)  # 20 s: nearly a megabyte in base64
    answers = 0
    with plain(settings(tmp_path), stub_engines(speak=talkative)) as engine:
        async with engine.live() as session:
            url = engine.socket_url(session.id, session.token)
            async with engine.talk(url, ping_interval=None, max_queue=1) as talk:
                talk.socket.transport.pause_reading()
                for _ in range(12):
                    await talk.send(type="text", content="Tell me all")
                await asyncio.sleep(4)
                talk.socket.transport.resume_reading()
                with pytest.raises(ConnectionClosed):
                    while True:
                        answers += (await talk.receive())["type"] == "text"
    assert answers < 12
