"""The control of the live video's figures: how many streams of ready frames and sound aiortc alone
sends on one core, with nothing of the engine in between.

A process of its own sends, on the first core that we may use; this one receives, on the second, and
decodes nothing: `Viewer` only counts packets, so that it is no limit. The engine is measured with
the same viewers:

    viewer = Viewer()
    await viewer.connect(lambda offer: answered(talk, offer, user_id=7))

Without `--streams` it looks for the most that all get `ENOUGH_FPS`. Nobody tells the sender how
much the network bears, so it stays at aiortc's 500 kbit/s.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import psutil
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtpPacket
from av import AudioFrame, VideoFrame

from benchmarks.measure import percentile
from engines.avatar.viseme.portrait import portrait
from engines.avatar.viseme.visemes import Mouth
from engines.base import FPS, FRAME_S, Pcm, Pixels
from serve_app.recording import resampled
from tests.speech import say

PROJECT = Path(__file__).resolve().parents[1]
ENOUGH_FPS = 24.5
SECONDS = 10.0
WARM_UP_S = 3.0
READY_FRAMES = 100
SOUND_HZ = 48_000
LIGHT_HZ = 90_000
PACKET = 960
CONNECT_LIMIT_S = 60.0
WORDS = "The quick brown fox jumps over the lazy dog, and then it sleeps until the evening."

AnswerOf = Callable[[str], Awaitable[str]]
"""Takes an offer's SDP to whoever sends, and brings the answer's."""


class Viewer:
    """Receives a face and a voice, and counts them."""

    def __init__(self, microphone: MediaStreamTrack | None = None) -> None:
        self.frames_at_s: list[float] = []
        """When each frame's last packet came, monotonic."""
        self.sounds_at_s: list[float] = []
        self.octets = 0
        self._microphone = microphone
        self._connected = asyncio.Event()
        self.peer = RTCPeerConnection(RTCConfiguration([], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.peer.close()

    async def connect(self, answer_of: AnswerOf) -> None:
        """Raises `TimeoutError` when no way leads to the sender."""
        direction = "recvonly" if self._microphone is None else "sendrecv"
        ears = self.peer.addTransceiver(self._microphone or "audio", direction).receiver
        eyes = self.peer.addTransceiver("video", "recvonly").receiver
        self._count(ears, self.sounds_at_s)
        self._count(eyes, self.frames_at_s)
        self.peer.createDataChannel("events")
        self.peer.on("connectionstatechange", self._look)
        await self.peer.setLocalDescription(await self.peer.createOffer())
        answer = await answer_of(self.peer.localDescription.sdp)
        await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(CONNECT_LIMIT_S):
            await self._connected.wait()

    def fps(self, since_s: float, until_s: float) -> float:
        frames = [at_s for at_s in self.frames_at_s if since_s <= at_s < until_s]
        return len(frames) / (until_s - since_s)

    def _look(self) -> None:
        if self.peer.connectionState == "connected":
            self._connected.set()

    def _count(self, receiver: RTCRtpReceiver, ends_at_s: list[float]) -> None:
        """Put ourselves before the receiver, which would put frames together and decode them."""
        sound = ends_at_s is self.sounds_at_s

        async def on_packet(packet: RtpPacket, arrival_time_ms: int) -> None:
            self.octets += len(packet.payload)
            if sound or packet.marker:
                ends_at_s.append(time.monotonic())

        vars(receiver)["_handle_rtp_packet"] = on_packet


class Face(MediaStreamTrack):
    """Ready frames, 25 a second; those that are late by a whole frame are left out."""

    kind = "video"

    def __init__(self, frames: list[Pixels]) -> None:
        super().__init__()
        self._frames = frames
        self._start_s = 0.0
        self._index = -1

    async def recv(self) -> VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        self._start_s = self._start_s or time.monotonic()
        due = int((time.monotonic() - self._start_s) / FRAME_S)
        self._index = max(self._index + 1, due)
        await asyncio.sleep(max(0.0, self._start_s + self._index * FRAME_S - time.monotonic()))
        planes = self._frames[self._index % len(self._frames)]
        frame = VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = self._index * LIGHT_HZ // FPS, Fraction(1, LIGHT_HZ)
        return frame


class Speech(MediaStreamTrack):
    """Ready sound, over and over."""

    kind = "audio"

    def __init__(self, packets: list[Pcm]) -> None:
        super().__init__()
        self._packets = packets
        self._start_s = 0.0
        self._index = 0

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        self._start_s = self._start_s or time.monotonic()
        due_s = self._start_s + self._index * PACKET / SOUND_HZ
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        packet = self._packets[self._index % len(self._packets)]
        frame = AudioFrame.from_ndarray(packet[None], "s16", "mono")
        frame.sample_rate, frame.time_base = SOUND_HZ, Fraction(1, SOUND_HZ)
        frame.pts = self._index * PACKET
        self._index += 1
        return frame


def ready_frames() -> list[Pixels]:
    """A speaking portrait, as yuv420p."""
    face = portrait("anna")
    x, y, width, height = face.mouth_box
    frames = []
    for index in range(READY_FRAMES):
        jaw = abs(float(np.sin(index * 0.7)))
        mouth = Mouth(jaw, wide=0.4 * jaw, press=0.0, teeth=0.5 * jaw, tongue=0.0)
        picture = face.frame(index).copy()
        picture[y : y + height, x : x + width] = face.mouth(index, mouth)
        frames.append(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8))
    return frames


async def ready_packets() -> list[Pcm]:
    sound = resampled(await say(WORDS), SOUND_HZ).samples
    whole = len(sound) // PACKET * PACKET
    return list(sound[:whole].reshape(-1, PACKET))


async def send() -> None:
    """The sending process: an offer on each line of the input, its answer on one of the output."""
    frames, packets = ready_frames(), await ready_packets()
    peers = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        peer = RTCPeerConnection(RTCConfiguration([]))
        peers.append(peer)
        await peer.setRemoteDescription(RTCSessionDescription(json.loads(line), "offer"))
        peer.addTrack(Face(frames))
        peer.addTrack(Speech(packets))
        await peer.setLocalDescription(await peer.createAnswer())
        print(json.dumps(peer.localDescription.sdp), flush=True)
    await asyncio.gather(*(peer.close() for peer in peers))


@asynccontextmanager
async def sender(core: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """The sending process, on one core from its first instruction on."""
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.bare_aiortc", "--send"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=PROJECT,
    )
    os.sched_setaffinity(0, ours)
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def answer(process: asyncio.subprocess.Process, offer: str) -> str:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(offer).encode() + b"\n")
    sdp: str = json.loads(await process.stdout.readline())
    return sdp


