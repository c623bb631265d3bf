"""Even-edged masks of small shapes, the brushes with which a mouth is painted."""

import cv2
import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.float64]
"""x and y of points along a line, shape [n, 2]."""

Mask = npt.NDArray[np.float32]
"""Coverage of each pixel, 0 to 1, shape [height, width, 1]."""

SUPERSAMPLE = 3
"""Masks are drawn this much larger and averaged down; 10 levels of an edge are enough."""

SUBPIXEL_BITS = 4
"""Fractional bits of the points, so that a lip moves without steps."""


class Canvas:
    """A region of a frame whose points are given from its `middle`."""

    def __init__(self, height: int, width: int, middle: tuple[float, float]) -> None:
        self._width, self._height = width, height
        self._middle = np.array(middle)

    def between(self, above: Curve, below: Curve) -> Mask:
        """Inside of two curves that both run from left to right."""
        points = self._fixed(np.concatenate([above, below[::-1]]))
        big = self._blank()
        cv2.fillPoly(big, [points], 255, cv2.LINE_8, SUBPIXEL_BITS)
        return self._shrunk(big)

    def line(self, curve: Curve, width_px: float) -> Mask:
        """A stroke along a curve, thinner towards both ends."""
        taper = 0.5 * width_px * np.sqrt(1 - np.linspace(-0.96, 0.96, len(curve)) ** 2)
        offset = np.stack([np.zeros_like(taper), taper], 1)
        return self.between(curve - offset, curve + offset)

    def ellipse(self, x: float, y: float, half_width: float, half_height: float) -> Mask:
        turn = np.linspace(0, np.pi, 24)
        along, across = x - half_width * np.cos(turn), half_height * np.sin(turn)
        return self.between(np.stack([along, y - across], 1), np.stack([along, y + across], 1))

    def _blank(self) -> npt.NDArray[np.uint8]:
        return np.zeros((self._height * SUPERSAMPLE, self._width * SUPERSAMPLE), np.uint8)

    def _fixed(self, points: Curve) -> npt.NDArray[np.int32]:
        # OpenCV's integer points are pixel centres, hence the half of a pixel.
        big = (points + self._middle) * SUPERSAMPLE - 0.5
        return np.asarray(np.round(big * (1 << SUBPIXEL_BITS)), np.int32)

    def _shrunk(self, big: npt.NDArray[np.uint8]) -> Mask:
        small = cv2.resize(big, (self._width, self._height), interpolation=cv2.INTER_AREA)
        return np.asarray(small[..., None] / np.float32(255), np.float32)


def soft(mask: Mask, sigma_px: float) -> Mask:
    """The mask with blurred edges."""
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma_px), np.float32)[..., None]
