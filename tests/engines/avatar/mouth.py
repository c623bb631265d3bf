"""Measures how far a drawn mouth is open, from the pixels of a frame alone."""

import numpy as np

from engines.base import Pixels

DARK, LIT = 42.0, 56.0
"""Luma: the inside of a mouth is darker than the one, lips and skin are lighter than the other."""

ACROSS, DOWN = (0.27, 0.73), (0.12, 0.7)
"""Where in the box a mouth can be, as shares of its width and height: not hair, not collar."""


def mouth_opening(frame_bgr: Pixels, box: tuple[int, int, int, int]) -> float:
    """Share of the mouth's place in `box` (x, y, width, height) that is dark, 0 for a shut mouth.

    Soft at the threshold, so that what a video codec does to an edge hardly counts.
    """
    x, y, w, h = box
    rows = slice(y + round(DOWN[0] * h), y + round(DOWN[1] * h))
    columns = slice(x + round(ACROSS[0] * w), x + round(ACROSS[1] * w))
    luma = frame_bgr[rows, columns].astype(np.float64) @ np.array([0.114, 0.587, 0.299])
    return float(np.clip((LIT - luma) / (LIT - DARK), 0, 1).mean())
