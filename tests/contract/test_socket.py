"""Section 2 of docs/wire.md: both paths, both modes, every message, every refusal."""

import asyncio
import base64
import json
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from tests.media import film, unpacked, wav
from tests.running import Running, Talk, base64_of
from tests.speech import recording

REPLY_FIELDS = {"type", "content", "role", "timestamp"}


async def closed_with(talk: Talk) -> int | None:
    with pytest.raises(ConnectionClosed):
        await talk.socket.recv()
    return talk.socket.close_code


@pytest.mark.parametrize("path", ["/ws", "/ws/ws"])
async def test_text_is_answered_with_text_and_audio(engine: Running, path: str) -> None:
    async with (
        engine.live() as session,
        engine.talk(engine.socket_url(session.id, session.token, path)) as talk,
    ):
        answer = await talk.ask(type="text", content="Hello, who are you?")
    assert set(answer) == REPLY_FIELDS | {"audio"}
    assert (answer["type"], answer["role"]) == ("text", "assistant")
    assert answer["content"].strip()
    samples, rate_hz = unpacked(answer["audio"])
    assert len(samples) > 0.2 * rate_hz
    assert np.abs(samples).max() > 1000


async def test_text_with_an_avatar_is_answered_with_a_video_alone(engine: Running) -> None:
    async with engine.conversation() as (_, talk):
        answer = await talk.ask(type="text", content="Hi", avatar_id="avatar_tutor_13")
        assert set(answer) == REPLY_FIELDS | {"video", "audio"}
        assert answer["type"] == "video"
        shown = film(answer["video"])
        samples, rate_hz = unpacked(answer["audio"])
        assert (shown.fps, shown.frames[0].shape) == (25, (512, 512, 3))
        assert abs(len(shown.frames) / 25 - len(samples) / rate_hz) <= 0.04
        await nothing_more(talk)


async def nothing_more(talk: Talk) -> None:
    """The next thing to come is the pong: nothing was still on its way."""
    assert await talk.ask(type="ping") == {"type": "pong"}


async def test_audio_is_answered_with_transcription_text_and_audio(engine: Running) -> None:
    async with engine.conversation() as (_, talk):
        await talk.send(type="audio", data=base64_of(await question(engine)))
        events = [await talk.receive() for _ in range(3)]
        assert [event["type"] for event in events] == ["transcription", "text", "audio"]
        transcription, text, audio = events
        assert set(transcription) == REPLY_FIELDS
        assert (transcription["role"], bool(transcription["content"])) == ("user", True)
        assert set(text) == REPLY_FIELDS, "the voice comes once, in `audio`"
        assert set(audio) == {"type", "data", "role", "timestamp"}
        assert len(unpacked(audio["data"])[0]) > 0
        await nothing_more(talk)


async def test_audio_with_an_avatar_is_answered_with_transcription_and_video(
    engine: Running,
) -> None:
    async with engine.conversation() as (_, talk):
        await talk.send(type="audio", data=base64_of(await question(engine)), avatar_id="anna")
        events = [await talk.receive() for _ in range(2)]
        assert [event["type"] for event in events] == ["transcription", "video"]
        await nothing_more(talk)


async def question(engine: Running) -> bytes:
    return wav() if engine.stubbed else await recording("hello how are you today")


async def test_text_webrtc_without_a_peer_loses_nothing(engine: Running) -> None:
    async with engine.conversation() as (session, talk):
        await talk.send(
            type="text_webrtc",
            content="Hi",
            avatar_id="avatar_tutor_2",
            user_id=session.student_id,
            engine_session_id=session.id,
        )
        error, text = await talk.receive(), await talk.receive()
        assert (error["type"], error["code"]) == ("error", "no_peer")
        assert text["type"] == "text"
        assert text["audio"]


