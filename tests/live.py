"""A learner with a microphone, ears and eyes, as a browser has them, for tests and benchmarks.
`tests/reception.py` makes it receive as one, and `tests/lip_sync.py` tells what is in what it has
seen and heard.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Self

import numpy as np
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcconfiguration import RTCIceTransportPolicy
from av import AudioFrame, VideoFrame

from engines.base import HEARING_RATE_HZ, Audio, Pcm
from serve_app.recording import resampled
from tests.lip_sync import LOUD_RMS, Clocks, ReceivedFrame, ReceivedSound, SenderClock
from tests.reception import LIGHT_HZ, SOUND_HZ, Tap
from tests.running import Event, Talk
from tests.udp_relay import UdpRelay, hidden

PACKET = 960
"""Samples of one packet of sound, 20 ms."""

BLOCKS = 4
"""Parts of a packet whose loudness is told apart (5 ms), to know an edge better than 20."""

CORNER_PX = 64
CONNECT_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Said:
    """Moments (monotonic) of something said into the microphone."""

    first_s: float
    """The first sample is spoken."""
    last_s: float
    """The last sample has been spoken."""
    sent_s: float
    """The packet with it is full and leaves, up to 20 ms later."""


class Microphone(MediaStreamTrack):
    """Silence, and what is said into it; each packet leaves at the moment when it is full."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.started = asyncio.Event()
        self.start_s = 0.0
        self._packets = 0
        self._said: deque[tuple[int, Pcm]] = deque()
        """With the place of the first sample, in order, without overlap."""

    def say(self, samples: Pcm) -> Said:
        """Speak 16 kHz samples now, or after what is being said."""
        if not self.started.is_set():
            raise RuntimeError("The microphone is not connected yet: await connect() first.")
        begin = int((time.monotonic() - self.start_s) * SOUND_HZ)
        if self._said:
            begin = max(begin, self._said[-1][0] + len(self._said[-1][1]))
        sound = resampled(Audio(samples, HEARING_RATE_HZ), SOUND_HZ).samples
        self._said.append((begin, sound))
        end = begin + len(sound)
        moments = (begin, end, -(-end // PACKET) * PACKET)
        return Said(*(self.start_s + place / SOUND_HZ for place in moments))

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        if not self.started.is_set():
            self.start_s = time.monotonic()
            self.started.set()
        first = self._packets * PACKET
        self._packets += 1
        due_s = self.start_s + (first + PACKET) / SOUND_HZ
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        frame = AudioFrame.from_ndarray(self._packet(first)[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_HZ, first, Fraction(1, SOUND_HZ)
        return frame

    def _packet(self, first: int) -> Pcm:
        packet = np.zeros(PACKET, np.int16)
        for begin, sound in self._said:
            low, high = max(begin, first), min(begin + len(sound), first + PACKET)
            if low < high:
                packet[low - first : high - first] = sound[low - begin : high - begin]
        while self._said and self._said[0][0] + len(self._said[0][1]) <= first + PACKET:
            self._said.popleft()
        return packet


async def answered(talk: Talk, offer_sdp: str, **more: Any) -> str:
    """The engine's answer to an offer. Raises `ConnectionRefusedError` with its reason."""
    await talk.send(type="webrtc_offer", sdp=offer_sdp, **more)
    last = (await talk.until("webrtc_answer", "error"))[-1]
    if last["type"] == "error":
        raise ConnectionRefusedError(str(last))
    return str(last["sdp"])


class Learner:
    """Connects once; `async with` closes it. Nothing is dropped, and ten minutes are 20 MB, unless
    pixels or samples are kept."""

    def __init__(self, talk: Talk, user_id: int, engine_session_id: str | None = None) -> None:
        self.talk = talk
        self.keep_pixels = False
        self.keep_samples = False
        self.frames: list[ReceivedFrame] = []
        self.sounds: list[ReceivedSound] = []
        self.events: list[Event] = []
        """From the data channel."""
        self.microphone = Microphone()
        self.clocks = Clocks(SenderClock(), SenderClock())
        self.peer: RTCPeerConnection | None = None
        self.channel: RTCDataChannel | None = None
        self._name: Event = {"user_id": user_id}
        if engine_session_id is not None:
            self._name["engine_session_id"] = engine_session_id
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.close()

    async def connect(
        self,
        avatar_id: str | None = None,
        ice_servers: Sequence[RTCIceServer] = (),
        relay_only: bool = False,
        through: UdpRelay | None = None,
    ) -> None:
        """Offer, and wait until sound can flow both ways. Raises `ConnectionError`."""
        policy = RTCIceTransportPolicy.RELAY if relay_only else RTCIceTransportPolicy.ALL
        peer = self.peer = RTCPeerConnection(
            RTCConfiguration(list(ice_servers), policy, RTCBundlePolicy.MAX_BUNDLE)
        )
        peer.on("connectionstatechange", self._news.set)
        self._listen(peer)
        await peer.setLocalDescription(await peer.createOffer())
        wish = self._name if avatar_id is None else self._name | {"avatar_id": avatar_id}
        sdp = peer.localDescription.sdp
        answer = await answered(self.talk, hidden(sdp) if through else sdp, **wish)
        answer = through.rewrite(answer) if through else answer
        await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await self.until(lambda: peer.connectionState in ("connected", "failed", "closed"))
        if peer.connectionState != "connected":
            raise ConnectionError(f"The connection is {peer.connectionState}.")
        async with asyncio.timeout(CONNECT_LIMIT_S):
            await self.microphone.started.wait()

    def _listen(self, peer: RTCPeerConnection) -> None:
        ears = peer.addTransceiver(self.microphone, "sendrecv").receiver
        eyes = peer.addTransceiver("video", "recvonly").receiver
        hearing, seeing = Tap(ears, SOUND_HZ), Tap(eyes, LIGHT_HZ)
        self.clocks = Clocks(light=seeing.clock, sound=hearing.clock)

        @peer.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            if track.kind == "audio":
                self._begin(self._hear(track, hearing), "hear")
            else:
                self._begin(self._see(track, seeing), "see")

        self.channel = peer.createDataChannel("events")
        self.channel.on("message", self._note)
        peer.on("datachannel", lambda channel: channel.on("message", self._note))

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=f"learner {name}"))

    def _note(self, message: str | bytes) -> None:
        self.events.append(json.loads(message))
        self._news.set()

    async def _see(self, track: MediaStreamTrack, tap: Tap) -> None:
        while (frame := await _next(track)) is not None:
            assert isinstance(frame, VideoFrame)
            self.frames.append(_seen(frame, tap.arrival_s(frame.pts or 0), self.keep_pixels))
            self._news.set()

    async def _hear(self, track: MediaStreamTrack, tap: Tap) -> None:
        while (frame := await _next(track)) is not None:
            assert isinstance(frame, AudioFrame)
            self.sounds.append(_heard(frame, tap.arrival_s(frame.pts or 0), self.keep_samples))
            self._news.set()

    def say(self, samples: Pcm) -> Said:
        """Speak 16 kHz samples into the microphone, without waiting."""
        return self.microphone.say(samples)

    async def ask(self, content: str, **more: Any) -> None:
        """Send a `text_webrtc`, whose answer comes as face and voice."""
        await self.talk.send(type="text_webrtc", content=content, **self._name, **more)

    async def set_microphone(self, state: Literal["open", "held", "closed"]) -> None:
        await self.talk.send(type="microphone", state=state)

    async def until(self, there: Callable[[], object], limit_s: float = CONNECT_LIMIT_S) -> None:
        """Wait for something that frames, sounds, events or the connection bring."""
        async with asyncio.timeout(limit_s):
            while not there():
                self._news.clear()
                await self._news.wait()

    async def until_event(self, type: str, limit_s: float = CONNECT_LIMIT_S) -> Event:
        """The first event of this type on the data channel, also one that has come already."""

        def found() -> Event | None:
            return next((event for event in self.events if event["type"] == type), None)

        await self.until(found, limit_s)
        return found() or {}

    async def until_loud(
        self, since_s: float = 0.0, limit_s: float = CONNECT_LIMIT_S
    ) -> ReceivedSound:
        """The first loud sound that came after this moment."""
        found: list[ReceivedSound] = []

        def there() -> bool:
            for sound in _since(self.sounds, since_s):
                if sound.rms > LOUD_RMS:
                    found[:] = [sound]
            return bool(found)

        await self.until(there, limit_s)
        return found[0]

    async def until_quiet(
        self, for_s: float = 0.3, since_s: float = 0.0, limit_s: float = CONNECT_LIMIT_S
    ) -> float:
        """When the sound ended (or `since_s`) after which so much silence has come."""
        ended_s = since_s

        def there() -> bool:
            nonlocal ended_s
            recent = _since(self.sounds, since_s)
            ended_s = next((sound.at_s for sound in recent if sound.rms > LOUD_RMS), since_s)
            return bool(self.sounds) and self.sounds[-1].at_s - ended_s >= for_s

        await self.until(there, limit_s)
        return ended_s

    async def close(self) -> None:
        if self.peer is not None:
            await self.peer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _since(sounds: Sequence[ReceivedSound], since_s: float) -> Iterator[ReceivedSound]:
    """Latest first."""
    for sound in reversed(sounds):
        if sound.at_s <= since_s:
            return
        yield sound


async def _next(track: MediaStreamTrack) -> object:
    try:
        return await track.recv()
    except MediaStreamError:
        return None


def _seen(frame: VideoFrame, at_s: float, keep: bool) -> ReceivedFrame:
    """Reads a few hundred of the luma's bytes where they lie."""
    plane = frame.planes[0]
    luma = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:, : frame.width]
    corner = float(luma[:CORNER_PX:4, :CORNER_PX:4].mean())
    pixels = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) if keep else None
    pts_s = (frame.pts or 0) / LIGHT_HZ
    return ReceivedFrame(at_s, pts_s, corner, float(luma[::16, ::16].mean()), pixels)


def _heard(frame: AudioFrame, at_s: float, keep: bool) -> ReceivedSound:
    stereo = np.frombuffer(memoryview(frame.planes[0]), np.int16)[: 2 * frame.samples]
    samples = stereo[::2].copy()
    power = (samples.astype(np.float32).reshape(BLOCKS, -1) ** 2).mean(axis=1)
    blocks = tuple(float(rms) for rms in np.sqrt(power))
    pts_s = (frame.pts or 0) / SOUND_HZ
    rms = float(np.sqrt(power.mean()))
    return ReceivedSound(at_s, pts_s, rms, blocks, samples if keep else None)
