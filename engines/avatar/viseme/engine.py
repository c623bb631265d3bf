"""The drawn tutor speaks: no weights, no accelerator, a few milliseconds a frame."""

import asyncio
from collections.abc import AsyncGenerator

import numpy as np

from engines.avatar.viseme.portrait import Portrait, portrait
from engines.avatar.viseme.visemes import Mouth, track
from engines.base import FRAME_S, Audio, Cue, Patch

PATCH_FRAMES = 5
"""Frames of one patch: 200 ms of face, drawn in some 15 ms."""


class VisemeAvatar:
    """Draws the mouth of a drawn face; keeps nothing between calls, so sessions may share it."""

    async def animate(self, speech: Audio, cue: Cue) -> AsyncGenerator[Patch, None]:
        """Stream the mouth of `cue.frames` frames in order. Raises `UnknownAvatar`."""
        face = await asyncio.to_thread(portrait, cue.avatar)
        for offset in range(0, cue.frames, PATCH_FRAMES):
            count = min(PATCH_FRAMES, cue.frames - offset)
            yield await asyncio.to_thread(_patch, face, speech, cue, range(offset, offset + count))


def _patch(face: Portrait, speech: Audio, cue: Cue, frames: range) -> Patch:
    middles = (np.arange(frames.start, frames.stop, dtype=np.float64) + 0.5) * FRAME_S
    at_s = np.asarray(cue.begin / speech.rate_hz + middles, np.float64)
    mouths = [Mouth(*row) for row in track(speech, at_s).tolist()]
    first = cue.first_frame + frames.start
    x, y, _, _ = face.mouth_box
    pixels = np.stack([face.mouth(first + i, mouth) for i, mouth in enumerate(mouths)])
    pixels.flags.writeable = False
    return Patch(first_frame=first, x=x, y=y, pixels=pixels)
