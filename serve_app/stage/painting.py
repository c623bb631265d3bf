"""One frame of the live picture: the face's own frame, with the mouth of the moment on it."""

import av
import cv2
import numpy as np

from engines.base import Backdrop, Pixels
from serve_app.stage.reel import Mouth, Shown


def painted(backdrop: Backdrop, shown: Shown) -> av.VideoFrame:
    """Compose a frame as yuv420p, which the encoders take as it is. Takes a millisecond or two:
    call it in a thread."""
    picture = backdrop.frame(shown.frame)
    if shown.mouth is not None and shown.strength > 0:
        picture = _with_mouth(picture, shown.mouth, shown.strength)
    planes = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    return av.VideoFrame.from_ndarray(np.asarray(planes, np.uint8), format="yuv420p")


def _with_mouth(picture: Pixels, mouth: Mouth, strength: float) -> Pixels:
    picture = picture.copy()
    height, width = mouth.pixels.shape[:2]
    below = picture[mouth.y : mouth.y + height, mouth.x : mouth.x + width]
    if strength < 1:
        cv2.addWeighted(mouth.pixels, strength, below, 1 - strength, 0, dst=below)
    else:
        below[:] = mouth.pixels
    return picture
