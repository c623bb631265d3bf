"""The clients that the published documents show, doing what their code does: same calls, same
fields, same order, and reading the answers as they read them. None of them says `hello`.

001 is the guide for front ends, 002 the one for connections of a user, 003 the one for the direct
socket, 004 the one for web servers.
"""

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Sequence

import httpx
import pytest

from engines.base import Message
from serve_app.settings import Settings
from tests.live import Learner
from tests.media import film, wav
from tests.running import Event, Running, base64_of, plain, stub_engines
from tests.web_server.documented import (
    PAGE,
    FrontEnd,
    GpuClient,
    Socket,
    is_heard,
    is_recent,
    logged_in,
    opened,
    shown,
)
from tests.web_server.schools import Site, open_site, settings_for
from web_server.demo import ADMIN, STUDENT

FACE = "avatar_tutor_13"
"""The `avatar_id` of their messages."""

CHINESE_TUTOR, ENGLISH_TUTOR = 1, 2

SESSION_FIELDS = {"session_id", "engine_url", "engine_token", "status"}
REPLY_FIELDS = {"type", "content", "role", "timestamp"}


class Parrot:
    """Says whatever it has been asked in this conversation."""

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        yield echo(*(message.content for message in messages if message.role == "user"))


def echo(*questions: str) -> str:
    return f"You have said {' and '.join(questions)}."


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = Settings(
        tutor_home=tmp_path_factory.mktemp("engine"), max_sessions=100, max_sessions_per_student=100
    )
    with plain(settings, stub_engines(think=lambda tutor: Parrot())) as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, engine: Running) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("web")
    with open_site(settings_for(home, engine.url, demo_accounts=True, cors_origins=PAGE)) as site:
        yield site


# ── 001, the guide for front ends ────────────────────────────────────────────────────────────────


async def test_001_step_2_a_session_is_created_with_a_tutor_alone(
    site: Site, engine: Running
) -> None:
    async with logged_in(site, STUDENT) as page:
        session = await page.create_session(CHINESE_TUTOR)
    assert set(session) == SESSION_FIELDS
    assert session["status"] == "active"
    assert session["engine_url"] == f"ws://127.0.0.1:{engine.port}/ws/ws/{session['session_id']}"


async def test_001_step_3_text_is_shown(site: Site) -> None:
    async with (
        logged_in(site, STUDENT) as page,
        page.lesson(CHINESE_TUTOR) as (_, socket),
    ):
        await socket.send(type="text", content="你好")
        assert shown(await socket.receive()) == ("text", echo("你好"))
        assert socket.messages[0]["role"] == "assistant"
        await socket.nothing_more()
        assert len(socket.messages) == 1


async def test_001_step_3_a_recording_is_transcribed_answered_and_spoken_once(site: Site) -> None:
    async with (
        logged_in(site, STUDENT) as page,
        page.lesson(ENGLISH_TUTOR) as (_, socket),
    ):
        await socket.send(type="audio", data=base64_of(wav()))
        transcription, text, (kind, data) = [shown(await socket.receive()) for _ in range(3)]
        assert transcription == ("transcription", "hello stub")
        assert text == ("text", echo("hello stub"))
        assert kind == "audio"
        assert is_heard(data)
        assert "audio" not in socket.messages[1], "or it would be heard twice"
        await socket.nothing_more()
        assert [message["role"] for message in socket.messages] == ["user", *["assistant"] * 2]


async def test_001_step_3_an_error_is_a_sentence_and_the_conversation_goes_on(site: Site) -> None:
    async with (
        logged_in(site, STUDENT) as page,
        page.lesson(ENGLISH_TUTOR) as (_, socket),
    ):
        await socket.send(type="audio", data=base64_of(b"no recording"))
        kind, sentence = shown(await socket.receive())
        assert kind == "error"
        assert len(sentence.split()) > 3
        await socket.send(type="text", content="Hello")
        assert shown(await socket.receive()) == ("text", echo("Hello"))
        await socket.nothing_more()
        assert len(socket.messages) == 2


async def test_001_step_4_another_tutor_has_another_session_and_socket(site: Site) -> None:
    """`useEffect` of `ChatPage`: disconnect, create, connect."""
    async with logged_in(site, STUDENT) as page:
        sessions = []
        for tutor_id in (CHINESE_TUTOR, ENGLISH_TUTOR):
            async with page.lesson(tutor_id) as (session, socket):
                await socket.send(type="text", content=f"To {tutor_id}")
                assert shown(await socket.receive()) == ("text", echo(f"To {tutor_id}"))
            sessions.append(session["session_id"])
    assert len(set(sessions)) == 2