@dataclass(frozen=True, slots=True)
class Flow:
    """What some viewers got in a while, and what it cost."""

    fps: list[float]
    seconds: float
    cpu_s: float
    """Of the sending process and its threads."""
    receiver_cpu_s: float
    """Of this process; near `seconds`, the figures are its own limit."""
    kbits: float
    """A second and stream."""
    interval_p99_ms: float

    @property
    def enough(self) -> bool:
        return min(self.fps) >= ENOUGH_FPS

    def line(self) -> str:
        return json.dumps(
            {
                "streams": len(self.fps),
                "enough": self.enough,
                "fps": [round(fps, 2) for fps in self.fps],
                "seconds": round(self.seconds, 1),
                "cpu_s": round(self.cpu_s, 2),
                "cores_per_stream": round(self.cpu_s / self.seconds / len(self.fps), 4),
                "receiver_cpu_s": round(self.receiver_cpu_s, 2),
                "kbits_per_stream": round(self.kbits),
                "interval_p99_ms": round(self.interval_p99_ms, 1),
                "load": round(os.getloadavg()[0], 2),
            }
        )


async def watched(viewers: list[Viewer], pid: int, seconds: float) -> Flow:
    """What comes from a process to connected viewers, after a while of warming up."""
    await asyncio.sleep(WARM_UP_S)
    began_s, octets = time.monotonic(), sum(viewer.octets for viewer in viewers)
    cpu_s, own_s = cpu_time_s(pid), cpu_time_s(os.getpid())
    await asyncio.sleep(seconds)
    ended_s = time.monotonic()
    kbits = (sum(viewer.octets for viewer in viewers) - octets) * 8 / 1000
    return Flow(
        [viewer.fps(began_s, ended_s) for viewer in viewers],
        ended_s - began_s,
        cpu_time_s(pid) - cpu_s,
        cpu_time_s(os.getpid()) - own_s,
        kbits / (ended_s - began_s) / len(viewers),
        percentile([*_intervals_ms(viewers, began_s)], 99),
    )


def _intervals_ms(viewers: list[Viewer], since_s: float) -> Iterator[float]:
    for viewer in viewers:
        times = np.array([at_s for at_s in viewer.frames_at_s if at_s >= since_s])
        yield from np.diff(times) * 1000


def cpu_time_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


async def bare_sender(streams: int, seconds: float = SECONDS) -> Flow:
    """So many streams at once, from a new process."""
    sending, receiving, *_ = sorted(os.sched_getaffinity(0))
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(sender(sending))
        os.sched_setaffinity(0, {receiving})
        stack.callback(os.sched_setaffinity, 0, {sending, receiving})
        viewers = [await stack.enter_async_context(Viewer()) for _ in range(streams)]
        for viewer in viewers:
            await viewer.connect(lambda offer: answer(process, offer))
        return await watched(viewers, process.pid, seconds)


async def most(seconds: float) -> None:
    """One line for each number of streams, up to the first that is too many."""
    for streams in count(1):
        flow = await bare_sender(streams, seconds)
        print(flow.line(), flush=True)
        if not flow.enough:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, help="so many; else the most is looked for")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--send", action="store_true", help=argparse.SUPPRESS)
    wish: Any = parser.parse_args()
    if wish.send:
        asyncio.run(send())
    elif wish.streams:
        print(asyncio.run(bare_sender(wish.streams, wish.seconds)).line())
    else:
        asyncio.run(most(wish.seconds))


if __name__ == "__main__":
    main()
