"""Engines with set delays and known answers, for tests and benchmarks. Never chosen by themselves.

Deterministic: the same input gives the same output after the same time, each item due at a moment
counted from the call, so that delays do not add up.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np

from engines.base import FRAME_SIZE_PX, Audio, Cue, Message, Patch, Pixels, Transcript, Voice

STUB_RATE_HZ = 16_000
STUB_WORDS = "This is the answer of the stub. "
TONE_HZ = 220.0
MOUTH_PX = 64


async def _until(due_s: float) -> None:
    """Sleep until a moment of the monotonic clock."""
    await asyncio.sleep(max(0.0, due_s - time.monotonic()))


@dataclass(frozen=True, slots=True)
class StubAsr:
    """Hears the same words in every recording."""

    delay_s: float = 0.0
    text: str = "hello stub"

    async def transcribe(self, speech: Audio, language: str | None) -> Transcript:
        await _until(time.monotonic() + self.delay_s)
        return Transcript(self.text, language or "en")


@dataclass(frozen=True, slots=True)
class StubLlm:
    """Writes a set answer, token by token."""

    tokens: tuple[str, ...] = tuple(word + " " for word in STUB_WORDS.split())
    first_token_s: float = 0.0
    gap_s: float = 0.0

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        began_s = time.monotonic()
        for index, token in enumerate(self.tokens):
            await _until(began_s + self.first_token_s + index * self.gap_s)
            yield token


@dataclass(frozen=True, slots=True)
class StubTts:
    """Hums one tone for a sentence, in pieces that come one after another."""

    first_piece_s: float = 0.0
    piece_delay_s: float = 0.0
    pieces: int = 2
    piece_seconds: float = 0.2

    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        began_s = time.monotonic()
        times = np.arange(int(self.piece_seconds * STUB_RATE_HZ)) / STUB_RATE_HZ
        tone = (8_000 * np.sin(2 * np.pi * TONE_HZ * times)).astype(np.int16)
        for index in range(self.pieces):
            await _until(began_s + self.first_piece_s + index * self.piece_delay_s)
            yield Audio(tone, STUB_RATE_HZ)


@dataclass(frozen=True, slots=True)
class StubAvatar:
    """A grey square for a mouth, as bright as its frame's index says."""

    delay_s: float = 0.0

    async def animate(self, speech: Audio, cue: Cue) -> AsyncIterator[Patch]:
        await _until(time.monotonic() + self.delay_s)
        indices = np.arange(cue.first_frame, cue.first_frame + cue.frames) % 256
        shape = (cue.frames, MOUTH_PX, MOUTH_PX, 3)
        pixels = np.broadcast_to(indices.astype(np.uint8)[:, None, None, None], shape)
        yield Patch(cue.first_frame, 0, 0, pixels)


class StubBackdrop:
    """A black frame."""

    def frame(self, index: int) -> Pixels:
        return np.zeros((FRAME_SIZE_PX, FRAME_SIZE_PX, 3), np.uint8)