async def test_001_method_2_each_server_by_hand(site: Site, engine: Running) -> None:
    """The calls of curl, which name no origin."""
    async with engine.http() as http:
        healthy = (await http.get("/health")).json()
        assert (healthy["status"], healthy["service"]) == ("healthy", "GPU Server")
    async with site.http() as http:
        assert (await http.get("/health")).json() == {"status": "ok"}
        login = {"email": "admin@example.com", "password": "admin123"}
        token = (await http.post("/api/auth/login", json=login)).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        wish = {"tutor_id": 1}
        session = (await http.post("/api/student/sessions", json=wish, headers=headers)).json()
    assert set(session) == SESSION_FIELDS


# ── 002, many sessions on one socket ─────────────────────────────────────────────────────────────


@contextlib.asynccontextmanager
async def user_socket(site: Site, page: FrontEnd) -> AsyncIterator[Socket]:
    """Connection 1: through the web server, with the login as its token."""
    address = f"{site.url.replace('http', 'ws', 1)}/api/ws/proxy/user/{page.user_id}"
    async with opened(f"{address}?token={page.login['access_token']}") as socket:
        yield socket


async def two_sessions(page: FrontEnd) -> tuple[str, str]:
    one, other = [await page.create_session(tutor) for tutor in (CHINESE_TUTOR, ENGLISH_TUTOR)]
    return one["session_id"], other["session_id"]


async def test_002_each_session_keeps_its_own_context_also_over_a_reconnect(site: Site) -> None:
    """Routing by `engine_session_id`, and cleaning up: contexts outlive the socket."""
    async with logged_in(site, STUDENT) as page:
        one, other = await two_sessions(page)
        async with user_socket(site, page) as socket:
            for session, question in ((one, "mercury"), (other, "venus"), (one, "earth")):
                await socket.send(type="text", content=question, engine_session_id=session)
                await socket.receive()
            await socket.nothing_more()
        assert [(m["engine_session_id"], m["content"]) for m in socket.messages] == [
            (one, echo("mercury")),
            (other, echo("venus")),
            (one, echo("mercury", "earth")),
        ]
        for message in socket.messages:
            assert set(message) == REPLY_FIELDS | {"audio", "engine_session_id"}
            assert message["type"] == "text"
            assert is_heard(message["audio"])
        async with user_socket(site, page) as again:
            told = await again.ask(type="text", content="mars", engine_session_id=other)
        assert told["content"] == echo("venus", "mars")


async def test_002_both_sessions_are_seen_and_heard_over_one_connection(site: Site) -> None:
    """WebRTC: an offer and candidates that name the user alone, then questions to each session."""
    async with logged_in(site, STUDENT) as page:
        one, other = await two_sessions(page)
        async with (
            user_socket(site, page) as socket,
            Learner(socket, page.user_id) as learner,
        ):
            await learner.connect(avatar_id=FACE)
            [answer] = socket.messages
            assert set(answer) == {"type", "sdp", "timestamp"}
            assert answer["type"] == "webrtc_answer"
            assert is_recent(answer["timestamp"])
            heard_s = 0.0
            for session, question in ((one, "mercury"), (other, "venus")):
                await learner.ask(question, avatar_id=FACE, engine_session_id=session)
                heard = await learner.until_loud(since_s=heard_s)
                heard_s = await learner.until_quiet(0.5, since_s=heard.at_s)
                caption = await socket.receive()
                assert set(caption) == REPLY_FIELDS | {"engine_session_id"}
                assert (caption["type"], caption["content"]) == ("text", echo(question))
                assert caption["engine_session_id"] == session
            assert learner.frames
            await socket.nothing_more()
            assert len(socket.messages) == 3


