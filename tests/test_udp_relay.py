"""The bad network itself, between two plain peers and between two plain sockets."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription

from tests.live import Learner
from tests.test_live import FakeEngine
from tests.udp_relay import UdpRelay, hidden

LIMIT_S = 10


@asynccontextmanager
async def through(relay: UdpRelay) -> AsyncIterator[tuple[RTCDataChannel, list[str]]]:
    """A data channel whose other end echoes, and what has come back."""
    near, far = (RTCPeerConnection(RTCConfiguration([])) for _ in range(2))
    echoes: list[str] = []
    channel = near.createDataChannel("echo")
    channel.on("message", echoes.append)

    @far.on("datachannel")
    def on_channel(other: RTCDataChannel) -> None:
        other.on("message", other.send)

    try:
        await near.setLocalDescription(await near.createOffer())
        offer = hidden(near.localDescription.sdp)
        await far.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await far.setLocalDescription(await far.createAnswer())
        answer = relay.rewrite(far.localDescription.sdp)
        await near.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        yield channel, echoes
    finally:
        await near.close()
        await far.close()


async def echoed(channel: RTCDataChannel, echoes: list[str], word: str) -> None:
    async with asyncio.timeout(LIMIT_S):
        while channel.readyState != "open":  # noqa: ASYNC110  # the channel's only news is its state
            await asyncio.sleep(0.01)
        channel.send(word)
        while word not in echoes:  # noqa: ASYNC110  # the list is filled by a callback
            await asyncio.sleep(0.01)


async def test_the_only_way_leads_through_the_relay() -> None:
    async with UdpRelay() as relay, through(relay) as (channel, echoes):
        await echoed(channel, echoes, "one")
        before = relay.up.forwarded
        await echoed(channel, echoes, "two")
        assert relay.up.forwarded > before
        assert relay.down.forwarded and not relay.up.lost + relay.up.cut


async def test_a_connection_outlives_a_cut() -> None:
    async with UdpRelay() as relay, through(relay) as (channel, echoes):
        await echoed(channel, echoes, "before")
        relay.cut(2.0)
        began_s = time.monotonic()
        await echoed(channel, echoes, "after")
        assert time.monotonic() - began_s >= 2.0
        assert relay.up.cut


async def test_a_learner_goes_through_a_lossy_relay() -> None:
    engine = FakeEngine()
    async with UdpRelay(jitter_s=0.03) as relay, Learner(engine, 7) as learner:
        await learner.connect(through=relay)
        relay.loss = 0.05
        await learner.until(lambda: len(learner.sounds) > 100 and len(learner.frames) > 30)
        assert relay.up.lost and relay.down.lost
    await engine.close()


def numbers(end: socket.socket) -> list[int]:
    """What waits at this socket, before its buffer is full."""
    waiting = []
    with contextlib.suppress(BlockingIOError):
        while True:
            waiting.append(int.from_bytes(end.recv(2), "big"))
    return waiting


async def test_loss_and_jitter_are_what_was_asked_for() -> None:
    """Datagrams through the relay to a socket that counts them."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as engine,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as learner,
    ):
        for end in (engine, learner):
            end.bind(("127.0.0.1", 0))
            end.setblocking(False)
        port = engine.getsockname()[1]
        answer = f"v=0\r\na=candidate:1 1 udp 1 127.0.0.1 {port} typ host\r\n"
        came: list[int] = []
        async with UdpRelay(loss=0.1, jitter_s=0.03, seed=1) as relay:
            assert f"127.0.0.1 {relay.port} typ host" in relay.rewrite(answer)
            for number in range(2000):
                learner.sendto(number.to_bytes(2, "big"), ("127.0.0.1", relay.port))
                if number % 20 == 0:
                    await asyncio.sleep(0.001)
                    came += numbers(engine)
            await asyncio.sleep(0.1)
            came += numbers(engine)
    assert relay.up.forwarded == len(came) and relay.up.forwarded + relay.up.lost == 2000
    assert relay.up.loss == pytest.approx(0.1, abs=0.03)
    assert came != sorted(came)


def test_an_offer_without_addresses() -> None:
    offer = "v=0\r\na=candidate:1 1 udp 1 10.0.0.1 5 typ host\r\na=end-of-candidates\r\na=mid:0\r\n"
    assert hidden(offer) == "v=0\r\na=mid:0\r\n"


async def test_an_answer_without_an_address() -> None:
    async with UdpRelay() as relay:
        with pytest.raises(ValueError, match="IPv4"):
            relay.rewrite("v=0\r\na=candidate:1 1 udp 1 fd00::2 5 typ host\r\n")
        answer = relay.rewrite(
            "v=0\r\na=candidate:1 1 udp 9 fd00::2 5 typ host\r\n"
            "a=candidate:2 1 UDP 8 10.0.0.1 6 typ host\r\na=end-of-candidates\r\n"
        )
        own = f"a=candidate:relay 1 udp 2130706431 127.0.0.1 {relay.port} typ host"
        assert answer == f"v=0\r\n{own}\r\na=end-of-candidates\r\n"
