"""How far the model's mouth covers the filmed one: not at all in silence. Pure.

The model quivers in silence, and costs as much as in speech. So a pause shows the avatar as it was
filmed, and the two are faded into one another. A frame's strength depends only on the sound from
`LOOK_BACK_FRAMES` before to `FADE_FRAMES` after it: wherever a speech is cut for drawing, it comes
out the same.

    sound      ▁▁▁▁█████▁▁▁▁▁▁▁▁▁▁▁▁▁▁
    strength   ▁▂▅▇██████████▇▅▂▁▁▁▁▁▁
                     └ held ┘
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from engines.avatar.musetalk.blending import Placement
from engines.base import FPS, Audio, Cue

SILENT_DB = -50.0
"""RMS of a frame in dBFS below which nobody speaks; noise of a voice's pauses lies lower. As for
the drawn faces."""

FADE_FRAMES = 3
"""A mouth comes and goes in 120 ms, the look-ahead that every frame has."""

HELD_FRAMES = 5
"""200 ms without sound are still speech: lips and tongue close for up to 150 ms, which the model
has learned to show."""

LOOK_BACK_FRAMES = HELD_FRAMES + FADE_FRAMES

Strengths = npt.NDArray[np.float64]
"""[frames], 0 the frame as filmed, 1 the model's."""


def strengths(speech: Audio, cue: Cue) -> Strengths:
    """Of the frames of a cue."""
    length = speech.rate_hz // FPS
    known = min(cue.begin // length, LOOK_BACK_FRAMES)
    first = cue.begin - known * length
    loud = _loud(speech, first, known + cue.frames + FADE_FRAMES)
    places = np.arange(known, known + cue.frames)
    heard = np.flatnonzero(loud)
    if not len(heard):
        return np.zeros(cue.frames)
    after = places[:, None] - heard[None, :]  # frames since each loud one
    since = np.where(after >= 0, after, np.inf).min(axis=1)
    until = np.where(after <= 0, -after, np.inf).min(axis=1)
    step = 1 / (FADE_FRAMES + 1)
    away = np.minimum(np.maximum(since - HELD_FRAMES, 0), until)
    return np.asarray(np.clip(1 - step * away, 0, 1), np.float64)


def faded(where: Placement, strength: float) -> Placement:
    """The same place, seen through a mask of this strength, 0 to 1."""
    if strength >= 1:
        return where
    table = np.round(np.arange(256) * strength).astype(np.uint8)
    return replace(where, mask=table[where.mask])


def _loud(speech: Audio, first: int, frames: int) -> npt.NDArray[np.bool_]:
    """Whether each frame from this sample on holds sound; what is not there is silent."""
    length = speech.rate_hz // FPS
    samples = speech.samples[first : first + frames * length].astype(np.float64) / 32768
    samples = np.pad(samples, (0, frames * length - len(samples)))
    power = (samples.reshape(frames, length) ** 2).mean(axis=1)
    return np.asarray(power > 10 ** (SILENT_DB / 10), np.bool_)