async def test_002_what_is_missing_is_told_and_the_socket_stays(site: Site) -> None:
    """Error handling: no session named, one that is not valid, no user in an offer or candidate."""
    async with logged_in(site, STUDENT) as page, logged_in(site, ADMIN) as somebody:
        mine = (await page.create_session(ENGLISH_TUTOR))["session_id"]
        foreign = (await somebody.create_session(ENGLISH_TUTOR))["session_id"]
        wrong: list[Event] = [
            {"type": "text", "content": "Hi"},
            {"type": "text", "content": "Hi", "engine_session_id": "uuid-here"},
            {"type": "text", "content": "Hi", "engine_session_id": foreign},
            {"type": "text_webrtc", "content": "Hi", "avatar_id": FACE, "engine_session_id": mine},
            {"type": "webrtc_ice_candidate", "candidate": {}},
        ]
        async with user_socket(site, page) as socket:
            for message in wrong:
                error = await socket.ask(**message)
                assert error["type"] == "error", message
                assert len(error["content"].split()) > 3
                assert is_recent(error["timestamp"])
            await socket.socket.send(json.dumps({"type": "webrtc_offer", "sdp": "..."}))
            assert (await socket.receive())["type"] == "error"
            told = await socket.ask(type="text", content="Hi", engine_session_id=mine)
            assert told["content"] == echo("Hi")


async def test_002_the_way_before_with_a_socket_for_each_session(
    site: Site, engine: Running
) -> None:
    """Session-based: no ids in the messages, and a context that ends with its socket."""
    async with logged_in(site, STUDENT) as page:
        session = await page.create_session(ENGLISH_TUTOR)
        url = engine.socket_url(session["session_id"], session["engine_token"], path="/ws")
        async with opened(url) as socket:
            for question in ("mercury", "venus"):
                await socket.ask(type="text", content=question)
            await socket.nothing_more()
        async with opened(url) as again:
            await again.ask(type="text", content="earth")
    told = [message["content"] for message in (*socket.messages, *again.messages)]
    assert told == [echo("mercury"), echo("mercury", "venus"), echo("earth")]
    assert not any("engine_session_id" in message for message in socket.messages)


# ── 003, the direct socket ───────────────────────────────────────────────────────────────────────


async def test_003_step_3_an_engine_by_hand(engine: Running) -> None:
    """The calls of curl, straight to the engine."""
    async with engine.http() as http:
        healthy = (await http.get("/health")).json()
        assert (healthy["status"], healthy["service"]) == ("healthy", "GPU Server")
        wish = {"tutor_id": 1, "student_id": 999, "kb_id": "test"}
        session = (await http.post("/v1/sessions", json=wish)).json()
    assert set(session) == SESSION_FIELDS
    assert session["engine_url"] == f"ws://127.0.0.1:{engine.port}/ws/ws/{session['session_id']}"


async def test_003_step_4_a_session_of_a_tutor_and_its_direct_socket(site: Site) -> None:
    """The example of its front end, whose user owns the tutor; the token is appended, as in the
    format at its end."""
    async with logged_in(site, STUDENT) as student, logged_in(site, ADMIN) as page:
        wish = {"student_id": student.user_id, "kb_id": "test"}
        session = await page.fetch("POST", "/api/tutors/1/sessions", wish)
        assert set(session) == SESSION_FIELDS
        async with opened(f"{session['engine_url']}?token={session['engine_token']}") as socket:
            answer = await socket.ask(type="text", content="Hello")
            assert (answer["type"], answer["content"]) == ("text", echo("Hello"))
            await socket.nothing_more()
        ended = await page.fetch("DELETE", f"/api/tutors/sessions/{session['session_id']}")
        assert ended == {"status": "deleted"}


