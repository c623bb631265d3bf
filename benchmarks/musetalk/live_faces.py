"""Sessions that show MuseTalk's faces as a live turn does, and such as always want more."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass

import numpy as np

from engines.avatar.musetalk.engine import MuseTalkAvatar
from engines.avatar.musetalk.speech import FRAME_SAMPLES
from engines.base import FPS, FRAME_S, HEARING_RATE_HZ, Audio, Cue, Pixels
from serve_app.framing import STRETCH_FRAMES, Framing
from serve_app.stage.reel import UNITS_AHEAD

SESSIONS = 4
"""That speak at once where frames are counted; there are as many faces."""

VOICE_S = 13.0
VOICE_RATE_HZ = 24_000
"""As the voices speak; the engine brings it to 16 kHz for every stretch."""

LONG = 200
"""Frames that a session asks for at once which always wants more: 8 s."""


def hum(rate_hz: int) -> Audio:
    """Without a pause, so that no frame is saved."""
    at = np.arange(int(VOICE_S * rate_hz)) / rate_hz
    wave = np.sin(2 * np.pi * (120 + 10 * at) * at) + 0.5 * np.sin(2 * np.pi * 700 * at)
    return Audio((6000 * wave).astype(np.int16), rate_hz)


HEARD, VOICE = hum(HEARING_RATE_HZ), hum(VOICE_RATE_HZ)


def face(session: int) -> str:
    return f"face {session % SESSIONS}"


def cue(session: int, frames: int) -> Cue:
    """In mid-speech."""
    return Cue(face(session), FPS, FPS * FRAME_SAMPLES, frames)


async def frames_between(
    avatar: MuseTalkAvatar, session: int, from_s: float, until_s: float
) -> int:
    """Frames that come in this time. The sessions begin with fewer or more, so that they do not end
    together."""
    count, frames = 0, LONG * (session + 1) // SESSIONS
    while True:
        async with aclosing(avatar.animate(HEARD, cue(session, frames))) as patches:
            async for patch in patches:
                now_s = time.perf_counter()
                if now_s >= until_s:
                    return count
                count += len(patch.pixels) * (now_s >= from_s)
        frames = LONG


async def mouths(avatar: MuseTalkAvatar, session: int) -> AsyncGenerator[Pixels, None]:
    """One after the other, of one answer, in the stretches of a live turn."""
    framing = Framing(face(session), 0)
    framing.hear(VOICE)
    for stretch in framing.stretches():
        async with aclosing(avatar.animate(stretch.speech, stretch.cue)) as patches:
            async for patch in patches:
                for pixels in patch.pixels:
                    yield pixels


async def first_ms(avatar: MuseTalkAvatar, session: int) -> float:
    """Until the first frame of a new answer."""
    began_s = time.perf_counter()
    async with aclosing(mouths(avatar, session)) as stream:
        await anext(stream)
    return 1000 * (time.perf_counter() - began_s)


@dataclass(slots=True)
class View:
    """What one learner sees."""

    taken_s: list[float]
    late_ms: list[float]

    def intervals_ms(self) -> list[float]:
        return [1000 * float(gap_s) for gap_s in np.diff(self.taken_s)]

    def fps(self) -> float:
        return (len(self.taken_s) - 1) / (self.taken_s[-1] - self.taken_s[0])


async def watch(avatar: MuseTalkAvatar, session: int, sessions: int, seconds: float) -> View:
    """A live session: it takes a frame every 40 ms from its first one on, and asks for more when
    what was asked for has come and at most five are not yet taken."""
    await asyncio.sleep(session / sessions * STRETCH_FRAMES * FRAME_S)  # not all at the same moment
    ahead: asyncio.Queue[Pixels] = asyncio.Queue(UNITS_AHEAD)

    async def draw() -> None:
        async with aclosing(mouths(avatar, session)) as stream:
            async for pixels in stream:
                await ahead.put(pixels)

    view = View([], [])
    async with asyncio.TaskGroup() as tasks:
        drawing = tasks.create_task(draw())
        await ahead.get()
        start_s = time.perf_counter()
        view.taken_s.append(start_s)
        for number in range(1, int(seconds * FPS)):
            due_s = start_s + number * FRAME_S
            await asyncio.sleep(due_s - time.perf_counter())
            await ahead.get()
            view.taken_s.append(time.perf_counter())
            view.late_ms.append(1000 * (view.taken_s[-1] - due_s))
        drawing.cancel()
    return view


@asynccontextmanager
async def speaking(avatar: MuseTalkAvatar, others: int) -> AsyncGenerator[None, None]:
    """Beside so many live sessions, one answer after the other."""

    async def speak(session: int) -> None:
        while True:
            await watch(avatar, session, max(1, others), VOICE_S - 2)

    tasks = [asyncio.create_task(speak(session)) for session in range(others)]
    await asyncio.sleep(1.0 if others else 0)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
