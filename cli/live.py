"""The terminal's own side of a live conversation: what a browser has, on aiortc.

offer ─► answer ─► ICE, DTLS ─► face, voice, events of the data channel

As a browser's, its jitter buffer holds the voice back, by 80 ms; the moments of the voice include
that.
"""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction

import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

from cli.client import Event
from cli.evidence import AUDIBLE, Wrong
from serve_app.webrtc.ice import IceNetwork, IceServers, network
from wire.events import IceServer

CLOSE_LIMIT_S = 5.0
"""A relay that does not answer is not waited for any longer."""

RATE_HZ = 48_000
PACKET = RATE_HZ // 50


class Silence(MediaStreamTrack):
    """A microphone that hears nothing."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._packets = 0
        self._start_s = 0.0

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        self._start_s = self._start_s or time.monotonic()
        due_s = self._start_s + self._packets * PACKET / RATE_HZ
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        frame = AudioFrame.from_ndarray(np.zeros((1, PACKET), np.int16), "s16", "mono")
        frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
        frame.pts = self._packets * PACKET
        self._packets += 1
        return frame


class Peer:
    """One WebRTC connection, and when what came over it. All moments are monotonic."""

    def __init__(self, net: IceNetwork) -> None:
        self.frames_s: list[float] = []
        self.size = ""
        self.loud_s: list[float] = []
        """Of packets (20 ms) with a voice in them."""
        self.events: list[Event] = []
        self.connected_s: float | None = None
        self.failed_s: float | None = None
        self._net = net
        self._offer = self._answer = ""
        self._tasks: list[asyncio.Task[None]] = []
        with network(net):
            self._connection = RTCPeerConnection(net.configuration())
            self._connection.addTransceiver(Silence(), "sendrecv")
            self._connection.addTransceiver("video", "recvonly")
            self._channel = self._connection.createDataChannel("events")
        self._channel.on("message", lambda message: self.events.append(json.loads(message)))
        self._connection.on("track", self._receive)
        self._connection.on("connectionstatechange", self._note_state)

    async def offer(self) -> str:
        await self._connection.setLocalDescription(await self._connection.createOffer())
        self._offer = self._connection.localDescription.sdp
        return self._offer

    async def take(self, answer: str) -> None:
        """Raises `Wrong`."""
        self._answer = answer
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        except Exception as wrong:  # aiortc has no error tree for what a description may hold
            raise Wrong("an answer that can be used", f"another one ({wrong!r})") from wrong

    @property
    def is_ready(self) -> bool:
        return self.connected_s is not None and self._channel.readyState == "open"

    def is_quiet(self, for_s: float) -> bool:
        return time.monotonic() - max(self.loud_s, default=0.0) > for_s

    def voice_s(self, since_s: float) -> float | None:
        """When the first voice since then was heard."""
        return next((at_s for at_s in self.loud_s if at_s > since_s), None)

    def way(self) -> str:
        """Over which kinds of candidates it is connected, ours first."""
        for connection in self._net.connections:
            for pair in connection._nominated.values():
                return f"{pair.local_candidate.type} ↔ {pair.remote_candidate.type}"
        return "an unknown way"

    def account(self) -> str:
        """What this side has seen, for whoever looks for the cause."""
        net, connection = self._net, self._connection
        parts = [
            f"This side named {kinds(self._offer)}, the engine {kinds(self._answer)}",
            f"checks from the engine: {net.checks_received}",
            f"ICE {connection.iceConnectionState}, connection {connection.connectionState}",
        ]
        for server, error in (("STUN", net.stun_error), ("TURN", net.turn_error)):
            parts += [f"{server} from here: {error}"] if error else []
        return "; ".join(parts) + "."

    def _note_state(self) -> None:
        state, now_s = self._connection.connectionState, time.monotonic()
        if state == "connected" and self.connected_s is None:
            self.connected_s = now_s
        elif state in ("failed", "closed") and self.failed_s is None:
            self.failed_s = now_s

    def _receive(self, track: MediaStreamTrack) -> None:
        taking = self._hear(track) if track.kind == "audio" else self._see(track)
        self._tasks.append(asyncio.create_task(taking, name=f"take {track.kind}"))

    async def _see(self, track: MediaStreamTrack) -> None:
        while (frame := await _next(track)) is not None:
            assert isinstance(frame, VideoFrame)
            self.frames_s.append(time.monotonic())
            self.size = f"{frame.width}×{frame.height}"

    async def _hear(self, track: MediaStreamTrack) -> None:
        while (frame := await _next(track)) is not None:
            assert isinstance(frame, AudioFrame)
            if np.abs(frame.to_ndarray().astype(np.int32)).max(initial=0) > AUDIBLE:
                self.loud_s.append(time.monotonic())

    async def close(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self._connection.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def ice_servers(told: Sequence[IceServer]) -> IceServers:
    """As the engine tells them to its clients."""
    urls = [url for server in told for url in server.urls]
    stun = next((url for url in urls if url.startswith("stun:")), "")
    relay = next((server for server in told if server.username), None)
    if relay is None:
        return IceServers(stun)
    return IceServers(stun, tuple(relay.urls), relay.username or "", relay.credential or "")


def kinds(sdp: str) -> str:
    """The candidates of a description: `2 host, 1 relay`. Each may stand behind several media."""
    lines = set(re.findall(r"^a=candidate:.*? typ \w+", sdp, re.MULTILINE))
    count = Counter(line.rpartition(" ")[2] for line in lines)
    return ", ".join(f"{many} {kind}" for kind, many in sorted(count.items())) or "no candidate"


def rate(frames_s: Sequence[float]) -> float:
    """Frames a second."""
    if len(frames_s) < 2:
        return 0.0
    return (len(frames_s) - 1) / (frames_s[-1] - frames_s[0])


async def _next(track: MediaStreamTrack) -> object:
    try:
        return await track.recv()
    except MediaStreamError:
        return None
