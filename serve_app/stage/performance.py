"""A turn on the stage: its voice and its face, made into units as they come.

voice ─► framing ─► avatar ─► mouths ─┐
  └────► 48 kHz ──────────────────────┴─► units ─► stage
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import av
import numpy as np

from engines.base import Audio, Avatar, Pcm
from serve_app.framing import Framing, Stretch
from serve_app.patience import Patience, in_time
from serve_app.stage.reel import LIVE_RATE_HZ, UNIT_SAMPLES, MediaUnit, Mouth
from serve_app.stage.stage import Stage

FACE_GAP_LIMIT_S = 2.0
"""A live face that draws nothing for so long is gone; the voice goes on without it."""

TAIL_S = 0.1
"""The last frames of a sentence are drawn this long before the stage has nothing left."""

PIECE_PATIENCE_S = 0.15
"""In mid-sentence the next piece may take this long, before what there is of it is spoken."""

Voice = asyncio.Queue[Audio | None]
"""Pieces of the voice; an empty piece ends a sentence, None ends the turn."""


class LiveSound:
    """The voice at 48 kHz, taken out in units."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=LIVE_RATE_HZ)
        self._sound: Pcm = np.zeros(0, np.int16)

    def feed(self, samples: Pcm) -> None:
        row = np.ascontiguousarray(samples, np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(row, format="s16", layout="mono")
        frame.sample_rate = self._rate_hz
        self._take_in(self._resampler.resample(frame))

    def flush(self) -> None:
        """The last samples, which the resampler's filter still holds."""
        self._take_in(self._resampler.resample(None))

    def unit(self) -> Pcm:
        """The next 40 ms, filled up with silence at the end."""
        unit, self._sound = self._sound[:UNIT_SAMPLES], self._sound[UNIT_SAMPLES:]
        return np.pad(unit, (0, UNIT_SAMPLES - len(unit)))

    def _take_in(self, frames: list[av.AudioFrame]) -> None:
        parts = [np.asarray(frame.to_ndarray()[0], np.int16) for frame in frames]
        self._sound = np.concatenate([self._sound, *parts])


class Performance:
    """One turn's voice and face."""

    def __init__(
        self, avatar: Avatar, stage: Stage, generation: int, on_failure: Callable[[Exception], None]
    ) -> None:
        self._avatar = avatar
        self._stage = stage
        self._generation = generation
        self._on_failure = on_failure
        self._faceless = False

    async def run(self, first: Audio, voice: Voice) -> None:
        """Until the voice has ended and all of it has been released. Raises `PeerGone`."""
        piece: Audio | None = first
        while piece is not None:
            piece = await self._speech(piece, voice)
        await self._stage.emptied()

    async def _speech(self, first: Audio, voice: Voice) -> Audio | None:
        """Speech without a gap; returns what the next speech begins with, None at the end."""
        framing = Framing(self._stage.shown, self._stage.begin())
        sound = LiveSound(first.rate_hz)
        piece: Audio | None = first
        late = False
        while piece is not None and not late:
            piece = _heard(piece, voice, framing, sound)
            for stretch in framing.stretches():
                await self._draw(stretch, sound)
                if framing.wants_more and not voice.empty():
                    break
            if piece is None:
                break
            try:
                async with asyncio.timeout(self._patience_s(piece)):
                    piece = await voice.get()
            except TimeoutError:
                late = True
        sound.flush()
        for stretch in framing.flush():
            await self._draw(stretch, sound)
        self._stage.rest()  # the body goes on by itself while the next words are being thought of
        return await _next_sound(voice) if late else None

    def _patience_s(self, latest: Audio) -> float:
        """How long the next piece may take before what is held back for it is let go."""
        ahead_s = self._stage.ahead_s
        return max(ahead_s, PIECE_PATIENCE_S) if len(latest.samples) else max(ahead_s - TAIL_S, 0)

    async def _draw(self, stretch: Stretch, sound: LiveSound) -> None:
        frame = stretch.cue.first_frame
        async with aclosing(self._mouths(stretch)) as mouths:
            async for mouth in mouths:
                unit = MediaUnit(self._generation, frame, sound.unit(), mouth)
                await self._stage.put(unit)
                frame += 1

    async def _mouths(self, stretch: Stretch) -> AsyncGenerator[Mouth | None, None]:
        """One for each frame of the stretch; None when there is no face to be had."""
        count = 0
        if not self._faceless:
            try:
                async with aclosing(self._drawn(stretch)) as drawn:
                    async for mouth in drawn:
                        yield mouth
                        count += 1
            except Exception as error:  # without a face the voice still goes on
                self._faceless = True
                self._on_failure(error)
        for _ in range(count, stretch.cue.frames):
            yield None

    async def _drawn(self, stretch: Stretch) -> AsyncGenerator[Mouth, None]:
        patches = self._avatar.animate(stretch.speech, stretch.cue)
        limits = Patience(FACE_GAP_LIMIT_S, FACE_GAP_LIMIT_S)
        async with aclosing(in_time(patches, limits, "The face")) as stream:
            async for patch in stream:
                for pixels in patch.pixels:
                    yield Mouth(patch.x, patch.y, pixels)


def _heard(first: Audio, voice: Voice, framing: Framing, sound: LiveSound) -> Audio | None:
    """Take in a piece, and of what has come behind it as much as helps the face; returns the last
    one, None at the end."""
    piece: Audio | None = first
    while piece is not None:
        if len(piece.samples):
            sound.feed(piece.samples)
            framing.hear(piece)
        if not len(piece.samples) or not framing.wants_more or voice.empty():
            return piece
        piece = voice.get_nowait()
    return None


async def _next_sound(voice: Voice) -> Audio | None:
    """The next piece with sound in it."""
    while (piece := await voice.get()) is not None and not len(piece.samples):
        pass
    return piece
