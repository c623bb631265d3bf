"""The terminal's own WebRTC peer, against another one in this process."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from av import AudioFrame, VideoFrame

from cli.evidence import Wrong
from cli.live import PACKET, RATE_HZ, Peer, Silence, ice_servers, kinds, rate
from serve_app.webrtc.ice import IceNetwork, IceServers, network
from wire.events import IceServer

LOOK_INTERVAL_S = 0.02
LOOKS = 500
VOICE = (8_000 * np.sin(np.arange(PACKET) * 0.2)).astype(np.int16)


class Beat(MediaStreamTrack):
    """Half a second of silence, then of voice, and so on."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._count = itertools.count()

    async def recv(self) -> AudioFrame:
        index = next(self._count)
        await asyncio.sleep(0.02)
        samples = VOICE if index // 25 % 2 else np.zeros(PACKET, np.int16)
        frame = AudioFrame.from_ndarray(samples[None], "s16", "mono")
        frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
        frame.pts = index * PACKET
        return frame


class Grey(MediaStreamTrack):
    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._count = itertools.count()

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(0.04)
        frame = VideoFrame.from_ndarray(np.full((64, 96, 3), 128, np.uint8), "bgr24")
        frame.pts, frame.time_base = next(self._count) * 3600, Fraction(1, 90_000)
        return frame


async def until(there: Callable[[], object]) -> None:
    for _ in range(LOOKS):
        if there():
            return
        await asyncio.sleep(LOOK_INTERVAL_S)
    raise TimeoutError


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Peer, RTCPeerConnection]]:
    ours = Peer(IceNetwork(loopback=True))
    with network(IceNetwork(loopback=True)):
        theirs = RTCPeerConnection(RTCConfiguration([]))
        theirs.addTrack(Beat())
        theirs.addTrack(Grey())
        theirs.on("datachannel", lambda channel: channel.send('{"type":"caption"}'))
        await theirs.setRemoteDescription(RTCSessionDescription(await ours.offer(), "offer"))
    await theirs.setLocalDescription(await theirs.createAnswer())
    try:
        await ours.take(theirs.localDescription.sdp)
        yield ours, theirs
    finally:
        await theirs.close()
        await ours.close()


async def test_what_comes_is_noted_with_its_moment() -> None:
    async with connected() as (ours, _):
        await until(lambda: ours.is_ready)
        since_s = time.monotonic()
        await until(lambda: ours.voice_s(since_s) and len(ours.frames_s) > 20 and ours.events)
        first_s = ours.voice_s(since_s)
        assert first_s is not None and since_s < first_s <= time.monotonic()
        await until(lambda: ours.is_quiet(0.2))
        assert time.monotonic() - ours.loud_s[-1] < 0.4
        assert ours.size == "96×64"
        assert 15 < rate(ours.frames_s) < 30
        assert ours.events == [{"type": "caption"}]
        assert ours.way() == "host ↔ host"
        assert ours.failed_s is None


async def test_the_other_sides_goodbye_is_noted() -> None:
    async with connected() as (ours, theirs):
        await until(lambda: ours.is_ready)
        await theirs.close()
        await until(lambda: ours.failed_s)
        assert "connection closed" in ours.account()


async def test_an_answer_that_is_none() -> None:
    peer = Peer(IceNetwork(loopback=True))
    await peer.offer()
    with pytest.raises(Wrong, match="an answer that can be used"):
        await peer.take("v=0\r\nnonsense")
    assert "the engine no candidate" in peer.account()
    assert peer.way() == "an unknown way"
    await peer.close()


async def test_a_microphone_that_hears_nothing_keeps_time() -> None:
    microphone = Silence()
    began_s = time.monotonic()
    frames = [await microphone.recv() for _ in range(6)]
    assert time.monotonic() - began_s == pytest.approx(0.1, abs=0.08)
    assert [frame.pts for frame in frames] == [PACKET * index for index in range(6)]
    assert not any(frame.to_ndarray().any() for frame in frames)


def test_ice_servers_are_those_that_were_told() -> None:
    stun = IceServer(urls=["stun:a:1"])
    turn = IceServer(urls=["turn:b:2", "turns:b:3"], username="u", credential="c")
    assert ice_servers([]) == IceServers()
    assert ice_servers([stun]) == IceServers("stun:a:1")
    assert ice_servers([stun, turn]) == IceServers("stun:a:1", ("turn:b:2", "turns:b:3"), "u", "c")


def test_candidates_are_counted_once_for_all_media() -> None:
    host = "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\n"
    relay = "a=candidate:2 1 udp 1 10.0.0.1 9 typ relay raddr 127.0.0.1 rport 9\r\n"
    assert kinds(f"m=audio\r\n{host}{relay}m=video\r\n{host}{relay}") == "1 host, 1 relay"
    assert kinds("v=0\r\n") == "no candidate"


def test_a_rate_needs_two_frames() -> None:
    assert rate([]) == rate([1.0]) == 0.0
    assert rate([1.0, 1.04, 1.08]) == pytest.approx(25)