async def test_the_conversation_is_stored(engine: Running) -> None:
    async with engine.conversation() as (session, talk):
        answer = await talk.ask(type="text", content="为什么天是蓝的？")
        async with engine.http() as http:
            messages = (await http.get(f"/v1/sessions/{session.id}/messages")).json()
    assert [(m["role"], m["content"]) for m in messages] == [
        ("user", "为什么天是蓝的？"),
        ("assistant", answer["content"]),
    ]
    assert not messages[1]["interrupted"]


async def test_old_clients_see_only_documented_fields_and_events(engine: Running) -> None:
    async with engine.conversation() as (_, talk):
        await talk.send(type="text", content="Hello")
        await talk.send(type="nonsense")
        events = [await talk.receive() for _ in range(2)]
        error = next(event for event in events if event["type"] == "error")
        assert set(error) == {"type", "content", "timestamp", "code"}
        assert {event["type"] for event in events} == {"text", "error"}


# ── who may connect ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("token", ["", "wrong", "another"])
async def test_a_wrong_token_is_told_and_closed_4401(engine: Running, token: str) -> None:
    async with engine.live() as session, engine.live() as other:
        given = other.token if token == "another" else token
        async with engine.talk(engine.socket_url(session.id, given)) as talk:
            error = await talk.receive()
            assert (error["type"], error["code"]) == ("error", "bad_token")
            assert await closed_with(talk) == 4401


async def test_an_unknown_or_ended_session_is_told_and_closed_4404(engine: Running) -> None:
    async with engine.live() as session:
        pass
    for connection_id in (session.id, "00000000-0000-4000-8000-000000000000", "nonsense"):
        async with engine.talk(engine.socket_url(connection_id, session.token)) as talk:
            error = await talk.receive()
            assert (error["type"], error["code"]) == ("error", "session_not_found")
            assert await closed_with(talk) == 4404


async def test_the_token_may_stay_out_of_the_address(engine: Running) -> None:
    async with engine.live() as session:
        url = f"ws://127.0.0.1:{engine.port}/ws/ws/{session.id}"
        ways: list[dict[str, Any]] = [
            {"additional_headers": {"Authorization": f"Bearer {session.token}"}},
            {"subprotocols": ["bearer", session.token]},
        ]
        for way in ways:
            async with engine.talk(url, **way) as talk:
                assert await talk.ask(type="ping") == {"type": "pong"}
        async with engine.talk(url, subprotocols=["bearer", session.token]) as talk:
            assert talk.socket.subprotocol == "bearer"


async def test_a_foreign_page_is_refused(engine: Running) -> None:
    async with engine.live() as session:
        url = engine.socket_url(session.id, session.token)
        for origin in ("http://localhost:3000", f"http://127.0.0.1:{engine.port}"):
            async with engine.talk(url, origin=origin) as talk:
                assert await talk.ask(type="ping") == {"type": "pong"}
        for origin in ("https://evil.example", "null"):
            async with engine.talk(url, origin=origin) as talk:
                assert (await talk.receive())["code"] == "origin_refused"
                assert await closed_with(talk) == 4403


async def test_deleting_a_session_tells_and_closes_its_socket(engine: Running) -> None:
    async with engine.conversation() as (session, talk), engine.http() as http:
        assert await talk.ask(type="ping") == {"type": "pong"}
        await http.delete(f"/v1/sessions/{session.id}")
        assert (await talk.receive())["code"] == "session_ended"
        assert await closed_with(talk) == 4404


# ── user-based mode ──────────────────────────────────────────────────────────────────────────────


async def test_many_sessions_share_the_socket_of_their_student(engine: Running) -> None:
    async with (
        engine.live(student_id=31, tutor_id=1) as one,
        engine.live(student_id=31, tutor_id=2) as two,
        engine.talk(engine.socket_url("user_31", two.token)) as talk,
    ):
        await talk.send(type="text", content="for one", engine_session_id=one.id)
        await talk.send(type="text", content="for two", engine_session_id=two.id)
        answers = [await talk.receive() for _ in range(2)]
        assert {answer["engine_session_id"] for answer in answers} == {one.id, two.id}
        async with engine.http() as http:
            for session, said in ((one, "for one"), (two, "for two")):
                messages = (await http.get(f"/v1/sessions/{session.id}/messages")).json()
                assert [m["content"] for m in messages if m["role"] == "user"] == [said]


