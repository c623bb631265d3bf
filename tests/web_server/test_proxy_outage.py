"""An engine that goes away behind the proxy, and comes back."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serve_app.settings import Settings
from tests import running as running_module
from tests.endurance import gateway as gateway_module
from tests.endurance.gateway import Apart, apart
from tests.proxied import Web, web_before
from tests.running import Event, Running, Talk, eventually, free_port, plain, stub_engines
from web_server import go_between
from web_server.go_between import Pauses

WITHOUT_WEBRTC = "tests.running:stub_engines"


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """That of the engine, whenever it starts."""
    port = free_port()
    for module in (running_module, gateway_module):
        monkeypatch.setattr(module, "free_port", lambda: port)
    monkeypatch.setattr(go_between, "LONGEST_PAUSE_S", 0.6)
    return port


@pytest.fixture
def web(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    own = free_port()
    with monkeypatch.context() as patch:
        patch.setattr("tests.proxied.free_port", lambda: own)
        with web_before(f"http://127.0.0.1:{port}") as running:
            yield running


@contextmanager
def engine_in(home: Path) -> Iterator[Running]:
    with plain(Settings(tutor_home=home, max_sessions=100), stub_engines()) as engine:
        yield engine


async def until(talk: Talk, wanted: Callable[[Event], bool]) -> list[Event]:
    events = [await talk.receive()]
    while not wanted(events[-1]):
        events.append(await talk.receive())
    return events


def refused(event: Event) -> bool:
    return event.get("code") == "engine_unavailable"


async def answered(talk: Talk, session_id: str) -> Event:
    """Ask until somebody answers."""
    while True:
        event = await talk.ask(type="text", content="Hello", engine_session_id=session_id)
        if event["type"] == "text":
            return event
        assert refused(event)
        await asyncio.sleep(0.1)


async def test_a_killed_engine_is_told_once_and_comes_back(
    tmp_path: Path, web: Web, port: int
) -> None:
    with killed(tmp_path) as first:
        engine = first.running
        session = await engine.session(student_id=5)
        web.accounts.engine_tokens[5] = [session.token]
        async with engine.talk(web.url(5)) as talk:
            greeting = await talk.ask(type="hello", features=["state", "stream_in"])
            await until_answer(talk, session.id)
            os.kill(first.pid, signal.SIGKILL)
            gone = await talk.receive()
            assert (gone["type"], gone["code"]) == ("error", "engine_unavailable")
            await while_it_is_away(talk, session.id)
            with apart(tmp_path, WITHOUT_WEBRTC):
                # Whoever said hello is greeted again, and knows by it that the engine is back.
                assert await talk.receive() == greeting
                events = await until_answer(talk, session.id)
                assert [event["state"] for event in events if event["type"] == "state"]


@contextmanager
def killed(home: Path) -> Iterator[Apart]:
    """A gateway that the test itself may have killed."""
    try:
        with apart(home, WITHOUT_WEBRTC) as gateway:
            yield gateway
    except BrokenPipeError:
        pass


async def until_answer(talk: Talk, session_id: str) -> list[Event]:
    await talk.send(type="text", content="Hello", engine_session_id=session_id)
    events = await talk.until("text")
    while events[-1].get("state") != "idle":
        events.append(await talk.receive())
    return events


async def while_it_is_away(talk: Talk, session_id: str) -> None:
    """Nothing is lost without a word, and nobody is flooded."""
    assert await talk.ask(type="ping") == {"type": "pong"}
    told = await talk.ask(type="text", content="Hello?", engine_session_id=session_id)
    assert refused(told)
    assert told["engine_session_id"] == session_id
    for _ in range(5):
        await talk.socket.send(b"\x00\x00" * 320)
    assert refused(await talk.receive())
    assert await talk.ask(type="ping") == {"type": "pong"}


async def test_an_engine_that_is_not_there_yet_is_waited_for(
    tmp_path: Path, web: Web, port: int
) -> None:
    with engine_in(tmp_path) as engine:
        session = await engine.session(student_id=6)
        web.accounts.engine_tokens[6] = [session.token]
    async with engine.talk(web.url(6)) as talk:
        assert refused(await talk.receive())
        await talk.send(type="hello", features=["captions"])
        await talk.send(type="hello", features=["state"])
        assert await talk.ask(type="ping") == {"type": "pong"}  # so both have been read
        with engine_in(tmp_path):
            greeting = await talk.receive()
            assert (greeting["type"], greeting["features"]) == ("hello", ["state"])


async def test_an_engine_that_is_restarted_goes_on_with_old_clients_too(
    tmp_path: Path, web: Web, port: int
) -> None:
    """They never said hello, and are told nothing but of errors."""
    with engine_in(tmp_path) as engine:
        session = await engine.session(student_id=7)
        web.accounts.engine_tokens[7] = [session.token]
        talking = engine.talk(web.url(7))
        talk = await talking.__aenter__()
        await answered(talk, session.id)
    try:
        assert refused(await talk.receive())
        with engine_in(tmp_path):
            assert (await answered(talk, session.id))["audio"]
    finally:
        await talking.__aexit__(None, None, None)


async def test_when_the_sessions_ended_meanwhile_it_is_4404(
    tmp_path: Path, web: Web, port: int
) -> None:
    with engine_in(tmp_path) as engine:
        session = await engine.session(student_id=8)
        web.accounts.engine_tokens[8] = [session.token]
        talking = engine.talk(web.url(8))
        talk = await talking.__aenter__()
        assert await talk.ask(type="ping") == {"type": "pong"}
    web.accounts.engine_tokens[8] = []
    events = await until(talk, lambda event: event.get("code") == "session_not_found")
    assert refused(events[0])
    await talk.socket.wait_closed()
    assert talk.socket.close_code == 4404
    await talking.__aexit__(None, None, None)


async def test_what_is_no_engine_is_not_taken_for_one(web: Web, port: int) -> None:
    """A page at the engine's address: every try fails, and the socket stays."""
    answers = 0

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answers
        answers += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    web.accounts.engine_tokens[9] = ["any"]
    async with (
        await asyncio.start_server(page, "127.0.0.1", port),
        Running("http://127.0.0.1:1").talk(web.url(9)) as talk,
    ):
        assert refused(await talk.receive())
        await eventually(lambda: answers > 2)
        assert await talk.ask(type="ping") == {"type": "pong"}  # told once


def test_pauses_grow_to_an_end_and_differ() -> None:
    def pauses() -> list[float]:
        own = Pauses()
        return [own.next_s() for _ in range(200)]

    ours = pauses()
    assert all(go_between.FIRST_PAUSE_S <= pause <= go_between.LONGEST_PAUSE_S for pause in ours)
    assert ours[0] <= 2 * go_between.FIRST_PAUSE_S
    assert max(ours) > go_between.LONGEST_PAUSE_S / 2
    assert ours != pauses()
