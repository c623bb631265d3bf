"""The proxy before a real gateway with stub engines: who is let in, what goes through, its ends."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from serve_app.settings import Settings
from tests.media import unpacked, wav
from tests.proxied import KEY, Web, jwt_of, web_before
from tests.running import Running, Talk, base64_of, plain, stub_engines
from web_server import gate as gate_module
from web_server import go_between
from web_server.tokens import ISSUER, Tokens
from wire.events import MAX_MESSAGE_BYTES

ROOMY: dict[str, Any] = {"max_sessions": 1000, "max_sessions_per_student": 1000}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = Settings(tutor_home=tmp_path_factory.mktemp("engine"), **ROOMY)
    with plain(settings, stub_engines()) as running:
        yield running


@pytest.fixture(scope="module")
def web(engine: Running) -> Iterator[Web]:
    with web_before(engine.url) as running:
        yield running


async def ended(talk: Talk) -> tuple[str, int | None]:
    """The code of the last `error`, and the one with which the socket is closed."""
    error = await talk.receive()
    with pytest.raises(ConnectionClosed):
        await talk.receive()
    return error["code"], talk.socket.close_code


# ── what goes through ────────────────────────────────────────────────────────────────────────────


async def test_a_question_is_answered_with_text_and_audio(engine: Running, web: Web) -> None:
    async with web.conversation(engine) as (session, talk):
        answer = await talk.ask(type="text", content="Hello", engine_session_id=session.id)
    assert (answer["type"], answer["role"]) == ("text", "assistant")
    assert answer["engine_session_id"] == session.id
    assert len(unpacked(answer["audio"])[0]) > 0


async def test_a_recording_is_understood_and_answered(engine: Running, web: Web) -> None:
    async with web.conversation(engine) as (session, talk):
        await talk.send(type="audio", data=base64_of(wav(20.0)), engine_session_id=session.id)
        events = await talk.until("audio")
    assert [event["type"] for event in events] == ["transcription", "text", "audio"]


async def test_a_film_comes_whole(engine: Running, web: Web) -> None:
    async with web.conversation(engine) as (session, talk):
        answer = await talk.ask(
            type="text", content="Hello", avatar_id="anna", engine_session_id=session.id
        )
    assert answer["type"] == "video"


async def test_binary_sound_reaches_the_engine(engine: Running, web: Web) -> None:
    voice = (8_000 * np.sin(np.arange(16_000) / 12)).astype(np.int16)
    async with web.conversation(engine) as (session, talk):
        await talk.ask(type="hello", features=["stream_in"])
        await talk.send(type="microphone", state="held", engine_session_id=session.id)
        await talk.socket.send(voice.tobytes())
        await talk.socket.send(b"odd")
        assert (await talk.receive())["code"] == "invalid_sound"  # the engine's word
        await talk.send(type="microphone", state="closed", engine_session_id=session.id)
        assert (await talk.until("audio"))[0]["type"] == "transcription"


async def test_two_sessions_share_a_socket(engine: Running, web: Web) -> None:
    async with (
        web.conversation(engine, student_id=5) as (one, talk),
        engine.live(student_id=5, tutor_id=3) as other,
    ):
        for session in (one, other):
            answer = await talk.ask(type="text", content="Hi", engine_session_id=session.id)
            assert (answer["type"], answer["engine_session_id"]) == ("text", session.id)
        assert (await talk.ask(type="text", content="Hi"))["code"] == "missing_engine_session_id"


async def test_bad_messages_get_the_engines_answer(engine: Running, web: Web) -> None:
    async with web.conversation(engine) as (_, talk):
        for frame, code in (
            ("{", "invalid_json"),
            ('"login"', "invalid_json"),
            ('{"hello": 1}', "missing_type"),
            ('{"type":"x","a":"login"}', "unknown_type"),
        ):
            await talk.socket.send(frame)
            assert (await talk.receive())["code"] == code
        assert await talk.ask(type="ping") == {"type": "pong"}


@pytest.mark.parametrize("word", ["hello", "login"])
async def test_a_message_too_deep_to_read_is_the_engines_to_refuse(
    engine: Running, web: Web, caplog: pytest.LogCaptureFixture, word: str
) -> None:
    servers = logging.getLogger("uvicorn")  # which hands nothing on
    servers.addHandler(caplog.handler)
    try:
        async with web.conversation(engine) as (_, talk):
            await talk.socket.send("[" * 4000 + f'"{word}"')
            assert (await talk.receive())["code"] == "invalid_json"
            assert await talk.ask(type="ping") == {"type": "pong"}
    finally:
        servers.removeHandler(caplog.handler)
    assert not [record for record in caplog.records if record.exc_info]


async def test_too_large_a_message_is_refused_and_the_socket_stays(
    engine: Running, web: Web
) -> None:
    async with web.conversation(engine) as (_, talk):
        await talk.socket.send("x" * (MAX_MESSAGE_BYTES + 1))
        assert (await talk.receive())["code"] == "message_too_large"
        await talk.socket.send("x" * MAX_MESSAGE_BYTES)
        assert (await talk.receive())["code"] == "invalid_json"
        with pytest.raises(ConnectionClosed):
            await talk.socket.send("x" * (17 * 2**20))
            await talk.receive()
        # Whoever is still sending may be cut off before it has read why.
        assert talk.socket.close_code in (1009, 1006)


async def test_many_sockets_at_once(engine: Running, web: Web) -> None:
    """They come and go a few at a time, so that a slow machine need not hurry, and ask together."""

    async def ask(student_id: int) -> bool:
        async with AsyncExitStack() as stack:
            conversation = web.conversation(engine, student_id, open_timeout=60, ping_interval=None)
            async with few_at_a_time:
                session, talk = await stack.enter_async_context(conversation)
            await all_there.wait()
            content = f"I am {student_id}"
            answer = await talk.ask(type="text", content=content, engine_session_id=session.id)
            async with few_at_a_time:
                await stack.aclose()
            return bool(answer["engine_session_id"] == session.id)

    few_at_a_time = asyncio.Semaphore(5)
    all_there = asyncio.Barrier(200)
    assert all(await asyncio.gather(*(ask(student_id) for student_id in range(1000, 1200))))


# ── who is let in ────────────────────────────────────────────────────────────────────────────────


def expired(user_id: int) -> str:
    """As an honest server signed it, a minute too long ago."""
    claims = jwt.decode(jwt_of(user_id), KEY, ["HS256"], issuer=ISSUER)
    claims["exp"] = int((datetime.now(UTC) - timedelta(minutes=1)).timestamp())
    return jwt.encode(claims, KEY, "HS256")


async def test_a_login_of_another_key_or_none_is_4401(engine: Running, web: Web) -> None:
    forged = Tokens("another key of somebody else, also long", "HS256", 30).issue(123, 1)[0]
    async with web.conversation(engine):
        for token in ("", "nonsense", forged, jwt_of(123)[:-3]):
            async with engine.talk(web.url(123, token)) as talk:
                assert await ended(talk) == ("bad_token", 4401)


async def test_a_login_that_has_ended_is_4401(engine: Running, web: Web) -> None:
    async with (
        web.conversation(engine),
        engine.talk(web.url(123, web.accounts.ending_in(123, -1))) as talk,
        engine.talk(web.url(123, expired(123))) as other,
    ):
        assert await ended(talk) == ("login_ended", 4401)
        assert await ended(other) == ("bad_token", 4401)


async def test_another_users_address_is_4403(engine: Running, web: Web) -> None:
    async with web.conversation(engine, 123), web.conversation(engine, 124):
        for user_id in ("124", "0123", "x", "123%20", "-123"):
            async with engine.talk(web.url(user_id, jwt_of(123))) as talk:
                assert await ended(talk) == ("wrong_user", 4403)


async def test_without_a_live_session_it_is_4404(engine: Running, web: Web) -> None:
    async with engine.talk(web.url(7)) as talk:
        assert await ended(talk) == ("session_not_found", 4404)
    async with engine.live(student_id=7) as gone:
        pass
    web.accounts.engine_tokens[7] = [gone.token]
    async with engine.talk(web.url(7)) as talk:
        assert await ended(talk) == ("session_not_found", 4404)


async def test_a_session_that_is_over_does_not_hide_one_that_lives(
    engine: Running, web: Web
) -> None:
    async with engine.live(student_id=8) as gone:
        pass
    async with engine.live(student_id=8) as session:
        web.accounts.engine_tokens[8] = [gone.token, session.token]
        async with engine.talk(web.url(8)) as talk:
            answer = await talk.ask(type="text", content="Hi", engine_session_id=session.id)
            assert answer["type"] == "text"


async def test_the_token_may_stay_out_of_the_address(engine: Running, web: Web) -> None:
    token = jwt_of(123)
    ways: list[dict[str, Any]] = [
        {"subprotocols": ["bearer", token]},
        {"additional_headers": {"Authorization": f"Bearer {token}"}},
    ]
    async with web.conversation(engine):
        for way in ways:
            async with engine.talk(web.bare_url(123), **way) as talk:
                assert await talk.ask(type="ping") == {"type": "pong"}
        async with engine.talk(web.bare_url(123), **ways[0]) as talk:
            assert talk.socket.subprotocol == "bearer"


@pytest.mark.parametrize(
    ("origin", "gate", "code"),
    [
        (None, {}, None),
        ("http://localhost:3000", {}, None),
        ("http://127.0.0.1:1", {"on_loopback": False}, None),  # the same host
        ("https://a.example", {"origins": ["https://a.example"]}, None),
        ("https://a.example", {"origins": ["*"]}, None),
        ("https://evil.example", {}, 4403),
        ("null", {}, 4403),
        ("http://[", {}, 4403),
        ("http://localhost:3000", {"on_loopback": False}, 4403),
        ("https://a.example.evil.example", {"origins": ["https://a.example"]}, 4403),
        ("http://a.example", {"origins": ["https://a.example"]}, 4403),
    ],
)
async def test_which_pages_may_connect(
    origin: str | None, gate: dict[str, Any], code: int | None, engine: Running
) -> None:
    with web_before(engine.url, **gate) as web:
        async with web.conversation(engine, origin=origin) as (_, talk):
            if code is None:
                assert await talk.ask(type="ping") == {"type": "pong"}
            else:
                assert await ended(talk) == ("origin_refused", code)


async def test_too_many_sockets_of_a_user_are_told_to_try_later(
    engine: Running, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_module, "MAX_SOCKETS_OF_A_USER", 1)
    async with web.conversation(engine, 9) as (_, first):
        assert await first.ask(type="ping") == {"type": "pong"}
        async with engine.talk(web.url(9)) as second:
            assert await ended(second) == ("too_many_sockets", 1013)
        async with web.conversation(engine, 10) as (_, other):
            assert await other.ask(type="ping") == {"type": "pong"}


async def test_an_engine_that_is_switched_off_is_told(engine: Running) -> None:
    with web_before(engine.url, engine_enabled=False) as web:
        async with engine.talk(web.url(123)) as talk:
            assert await ended(talk) == ("engine_unavailable", 1013)


async def test_a_database_that_is_away_is_told(engine: Running) -> None:
    with web_before(engine.url) as web:
        web.accounts.away = True
        async with engine.talk(web.url(123)) as talk:
            assert await ended(talk) == ("storage_failed", 1011)


async def test_no_token_reaches_the_log(engine: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with web_before(engine.url, log_level="info") as web:
        server = logging.getLogger("uvicorn")  # which hands nothing on
        server.addHandler(caplog.handler)
        try:
            async with web.conversation(engine) as (session, talk):
                await talk.ask(type="ping")
        finally:
            server.removeHandler(caplog.handler)
    own = [r.getMessage() for r in caplog.records if r.name.startswith(("web_server", "uvicorn"))]
    assert any("/api/ws/proxy/user/123" in line for line in own), "it writes down who connects"
    for secret in ("eyJ", session.token):
        assert not [line for line in own if secret in line]


# ── how it ends ──────────────────────────────────────────────────────────────────────────────────


async def test_the_engines_own_end_is_passed_on(engine: Running, web: Web) -> None:
    async with web.conversation(engine, 11) as (session, talk), engine.http() as http:
        await talk.ask(type="text", content="Hi", engine_session_id=session.id)
        await http.delete(f"/v1/sessions/{session.id}")
        assert await ended(talk) == ("session_ended", 4404)


async def test_too_many_at_the_engine_is_passed_on(engine: Running, web: Web) -> None:
    async with web.conversation(engine, 12) as (session, talk), AsyncExitStack() as direct:
        assert await talk.ask(type="ping") == {"type": "pong"}
        for _ in range(15):
            url = engine.socket_url("user_12", session.token)
            other = await direct.enter_async_context(engine.talk(url))
            assert await other.ask(type="ping") == {"type": "pong"}
        async with engine.talk(web.url(12)) as late:
            assert await ended(late) == ("too_many_sockets", 1013)


async def test_a_login_ends_while_connected(engine: Running, web: Web) -> None:
    async with (
        web.conversation(engine, 13),
        engine.talk(web.url(13, web.accounts.ending_in(13, 1.0))) as talk,
    ):
        assert await ended(talk) == ("login_ended", 4401)


async def test_a_login_is_prolonged_in_the_socket(
    engine: Running, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(go_between, "LOOK_INTERVAL_S", 0.05)
    async with web.conversation(engine, 14):
        brief = web.accounts.ending_in(14, 60.0)
        async with engine.talk(web.url(14, brief)) as talk:
            assert (await talk.ask(type="login", token="nonsense"))["code"] == "bad_token"
            assert (await talk.ask(type="login", token=jwt_of(15)))["code"] == "wrong_user"
            longer = web.accounts.ending_in(14, 3600.0)
            prolonged = await talk.ask(type="login", token=longer)
            assert prolonged["type"] == "login"
            assert 60 < prolonged["ends_in_s"] <= 3600
            web.accounts.ends_at[brief] = datetime.now(UTC)
            assert await talk.ask(type="ping") == {"type": "pong"}
            web.accounts.ends_at[longer] = datetime.now(UTC)
            assert await ended(talk) == ("login_ended", 4401)


async def test_an_account_that_is_closed_loses_its_socket(
    engine: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(go_between, "LOOK_INTERVAL_S", 0.05)
    with web_before(engine.url) as web:
        async with web.conversation(engine, 16) as (_, talk):
            assert await talk.ask(type="ping") == {"type": "pong"}
            web.accounts.away = True
            assert await talk.ask(type="ping") == {"type": "pong"}
            web.accounts.away = False
            web.accounts.closed.add(16)
            assert await ended(talk) == ("login_ended", 4401)


async def test_when_the_browser_leaves_the_engine_is_left(engine: Running, web: Web) -> None:
    async with web.conversation(engine, 17):
        for _ in range(20):  # more than the engine takes at once
            async with engine.talk(web.url(17)) as talk:
                assert await talk.ask(type="ping") == {"type": "pong"}
            await talk.socket.wait_closed()