@pytest.mark.parametrize("public", ["ws://tutor.example:9000", "wss://tutor.example/ws"])
async def test_003_the_address_that_the_browser_is_told_is_the_public_one(
    public: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """`WEBSOCKET_URL` of step 1, and the one behind nginx, which passes the path on as it is."""
    home = tmp_path_factory.mktemp("public")
    with (
        plain(Settings(tutor_home=home, websocket_url=public), stub_engines()) as engine,
        open_site(settings_for(home, engine.url, demo_accounts=True, cors_origins=PAGE)) as site,
    ):
        async with logged_in(site, STUDENT) as page:
            session = await page.create_session(ENGLISH_TUTOR)
        expected = f"{public.removesuffix('/ws')}/ws/ws/{session['session_id']}"
        assert session["engine_url"] == expected
        path = httpx.URL(session["engine_url"]).path
        url = f"ws://127.0.0.1:{engine.port}{path}?token={session['engine_token']}"
        async with engine.talk(url) as socket:
            assert (await socket.ask(type="text", content="Hello"))["type"] == "text"


# ── 004, the guide for web servers ───────────────────────────────────────────────────────────────


async def test_004_step_3_a_web_server_that_calls_the_engine(engine: Running) -> None:
    client = GpuClient(engine.url)
    healthy = await client.health_check()
    assert (healthy["status"], healthy["service"]) == ("healthy", "GPU Server")
    created = await client.create_session(tutor_id=1, student_id=123, kb_id="kb-001")
    assert set(created) == SESSION_FIELDS
    assert all(isinstance(value, str) for value in created.values()), "as `SessionResponse` wants"
    told = await client.get_session(created["session_id"])
    assert told["session_id"] == created["session_id"]
    assert (told["tutor_id"], told["student_id"], told["kb_id"]) == (1, 123, "kb-001")
    assert told["status"] == "active"
    assert is_recent(told["created_at"])
    assert is_recent(told["last_activity"])
    assert await client.delete_session(created["session_id"]) is True
    assert await client.delete_session(created["session_id"]) is False
    with pytest.raises(httpx.HTTPStatusError) as gone:
        await client.get_session(created["session_id"])
    assert gone.value.response.status_code == 404


async def test_004_step_3_without_a_knowledge_base(engine: Running) -> None:
    client = GpuClient(engine.url)
    created = await client.create_session(tutor_id=1, student_id=123)
    assert (await client.get_session(created["session_id"]))["kb_id"] is None
    assert await client.delete_session(created["session_id"])


async def test_004_the_routes_of_a_session(site: Site) -> None:
    """Its reference, field by field; and the health of the engine, which needs no login."""
    async with logged_in(site, STUDENT) as page:
        session = await page.create_session(CHINESE_TUTOR, kb_id="optional")
        assert set(session) == SESSION_FIELDS
        address = f"/api/student/sessions/{session['session_id']}"
        told = await page.fetch("GET", address)
        assert told["session_id"] == session["session_id"]
        assert (told["tutor_id"], told["student_id"]) == (CHINESE_TUTOR, page.user_id)
        assert told["status"] == "active"
        assert is_recent(told["created_at"])
        assert is_recent(told["last_activity"])
        assert await page.fetch("DELETE", address) == {"message": "Session ended successfully"}
    async with site.http() as http:
        seen = (await http.get("/api/student/gpu/health")).json()
    assert seen["enabled"] is True
    assert (seen["gpu_server"]["status"], seen["gpu_server"]["service"]) == (
        "healthy",
        "GPU Server",
    )


async def test_004_text_with_a_face_is_answered_with_a_video(site: Site) -> None:
    """`AIChat`: `kb_id` null, `sendTextMessage` with `avatarId`, `base64ToBlob` of the video."""
    async with (
        logged_in(site, STUDENT) as page,
        page.lesson(ENGLISH_TUTOR, kb_id=None) as (_, socket),
    ):
        message = await socket.ask(type="text", content="Hello", avatar_id=FACE)
        assert set(message) == REPLY_FIELDS | {"video", "audio"}
        assert (message["type"], message["role"]) == ("video", "assistant")
        assert message["content"] == echo("Hello")
        assert is_recent(message["timestamp"])
        assert base64.b64decode(message["video"], validate=True)[4:8] == b"ftyp", "video/mp4"
        assert film(message["video"]).frames
        assert is_heard(message["audio"])
        await socket.nothing_more()
        assert len(socket.messages) == 1, "the words are shown once"


async def test_004_text_without_a_face_and_a_recording(site: Site) -> None:
    """`sendTextMessage` with `avatarId` null leaves it out; `sendAudioMessage`."""
    async with (
        logged_in(site, STUDENT) as page,
        page.lesson(ENGLISH_TUTOR, kb_id=None) as (_, socket),
    ):
        await socket.ask(type="text", content="Hello")
        await socket.send(type="audio", data=base64_of(wav()))
        await socket.until("audio")
        await socket.nothing_more()
        seen = [(m["type"], m["role"], m["content"]) for m in socket.messages if "content" in m]
        assert seen == [
            ("text", "assistant", echo("Hello")),
            ("transcription", "user", "hello stub"),
            ("text", "assistant", echo("Hello", "hello stub")),
        ]
        assert all(is_recent(message["timestamp"]) for message in socket.messages)
