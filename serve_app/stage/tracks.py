"""The two tracks of a live face: they only hand on what the stage's clock releases."""

import asyncio
from collections import deque
from fractions import Fraction
from typing import Generic, TypeVar

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from engines.base import Pcm
from serve_app.stage.painting import painted
from serve_app.stage.reel import LIVE_RATE_HZ, Shown
from serve_app.stage.scenery import Scenery

VIDEO_RATE_HZ = 90_000
"""Clock of every video format in RTP."""

FRAMES_WAITING = 2
"""A picture that is not taken in time is dropped: video may stutter, never fall behind."""

PACKETS_WAITING = 10
"""200 ms of sound."""

Item = TypeVar("Item")


class Latest(Generic[Item]):
    """The newest few items; the oldest give way."""

    def __init__(self, size: int) -> None:
        self._items: deque[Item | None] = deque(maxlen=size)
        self._there = asyncio.Event()

    def put(self, item: Item | None) -> None:
        self._items.append(item)
        self._there.set()

    async def take(self) -> Item | None:
        while not self._items:
            self._there.clear()
            await self._there.wait()
        return self._items.popleft()


class VoiceTrack(MediaStreamTrack):
    """20 ms of 48 kHz mono at a time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._released: Latest[tuple[Pcm, int]] = Latest(PACKETS_WAITING)

    def release(self, sound: Pcm, at_samples: int) -> None:
        self._released.put((sound, at_samples))

    async def recv(self) -> av.AudioFrame:
        """The next packet's sound. Raises `MediaStreamError` when the track has stopped."""
        if (item := await self._released.take()) is None or self.readyState != "live":
            raise MediaStreamError
        sound, at_samples = item
        row = np.ascontiguousarray(sound, np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(row, format="s16", layout="mono")
        frame.sample_rate = LIVE_RATE_HZ
        frame.pts = at_samples
        frame.time_base = Fraction(1, LIVE_RATE_HZ)
        return frame

    def stop(self) -> None:
        super().stop()
        self._released.put(None)


class FaceTrack(MediaStreamTrack):
    """One frame at a time, painted in a thread when it is due."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._released: Latest[tuple[Scenery, Shown, float]] = Latest(FRAMES_WAITING)

    def release(self, scenery: Scenery, shown: Shown, at_s: float) -> None:
        self._released.put((scenery, shown, at_s))

    async def recv(self) -> av.VideoFrame:
        """The next frame. Raises `MediaStreamError` when the track has stopped."""
        if (item := await self._released.take()) is None or self.readyState != "live":
            raise MediaStreamError
        scenery, shown, at_s = item
        frame = await asyncio.to_thread(painted, scenery, shown)
        frame.pts = round(at_s * VIDEO_RATE_HZ)
        frame.time_base = Fraction(1, VIDEO_RATE_HZ)
        return frame

    def stop(self) -> None:
        super().stop()
        self._released.put(None)
