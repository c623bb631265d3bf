"""One frame of the live picture: the face's own frame, with the mouth of the moment on it."""

import av
import cv2
import numpy as np

from engines.base import Pixels
from serve_app.stage.reel import Mouth, Shown
from serve_app.stage.scenery import Scenery


def painted(scenery: Scenery, shown: Shown) -> av.VideoFrame:
    """Compose a frame as yuv420p, which the encoders take as it is. Call it in a thread."""
    planes = scenery.planes(shown.frame)
    if shown.mouth is not None and shown.strength > 0:
        planes = _with_mouth(planes, shown.mouth, shown.strength)
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def _with_mouth(planes: Pixels, mouth: Mouth, strength: float) -> Pixels:
    """Colour has half the resolution, so what does not lie on even pixels loses its rim."""
    planes = planes.copy()
    left, top = mouth.x % 2, mouth.y % 2
    height = (mouth.pixels.shape[0] - top) // 2 * 2
    width = (mouth.pixels.shape[1] - left) // 2 * 2
    pixels = mouth.pixels[top : top + height, left : left + width]
    patch = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_I420), np.uint8)
    x, y = mouth.x + left, mouth.y + top
    for below, above, scale in zip(_parts(planes), _parts(patch), (1, 2, 2), strict=True):
        rows = slice(y // scale, (y + height) // scale)
        columns = slice(x // scale, (x + width) // scale)
        _lay(above, below[rows, columns], strength)
    return planes


def _parts(planes: Pixels) -> tuple[Pixels, Pixels, Pixels]:
    """Views of brightness and the two colours."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    colours = planes[height:].reshape(2, height // 2, width // 2)
    return planes[:height], colours[0], colours[1]


def _lay(above: Pixels, below: Pixels, strength: float) -> None:
    if strength < 1:
        below[:] = cv2.addWeighted(above, strength, below, 1 - strength, 0)
    else:
        below[:] = above
