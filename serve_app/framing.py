"""From a growing voice to stretches of frames: pure, counts samples.

A face needs a little sound after a frame (lips close before the "m" is heard) and before it, so a
stretch is handed out as soon as that much has arrived, with both as context. A drawn face is sent
no more than that. A prepared avatar's model looks at the whole speech, and with 120 ms of it the
mouth would be as wrong as another frame's: it is sent what has been said so far, and what is known
of what will be said.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engines.avatar.choice import is_drawn
from engines.base import FPS, Audio, Cue
from engines.sound import joined, part

LOOK_AHEAD_FRAMES = 3
"""120 ms: what MuseTalk's window reaches beyond a frame's start, and more than our visemes need."""

CONTEXT_FRAMES = 3
"""120 ms of what was said before, for the smoothing of a drawn face."""

FIRST_STRETCH_FRAMES = 2
"""The first stretch is short, so that the first frame is early."""

STRETCH_FRAMES = 10
"""400 ms: few enough to stop quickly, enough to make the hop between processes cheap."""

SEGMENT_S = 30
"""What MuseTalk's ears look at, at once. Of a longer speech whole segments are left out: so what is
sent with a stretch stays below 33 s, 1.6 MB at 24 kHz, and lies where it lay for the model."""

LEAST_SO_FAR_FRAMES = FPS
"""One second before a frame always goes with it, also where a segment ends."""

FURTHEST_AHEAD_FRAMES = FPS
"""One second of what comes makes most of the difference; more would be sent in vain."""


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
        self._is_drawn = is_drawn(avatar)
        self._frames_out = 0
        self._voice: Audio | None = None
        self._dropped = 0
        """Samples cut off in front of `_voice` because no frame needs them any more."""

    @property
    def frames(self) -> int:
        """How many frames have been handed out."""
        return self._frames_out

    @property
    def wants_more(self) -> bool:
        """Whether sound that is already there would make the next stretch better, though it can be
        drawn without."""
        return not self._is_drawn and self._ready_frames() < self._wanted() + FURTHEST_AHEAD_FRAMES

    def feed(self, piece: Audio) -> list[Stretch]:
        """Add sound; returns the stretches that can be drawn now."""
        self.hear(piece)
        return list(self.stretches())

    def hear(self, piece: Audio) -> None:
        """Add sound."""
        if not self._is_drawn:
            piece = Audio(piece.samples, piece.rate_hz)  # its model hears, and is told no phonemes
        self._voice = piece if self._voice is None else joined([self._voice, piece])

    def stretches(self) -> Iterator[Stretch]:
        """Those that can be drawn now."""
        while self._ready_frames() - LOOK_AHEAD_FRAMES >= self._wanted():
            yield self._stretch(self._wanted())

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
        ahead = LOOK_AHEAD_FRAMES if self._is_drawn else FURTHEST_AHEAD_FRAMES
        end = begin + (frames + ahead) * frame
        context = min(begin, CONTEXT_FRAMES * frame) if self._is_drawn else begin
        speech = part(voice, begin - context, min(end, len(voice.samples)))
        cue = Cue(self._avatar, self._first_frame + self._frames_out, context, frames)
        self._frames_out += frames
        self._forget(self._useless(begin + frames * frame, frame))
        return Stretch(speech, cue)

    def _useless(self, begin: int, frame: int) -> int:
        """How many samples the frames from `begin` on do not need."""
        if self._is_drawn:
            return begin - CONTEXT_FRAMES * frame
        segment = SEGMENT_S * FPS * frame
        return max(0, begin - LEAST_SO_FAR_FRAMES * frame) // segment * segment

    def _forget(self, samples: int) -> None:
        if self._voice is not None and samples > 0:
            self._voice = part(self._voice, samples, len(self._voice.samples))
            self._dropped += samples
