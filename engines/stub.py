"""Engines with set delays and known answers, for tests and benchmarks. Never chosen by themselves.

Deterministic: the same input gives the same output after the same time, each item due at a moment
counted from the call, so that delays do not add up.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from engines.base import (
    FPS,
    FRAME_SIZE_PX,
    Audio,
    Cue,
    Message,
    Patch,
    Pcm,
    Pixels,
    Transcript,
    Vocabulary,
    Voice,
)

STUB_RATE_HZ = 16_000
STUB_WORDS = "This is the answer of the stub. "
TONE_HZ = 220.0
MOUTH_PX = 64

LIGHT_PX = 256
"""Width of the square that shows loudness: to be seen through any codec."""

LOUD_RMS = 1000.0
"""Of 16-bit samples; the tone has 5657."""

VOICE_RMS = 500.0
"""What the stub of the speech detector takes for speech."""


async def _until(due_s: float) -> None:
    """Sleep until a moment of the monotonic clock."""
    await asyncio.sleep(max(0.0, due_s - time.monotonic()))


@dataclass(frozen=True, slots=True)
class StubAsr:
    """Hears the same words in every recording."""

    delay_s: float = 0.0
    text: str = "hello stub"

    async def transcribe(
        self, speech: Audio, language: str | None, vocabulary: Vocabulary = ()
    ) -> Transcript:
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
    beat_s: float = 0.0
    """When not 0: the tone sounds for so long and rests for so long, from the sentence's start on,
    so that there are edges to measure at."""

    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        began_s = time.monotonic()
        times = np.arange(int(self.piece_seconds * STUB_RATE_HZ)) / STUB_RATE_HZ
        tone = (8_000 * np.sin(2 * np.pi * TONE_HZ * times)).astype(np.int16)
        for index in range(self.pieces):
            await _until(began_s + self.first_piece_s + index * self.piece_delay_s)
            yield Audio(self._beaten(tone, index * len(tone)), STUB_RATE_HZ)

    def _beaten(self, tone: Pcm, first: int) -> Pcm:
        """The tone with its rests, `first` being the place of its first sample in the sentence."""
        if not self.beat_s:
            return tone
        beat = round(self.beat_s * STUB_RATE_HZ)
        sounding = np.arange(first, first + len(tone)) // beat % 2 == 0
        return np.where(sounding, tone, 0).astype(np.int16)


@dataclass(frozen=True, slots=True)
class StubAvatar:
    """A grey square for a mouth: as bright as its frame's index says, or white while it is loud."""

    delay_s: float = 0.0
    shows: Literal["index", "loudness"] = "index"

    async def animate(self, speech: Audio, cue: Cue) -> AsyncIterator[Patch]:
        await _until(time.monotonic() + self.delay_s)
        if self.shows == "loudness":
            greys, size = _loudness(speech, cue), LIGHT_PX
        else:
            indices = np.arange(cue.first_frame, cue.first_frame + cue.frames) % 256
            greys, size = indices.astype(np.uint8), MOUTH_PX
        pixels = np.broadcast_to(greys[:, None, None, None], (cue.frames, size, size, 3))
        yield Patch(cue.first_frame, 0, 0, pixels)


def _loudness(speech: Audio, cue: Cue) -> npt.NDArray[np.uint8]:
    """255 for each frame whose own 40 ms of speech are loud, else 0."""
    length = speech.rate_hz // FPS
    begins = range(cue.begin, cue.begin + cue.frames * length, length)
    loud = [_rms(speech.samples[begin : begin + length]) > LOUD_RMS for begin in begins]
    return np.where(loud, 255, 0).astype(np.uint8)


def _rms(samples: Pcm) -> float:
    """0 for no samples."""
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0


class StubVad:
    """Takes every sound for speech."""

    def speech(self, window: Pcm) -> float:
        return 1.0 if _rms(window) > VOICE_RMS else 0.0


class StubBackdrop:
    """A black frame."""

    def frame(self, index: int) -> Pixels:
        return np.zeros((FRAME_SIZE_PX, FRAME_SIZE_PX, 3), np.uint8)
