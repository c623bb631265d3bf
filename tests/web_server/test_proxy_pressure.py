"""Sides of the proxy that do not read: who waits for whom, and how much is held meanwhile."""

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from engines.stub import StubTts
from serve_app.settings import Settings
from tests.proxied import web_before
from tests.running import Running, plain, stub_engines
from web_server import go_between
from web_server.engine_socket import PING, PONG


async def test_a_slow_client_does_not_slow_another(tmp_path: Path) -> None:
    talkative = StubTts(pieces=100)  # 20 s: nearly a megabyte in base64
    settings = Settings(tutor_home=tmp_path)
    with plain(settings, stub_engines(speak=talkative)) as engine, web_before(engine.url) as web:
        async with (
            web.conversation(engine, 1, ping_interval=None, max_queue=1) as (slow, unread),
            web.conversation(engine, 2) as (fast, talk),
        ):
            unread.socket.transport.pause_reading()
            for _ in range(12):
                await unread.send(type="text", content="All", engine_session_id=slow.id)
            for _ in range(3):
                answer = await talk.ask(type="text", content="All", engine_session_id=fast.id)
                assert answer["type"] == "text"
            unread.socket.transport.resume_reading()
            for _ in range(12):
                assert (await unread.receive())["type"] == "text"


CLIENT = Running("http://127.0.0.1:1")
"""Only for its way to talk."""

FRAME = base64.b64encode(random.Random(7).randbytes(49_152)).decode()
"""64 KiB that no compression makes smaller."""

OFFERED_FRAMES = 4_000
"""Some 260 MB: far more than the sockets on the way hold."""


@dataclass
class Stuck:
    """What an engine could send, or was sent, before the other side stood still."""

    frames: int = 0
    at_end: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def engine_that(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    """One that welcomes everybody, and then does what no good engine does."""

    async def welcome(link: ServerConnection) -> None:
        assert await link.recv() == PING
        await link.send(PONG)
        await handler(link)

    async with serve(welcome, "127.0.0.1", 0, ping_interval=None, close_timeout=1) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_client_that_never_reads_is_cut_off_and_holds_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(go_between, "STALL_LIMIT_S", 1.0)
    monkeypatch.setattr(go_between, "SLOWEST_BYTES_A_SECOND", 10**9)
    flood = Stuck()

    async def send_all(link: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            while flood.frames < OFFERED_FRAMES:
                await link.send(FRAME)
                flood.frames += 1
        flood.at_end.set()

    async with engine_that(send_all) as url:
        with web_before(url) as web:
            web.accounts.engine_tokens[1] = ["any"]
            async with CLIENT.talk(web.url(1), ping_interval=None, max_queue=1) as talk:
                talk.socket.transport.pause_reading()
                await asyncio.wait_for(flood.at_end.wait(), 60)
                talk.socket.transport.resume_reading()
                with pytest.raises(ConnectionClosed):
                    while True:
                        await talk.socket.recv()
    assert 0 < flood.frames < OFFERED_FRAMES / 4


async def test_an_engine_that_does_not_read_holds_up_the_client() -> None:
    over = asyncio.Event()

    async def read_nothing(link: ServerConnection) -> None:
        link.transport.pause_reading()
        await over.wait()
        link.transport.abort()  # else the proxy would wait for a pong, for a minute

    sent = 0
    async with engine_that(read_nothing) as url:
        with web_before(url) as web:
            web.accounts.engine_tokens[1] = ["any"]
            async with CLIENT.talk(web.url(1), ping_interval=None, close_timeout=1) as talk:
                with pytest.raises(TimeoutError):
                    while sent < OFFERED_FRAMES:
                        async with asyncio.timeout(3):
                            await talk.socket.send(FRAME)
                        sent += 1
                over.set()
    assert 0 < sent < OFFERED_FRAMES / 4
