"""Prepared avatars of one colour each, so that it is seen whose face is whose."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from engines.avatar.musetalk.framing import Version, model_input
from engines.avatar.musetalk.prepared import Canvas, Facts
from engines.base import Pixels

RED, BLUE = (20, 40, 220), (220, 60, 20)
"""BGR."""

SWAY_PX = 3
"""How far the head moves from frame to frame; odd, so that a mouth does not lie on even pixels."""


def prepared(
    folder: Path,
    name: str,
    colour: tuple[int, int, int],
    latents: Callable[[Pixels], Any],
    frames: int = 4,
    version: Version = "v1.5",
) -> None:
    """Into `folder`/`name`; `latents` as a `MuseTalkModel` gives them. No two pixels beside each
    other are the same, so that a frame that is moved or taken for another one is noticed."""
    home = folder / name
    home.mkdir(parents=True)
    boxes = np.array([_box(index) for index in range(frames)], np.int32)
    canvas = Canvas(home, frames, boxes)
    for index in range(frames):
        picture = _picture(colour, index)
        canvas.frames[index] = picture
        canvas.masks[index] = _mask()
        face = model_input(picture, _box(index))
        canvas.latents[index] = latents(face[None])[0]
    canvas.finish(Facts(name, "clip", version, frames))


def _picture(colour: tuple[int, int, int], index: int) -> Pixels:
    y, x = np.mgrid[0:512, 0:512]
    pattern = ((3 * x + 5 * y + 7 * index) % 30)[:, :, None]
    return np.asarray(np.clip(np.array(colour) + pattern - 15, 0, 255), np.uint8)


def _box(index: int) -> tuple[int, int, int, int]:
    left, top = 177 + SWAY_PX * index, 141 + index
    return left, top, left + 150, top + 180


def _mask() -> Pixels:
    """The lower half, softer at its upper end."""
    mask = np.zeros((180, 150), np.uint8)
    mask[100:175, 10:140] = 255
    mask[90:100, 10:140] = np.arange(20, 220, 20)[:, None]
    return mask
