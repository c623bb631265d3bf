"""How much of each pixel of a face box is the model's, and how much stays the footage's."""

from typing import Protocol

import cv2
import numpy as np

from engines.avatar.musetalk.framing import CHIN_MARGIN_PX, Frame, Version, crop_box
from engines.avatar.musetalk.landmarks import Points
from engines.base import Pixels

BLUR = 0.1
"""Width of the soft rim, as part of the crop box's width."""


class Masks(Protocol):
    """Draw masks. The seam for a segmentation of the face (BiSeNet), which needs weights."""

    def mask(self, frame: Pixels, points: Points, box: Frame) -> Pixels:
        """Alpha (0 the footage, 255 the model) of every pixel of the box: uint8 [height, width].
        Blocks for a millisecond."""
        ...


class HullMasks:
    """From the outline of the points alone, below the middle of the box. Needs no weights."""

    def __init__(self, version: Version) -> None:
        # v1.5 also draws a bit below the chin, so that an open mouth can lower it.
        self._below_chin = CHIN_MARGIN_PX if version == "v1.5" else 0

    def mask(self, frame: Pixels, points: Points, box: Frame) -> Pixels:
        crop = crop_box(box)
        left, top, right, bottom = (edge - crop[i % 2] for i, edge in enumerate(box))
        side = crop[2] - crop[0]
        outline = np.concatenate([points, points + np.array([0, self._below_chin], np.float32)])
        hull = cv2.convexHull(np.round(outline - np.array(crop[:2])).astype(np.int32))
        whole = np.zeros((side, side), np.uint8)
        cv2.fillConvexPoly(whole, np.asarray(hull, np.int32), 255)
        # Only inside the box, and only below the middle of the crop: the eyes are never drawn.
        kept = np.zeros_like(whole)
        kept[max(top, side // 2) : bottom, left:right] = 255
        kernel = int(BLUR * side // 2 * 2) + 1
        soft = cv2.GaussianBlur(np.minimum(whole, kept), (kernel, kernel), 0)
        return np.asarray(soft[top:bottom, left:right], np.uint8)
