"""The face that was made is put into the frame that was filmed, softly at the rim. Pure.

Only the rectangle is touched in which something of the face is seen; whole numbers are reckoned in
16 bits, and come out as PIL's paste through a mask, to the bit.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from engines.base import FRAME_SIZE_PX, Pixels

FACE_PX = 256
"""Width and height of a face as the networks make it."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are the first ones outside."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a face is seen in one frame, and how firmly."""

    x: int
    y: int
    """Upper left corner of what is seen, in the frame."""
    mask: Pixels
    """uint8 [height, width] of what is seen: 0 the frame, 255 the face."""
    left: int
    top: int
    """The same corner in the face."""
    width: int
    height: int
    """Of the whole face in the frame."""

    @property
    def first_row(self) -> int:
        """Of the 256 rows of a face, the first one that is looked at."""
        return max(0, int((self.top + 0.5) * FACE_PX / self.height - 0.5))


def placement(
    box: Box, mask: Pixels, frame_size: tuple[int, int] = (FRAME_SIZE_PX, FRAME_SIZE_PX)
) -> Placement:
    """For a face that fills `box`, of which `mask`, uint8 [height, width] of the box, lets
    something through. What lies outside of the frame (width, height) is cut off. Raises ValueError
    when nothing is left."""
    left, top, right, bottom = box
    if mask.shape != (bottom - top, right - left):
        raise ValueError(f"a mask of shape {mask.shape} does not fit the box {box}")
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise ValueError("the mask hides the whole face")
    x0, x1 = max(left + int(columns[0]), 0), min(left + int(columns[-1]) + 1, frame_size[0])
    y0, y1 = max(top + int(rows[0]), 0), min(top + int(rows[-1]) + 1, frame_size[1])
    if x0 >= x1 or y0 >= y1:
        raise ValueError(f"the face in the box {box} lies outside of the frame")
    seen = mask[y0 - top : y1 - top, x0 - left : x1 - left]
    return Placement(x0, y0, seen, x0 - left, y0 - top, right - left, bottom - top)


def mask_of_box(mask: Pixels, crop: Box, box: Box) -> Pixels:
    """Of a mask that was made for a crop around the face's box, the part of the box; where the box
    leaves the crop, the frame stays."""
    left, top, right, bottom = box
    part = np.zeros((bottom - top, right - left), np.uint8)
    x0, x1 = max(left, crop[0]), min(right, crop[2])
    y0, y1 = max(top, crop[1]), min(bottom, crop[3])
    if x0 < x1 and y0 < y1:
        part[y0 - top : y1 - top, x0 - left : x1 - left] = mask[
            y0 - crop[1] : y1 - crop[1], x0 - crop[0] : x1 - crop[0]
        ]
    return part


def blended(frame: Pixels, face: Pixels, where: Placement) -> Pixels:
    """What is to be seen from (`where.x`, `where.y`) on: uint8 BGR [height, width, 3].

    `face`: the lowest rows of a face, uint8 BGR [rows, 256, 3], from `where.first_row` on or more.
    """
    # Scaled as a whole: a part of it would fall on other points between its pixels.
    whole = cv2.copyMakeBorder(face, FACE_PX - len(face), 0, 0, 0, cv2.BORDER_REPLICATE)
    scaled = cv2.resize(whole, (where.width, where.height), interpolation=cv2.INTER_LINEAR)
    height, width = where.mask.shape
    new = scaled[where.top : where.top + height, where.left : where.left + width]
    old = frame[where.y : where.y + height, where.x : where.x + width]
    return _mixed(old, np.asarray(new, np.uint8), where.mask)


def _mixed(old: Pixels, new: Pixels, mask: Pixels) -> Pixels:
    """(old · (255 - mask) + new · mask) / 255, rounded to the nearest; no sum exceeds 16 bits."""
    alpha = np.asarray(cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR), np.uint8)
    total = np.multiply(new, alpha, dtype=np.uint16)
    total += np.multiply(old, 255 - alpha, dtype=np.uint16)
    total += 128
    total += total >> 8
    total >>= 8
    return total.astype(np.uint8)