async def test_a_student_cannot_use_anothers_connection_or_session(engine: Running) -> None:
    async with engine.live(student_id=41) as mine, engine.live(student_id=42) as foreign:
        async with engine.talk(engine.socket_url("user_42", mine.token)) as talk:
            assert (await talk.receive())["code"] == "bad_token"
            assert await closed_with(talk) == 4401
        async with engine.talk(engine.socket_url("user_41", mine.token)) as talk:
            for named in (foreign.id, "nonsense"):
                error = await talk.ask(type="text", content="x", engine_session_id=named)
                assert (error["code"], error["engine_session_id"]) == ("session_not_found", named)
            error = await talk.ask(type="text", content="x")
            assert error["code"] == "missing_engine_session_id"
            assert (await talk.ask(type="text", content="x", engine_session_id=mine.id))["audio"]


async def test_a_student_socket_outlives_one_session_and_ends_with_the_last(
    engine: Running,
) -> None:
    async with (
        engine.live(student_id=51) as one,
        engine.live(student_id=51) as two,
        engine.talk(engine.socket_url("user_51", one.token)) as talk,
        engine.http() as http,
    ):
        await talk.ask(type="text", content="x", engine_session_id=one.id)
        await http.delete(f"/v1/sessions/{one.id}")
        ended = await talk.receive()
        assert (ended["code"], ended["engine_session_id"]) == ("session_ended", one.id)
        assert (await talk.ask(type="text", content="x", engine_session_id=two.id))["audio"]
        await http.delete(f"/v1/sessions/{two.id}")
        assert (await talk.receive())["engine_session_id"] == two.id
        assert await closed_with(talk) == 4404


async def test_the_conversation_survives_a_reconnect(engine: Running) -> None:
    async with engine.live(student_id=61) as session:
        for said in ("one", "two"):
            async with engine.talk(engine.socket_url("user_61", session.token)) as talk:
                await talk.ask(type="text", content=said, engine_session_id=session.id)
        async with engine.http() as http:
            messages = (await http.get(f"/v1/sessions/{session.id}/messages")).json()
    assert [m["content"] for m in messages if m["role"] == "user"] == ["one", "two"]


# ── bad messages ─────────────────────────────────────────────────────────────────────────────────

BAD: list[tuple[str | bytes, str]] = [
    ("{", "invalid_json"),
    ("[]", "invalid_json"),
    ('"text"', "invalid_json"),
    ("null", "invalid_json"),
    (b"\xff\xfe\x00", "invalid_json"),
    ("", "invalid_json"),
    ("{}", "missing_type"),
    ('{"type":"nonsense"}', "unknown_type"),
    ('{"type":7}', "unknown_type"),
    ('{"type":"text"}', "missing_content"),
    ('{"type":"text","content":"  "}', "missing_content"),
    ('{"type":"text","content":7}', "invalid_field"),
    ('{"type":"text","content":"x","avatar_id":"../../etc"}', "invalid_field"),
    ('{"type":"text","content":"x","avatar_id":"nobody"}', "unknown_avatar"),
    (json.dumps({"type": "text", "content": "x" * 8001}), "text_too_long"),
    ('{"type":"text","content":"x","engine_session_id":"elsewhere"}', "session_not_found"),
    ('{"type":"audio"}', "missing_data"),
    ('{"type":"audio","data":""}', "missing_data"),
    ('{"type":"audio","data":"not base64!"}', "audio_unreadable"),
    (json.dumps({"type": "audio", "data": base64_of(b"#EXTM3U\nhttp://x/")}), "audio_unreadable"),
    (json.dumps({"type": "audio", "data": base64_of(wav(1)[:30])}), "audio_unreadable"),
    (json.dumps({"type": "audio", "data": base64_of(wav(61, 8000))}), "audio_too_long"),
    ('{"type":"webrtc_offer","sdp":"x"}', "missing_user_id"),
    ('{"type":"webrtc_offer","sdp":"x","user_id":999}', "wrong_user"),
    ('{"type":"webrtc_ice_candidate","candidate":{}}', "missing_user_id"),
    ('{"type":"webrtc_ice_candidate","candidate":{},"user_id":999}', "wrong_user"),
    ('{"type":"text_webrtc","content":"x"}', "missing_user_id"),
    ('{"type":"text_webrtc","content":"x","user_id":999}', "wrong_user"),
    ('{"type":"text_webrtc","user_id":123}', "missing_content"),
    ('{"type":"hello","features":"all"}', "invalid_field"),
]


