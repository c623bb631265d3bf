"""What the next 40 ms show and sound like: pure, counts units.

    units of a turn ─► [ at most five ahead ] ─next()─► Shown   one every 40 ms
                                  │
        none there: between turns the body goes on breathing, in mid-turn its frame is held

A turn's frames are drawn for their places on the face's own cycle, so the cycle must not run past a
place that is being drawn for: it waits there. That is why the body never jumps, but for two frames
that it may leave out when a turn begins early.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engines.base import FPS, FRAME_S, Pcm, Pixels

LIVE_RATE_HZ = 48_000
"""What Opus works at."""

UNIT_SAMPLES = LIVE_RATE_HZ // FPS
"""1920 samples: the sound of one frame."""

UNITS_AHEAD = 5
"""200 ms: enough to ride out a busy moment, little enough to throw away when interrupted."""

LEAD_FRAMES = 2
"""How far ahead on the cycle a turn is drawn: 80 ms, what its first frames need to be made. When
they come sooner, the body skips that far, which nobody sees; when later, it waits."""

FADE_FRAMES = 4
"""A mouth comes and goes in 160 ms."""

SILENCE: Pcm = np.zeros(UNIT_SAMPLES, np.int16)
SILENCE.flags.writeable = False


Holder = Literal["learner", "network"]
"""Why the tutor waits: the learner has begun to speak, which may only be an "mm-hm"; or nothing of
what is sent arrives."""


@dataclass(frozen=True, slots=True, eq=False)
class Mouth:
    """A mouth region, and where it belongs on the frame."""

    x: int
    y: int
    pixels: Pixels
    """uint8 BGR, shape [height, width, 3]."""


@dataclass(frozen=True, slots=True, eq=False)
class MediaUnit:
    """40 ms of a turn."""

    generation: int
    """The turn's; what is older than the reel's is stale."""
    frame: int
    """Place on the face's endless cycle."""
    sound: Pcm
    """int16 mono at 48 kHz, shape [1920]."""
    mouth: Mouth | None = None
    """None: the mouth stays shut."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What is released for 40 ms."""

    frame: int
    mouth: Mouth | None
    strength: float
    """0 to 1: how far the mouth covers the shut one beneath."""
    sound: Pcm
    unit: MediaUnit | None
    """None between turns, while held and while starved."""


class Reel:
    """The units ahead of the clock."""

    def __init__(self, frame: int = 0) -> None:
        """`frame`: where on its cycle the face is."""
        self.generation = 0
        self._holders: set[Holder] = set()
        self._units: deque[MediaUnit] = deque()
        self._frame = frame
        self._reserved: int | None = None
        """Where on the cycle the coming frames are drawn; the idle body waits just before it."""
        self._in_speech = False
        self._mouth: Mouth | None = None
        self._strength = 0.0

    def __len__(self) -> int:
        return len(self._units)

    @property
    def held(self) -> bool:
        return bool(self._holders)

    def hold(self, why: Holder) -> None:
        """Fall silent, and stay where it was."""
        self._holders.add(why)

    def release(self, why: Holder) -> None:
        self._holders.discard(why)

    @property
    def has_room(self) -> bool:
        return len(self._units) < UNITS_AHEAD

    @property
    def ready(self) -> bool:
        """Whether the next unit is of a turn."""
        return bool(self._units) and not self.held

    @property
    def ahead_s(self) -> float:
        return len(self._units) * FRAME_S

    def begin(self) -> int:
        """Speech is about to be drawn; returns the frame at which it must begin."""
        ahead = self._units[-1].frame if self._units else self._frame + LEAD_FRAMES
        self._reserved = ahead + 1
        return self._reserved

    def add(self, unit: MediaUnit) -> None:
        """The next unit; a stale one is dropped."""
        if unit.generation == self.generation:
            self._units.append(unit)

    def rest(self) -> None:
        """No more speech comes for now: after what is there, the body goes on by itself."""
        self._reserved = None
        self._in_speech = self._in_speech and bool(self._units)

    def cut(self) -> int:
        """Drop everything; what is still being made is stale. Returns the new generation."""
        self.generation += 1
        self._units.clear()
        self._reserved = None
        self._in_speech = False
        self._holders.discard("learner")
        return self.generation

    def next(self) -> Shown:
        """Release 40 ms."""
        if self.held:
            self._fade(-1)
            return self._shown(SILENCE, None)
        if self._units:
            return self._speak(self._units.popleft())
        if self._in_speech:  # starved: never let the sound run ahead of the picture
            return self._shown(SILENCE, None)
        if self._reserved is None or self._frame + 1 < self._reserved:
            self._frame += 1
        self._fade(-1)
        return self._shown(SILENCE, None)

    def _speak(self, unit: MediaUnit) -> Shown:
        self._frame = unit.frame
        self._in_speech = self._reserved is not None or bool(self._units)
        if unit.mouth is not None:
            self._mouth = unit.mouth
        self._fade(-1 if unit.mouth is None else 1)
        return self._shown(unit.sound, unit)

    def _fade(self, step: int) -> None:
        self._strength = min(1.0, max(0.0, self._strength + step / FADE_FRAMES))
        if not self._strength:
            self._mouth = None

    def _shown(self, sound: Pcm, unit: MediaUnit | None) -> Shown:
        return Shown(self._frame, self._mouth, self._strength, sound, unit)
