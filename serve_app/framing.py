"""From a growing voice to stretches of frames: pure, counts samples.

A face needs a little sound after a frame (lips close before the "m" is heard) and before it, so a
stretch is handed out as soon as that much has arrived, with both as context.
"""

from dataclasses import dataclass

import numpy as np

from engines.base import FPS, Audio, Cue
from engines.sound import joined, part

LOOK_AHEAD_FRAMES = 3
"""120 ms: what MuseTalk's window reaches beyond a frame's start, and more than our visemes need."""

CONTEXT_FRAMES = 3
"""120 ms of what was said before, for the smoothing."""

FIRST_STRETCH_FRAMES = 2
"""The first stretch is short, so that the first frame is early."""

STRETCH_FRAMES = 10
"""400 ms: few enough to stop quickly, enough to make the hop between processes cheap."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Speech with context, and which of its frames to draw."""

    speech: Audio
    cue: Cue


class Framing:
    """Cuts one turn's voice, as it comes, into stretches of whole frames."""

    def __init__(self, avatar: str, first_frame: int) -> None:
        self._avatar = avatar
        self._first_frame = first_frame
        self._frames_out = 0
        self._voice: Audio | None = None
        self._dropped = 0
        """Samples cut off in front of `_voice` because no frame needs them any more."""

    @property
    def frames(self) -> int:
        """How many frames have been handed out."""
        return self._frames_out

    def feed(self, piece: Audio) -> list[Stretch]:
        """Add sound; returns the stretches that can be drawn now."""
        self._voice = piece if self._voice is None else joined([self._voice, piece])
        stretches = []
        while self._ready_frames() - LOOK_AHEAD_FRAMES >= self._wanted():
            stretches.append(self._stretch(self._wanted()))
        return stretches

    def flush(self) -> list[Stretch]:
        """The voice has ended: the rest, its last frame filled up with silence."""
        if self._voice is None:
            return []
        frame = self._voice.rate_hz // FPS
        rest = -(self._dropped + len(self._voice.samples)) % frame
        if rest:
            silence = Audio(np.zeros(rest, np.int16), self._voice.rate_hz)
            self._voice = joined([self._voice, silence])
        stretches = []
        while (left := self._ready_frames()) > 0:
            stretches.append(self._stretch(min(left, STRETCH_FRAMES)))
        return stretches

    def _wanted(self) -> int:
        return STRETCH_FRAMES if self._frames_out else FIRST_STRETCH_FRAMES

    def _ready_frames(self) -> int:
        if self._voice is None:
            return 0
        heard = self._dropped + len(self._voice.samples)
        return heard * FPS // self._voice.rate_hz - self._frames_out

    def _stretch(self, frames: int) -> Stretch:
        assert self._voice is not None
        voice, frame = self._voice, self._voice.rate_hz // FPS
        begin = self._frames_out * frame - self._dropped
        end = begin + (frames + LOOK_AHEAD_FRAMES) * frame
        context = min(begin, CONTEXT_FRAMES * frame)
        speech = part(voice, begin - context, min(end, len(voice.samples)))
        cue = Cue(self._avatar, self._first_frame + self._frames_out, context, frames)
        self._frames_out += frames
        self._forget(begin + frames * frame - CONTEXT_FRAMES * frame)
        return Stretch(speech, cue)

    def _forget(self, samples: int) -> None:
        if self._voice is not None and samples > 0:
            self._voice = part(self._voice, samples, len(self._voice.samples))
            self._dropped += samples