async def test_200_bad_messages_each_get_their_error_and_the_socket_lives(engine: Running) -> None:
    async with engine.conversation(student_id=123) as (_, talk):
        for index in range(200):
            frame, code = BAD[index % len(BAD)]
            await talk.socket.send(frame)
            error = await talk.receive()
            assert (error["type"], error["code"]) == ("error", code), frame[:60]
            assert len(error["content"].split()) >= 4, "a sentence, not a word"
        assert (await talk.ask(type="text", content="Still there?"))["type"] == "text"


async def test_a_message_over_the_limit_is_refused_and_the_socket_lives(engine: Running) -> None:
    async with engine.conversation() as (_, talk):
        await talk.socket.send(json.dumps({"type": "audio", "data": "A" * (12 * 2**20 + 1)}))
        error = await talk.receive()
        assert error["code"] == "message_too_large"
        assert "12 MiB" in error["content"]
        assert await talk.ask(type="ping") == {"type": "pong"}


async def test_a_flood_is_told_and_bounded(engine: Running) -> None:
    async with engine.conversation() as (_, talk):
        for _ in range(1000):
            await talk.socket.send('{"type":"ping"}')
        answers = [await talk.receive() for _ in range(1000)]
        refused = [answer for answer in answers if answer["type"] == "error"]
        assert {answer["code"] for answer in refused} == {"too_many_messages"}
        assert 300 <= len(answers) - len(refused) < 1000


# ── order ────────────────────────────────────────────────────────────────────────────────────────


async def test_messages_of_one_session_are_answered_in_order(engine: Running) -> None:
    async with engine.conversation() as (session, talk):
        questions = [f"question {number}" for number in range(5)]
        for question in questions:
            await talk.send(type="text", content=question)
        for _ in questions:
            assert (await talk.receive())["type"] == "text"
        async with engine.http() as http:
            messages = (await http.get(f"/v1/sessions/{session.id}/messages")).json()
    assert [m["content"] for m in messages if m["role"] == "user"] == questions
    assert [m["role"] for m in messages] == ["user", "assistant"] * 5


async def test_too_many_waiting_messages_are_refused(engine: Running) -> None:
    async with engine.conversation() as (_, talk):
        for number in range(40):
            await talk.send(type="text", content=f"question {number}")
        answers = [await talk.receive() for _ in range(40)]
        refused = [answer for answer in answers if answer["type"] == "error"]
        assert {answer["code"] for answer in refused} <= {"too_many_pending"}
        assert len(answers) - len(refused) >= 16


# ── hello, and what it brings ────────────────────────────────────────────────────────────────────


async def test_hello_grants_what_is_known(engine: Running) -> None:
    async with engine.conversation() as (session, talk):
        hello = await talk.ask(type="hello", features=["deltas", "state", "metrics", "telepathy"])
        assert hello["type"] == "hello"
        assert hello["session_id"] == session.id
        assert hello["features"] == ["deltas", "metrics", "state"]
        assert set(hello["engines"]) == {"asr", "llm", "tts", "avatar", "knowledge"}


