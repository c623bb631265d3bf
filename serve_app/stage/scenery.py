"""A face's frames as the encoders want them, made once for everybody who looks at it.

All stages begin on their face's cycle where the clock of this process stands, and go on at the same
pace. So the frame that one learner sees now, the next one sees in the same moment, or within a
second or two: it is kept for so long.
"""

from collections import OrderedDict
from threading import Lock

import cv2
import numpy as np

from engines.base import FPS, Backdrop, Pixels

KEPT_FRAMES = 2 * FPS
"""Two seconds, 20 MB at 512×512: turns set learners apart by a few frames each."""


class Scenery:
    """One face; shared by threads, and by all stages that show it."""

    def __init__(self, backdrop: Backdrop) -> None:
        self._backdrop = backdrop
        self._kept: OrderedDict[int, Pixels] = OrderedDict()
        self._drawing = Lock()

    def planes(self, index: int) -> Pixels:
        """Frame `index` as I420: uint8, shape [3/2 height, width], read-only. Takes a millisecond
        when it is the first to ask."""
        with self._drawing:  # who asks for the same frame meanwhile gets this one
            if (planes := self._kept.get(index)) is None:
                picture = self._backdrop.frame(index)
                planes = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8)
                planes.flags.writeable = False
                self._kept[index] = planes
                if len(self._kept) > KEPT_FRAMES:
                    self._kept.popitem(last=False)
            return planes
