"""All faces side by side in the middle of a word: `python -m engines.avatar.viseme.gallery PNG`."""

import sys

import cv2
import numpy as np

from engines.avatar.viseme.phonemes import targets
from engines.avatar.viseme.portrait import FACES, portrait
from engines.avatar.viseme.visemes import Mouth
from engines.base import Pixels

FACE_PX = 400
"""Width of one face in the picture."""

SOUNDS = ("e", "i", "E")
"""What they say, one after the other."""

FRAME = 60
"""Of the idle cycle; nobody blinks."""


def gallery() -> Pixels:
    """The picture, BGR."""
    return np.hstack([_face(name, SOUNDS[i % len(SOUNDS)]) for i, name in enumerate(FACES)])


def _face(name: str, sound: str) -> Pixels:
    face = portrait(name)
    x, y, w, h = face.mouth_box
    frame = face.frame(FRAME).copy()
    frame[y : y + h, x : x + w] = face.mouth(FRAME, Mouth(*targets(sound)[0].shape))
    small = cv2.resize(frame, (FACE_PX, FACE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


if __name__ == "__main__":
    cv2.imwrite(sys.argv[1], gallery())