async def test_deltas_state_and_metrics_accompany_the_answer(engine: Running) -> None:
    async with engine.conversation() as (_, talk):
        await talk.ask(type="hello", features=["deltas", "state", "metrics"])
        await talk.send(type="text", content="Hello there", avatar_id="david")
        events = await talk.until("turn_metrics")
        kinds = [event["type"] for event in events]
        states = [event["state"] for event in events if event["type"] == "state"]
        assert states == ["thinking", "speaking"]
        assert (await talk.receive())["state"] == "idle"

        closing = next(event for event in events if event["type"] == "video")
        written = "".join(e["content"] for e in events if e["type"] == "text_delta")
        assert written == closing["content"]
        deltas = [event for event in events if event["type"] == "audio_delta"]
        assert [delta["seq"] for delta in deltas] == list(range(len(deltas)))
        whole, rate_hz = unpacked(closing["audio"])
        assert {delta["sample_rate"] for delta in deltas} == {rate_hz}
        pieces = [np.frombuffer(base64.b64decode(delta["data"]), "<i2") for delta in deltas]
        assert np.array_equal(np.concatenate(pieces), whole)
        assert kinds.index("audio_delta") < kinds.index("video")

        metrics = events[-1]
        stages = ("llm_first_token_ms", "first_sentence_ms", "tts_first_audio_ms", "first_frame_ms")
        marks = [metrics[stage] for stage in stages]
        assert marks == sorted(marks)
        assert marks[-1] <= metrics["total_ms"]
        assert {event["turn_id"] for event in (metrics, *deltas)} == {metrics["turn_id"]}


async def test_whatever_becomes_of_a_question_the_tutor_is_idle_at_the_end(
    engine: Running,
) -> None:
    async with engine.conversation() as (_, talk):
        await talk.ask(type="hello", features=["state"])
        for content, avatar_id in (("Hello", None), ("Hello", "nobody")):
            await talk.send(type="text", content=content, avatar_id=avatar_id)
            events = await talk.until("text", "error")
            assert "listening" not in {event.get("state") for event in events}
            assert await talk.receive() == {"type": "state", "state": "idle"}


async def test_a_compressed_voice_on_request(engine: Running) -> None:
    async with engine.conversation() as (_, talk):
        await talk.ask(type="hello", features=[], audio_format="mp3")
        answer = await talk.ask(type="text", content="Hello")
        head = base64.b64decode(answer["audio"])[:3]
        assert head == b"ID3" or head[0] == 0xFF


async def test_an_interrupt_stops_the_turn_and_keeps_what_was_heard(engine: Running) -> None:
    async with engine.conversation() as (session, talk):
        await talk.ask(type="hello", features=["deltas"])
        await talk.send(type="text", content="Tell me a long story")
        events = await talk.until("audio_delta")
        await asyncio.sleep(0.25)  # the learner listens to the first moments
        await talk.send(type="interrupt")
        events = await talk.until("interrupted")
        interrupted = events[-1]
        assert interrupted["stop_ms"] < 1000
        async with engine.http() as http:
            messages = (await http.get(f"/v1/sessions/{session.id}/messages")).json()
        kept = [m for m in messages if m["role"] == "assistant"]
        assert [m["content"] for m in kept] in ([interrupted["heard"]], [])
        assert all(m["interrupted"] for m in kept)
        assert (await talk.ask(type="ping"))["type"] == "pong"
        await talk.send(type="text", content="Go on")
        assert (await talk.until("text"))[-1]["content"]


async def test_an_interrupt_of_nothing_is_answered(engine: Running) -> None:
    async with engine.conversation() as (_, talk):
        interrupted = await talk.ask(type="interrupt")
        assert interrupted.pop("stop_ms") < 1000
        assert interrupted == {"type": "interrupted", "heard": ""}
