"""Where a face is: 68 points, as the iBUG scheme numbers them.

    0–16 jaw, ear to ear · 17–26 brows · 27–30 bridge of the nose, downwards · 31–35 nostrils
    36–41, 42–47 eyes · 48–67 lips

Two ways to find them: DWPose (`dwpose.py`), which needs its file, or a box that a person gave
(here), for drawn faces and where there is no model.
"""

from typing import Final, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from engines.base import Pixels
from engines.errors import UnusableFootage

Points = npt.NDArray[np.float32]
"""x and y in pixels of the frame, shape [68, 2]."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom of a face, jaw to brows."""

JAW: Final = slice(0, 17)
NOSE_MIDDLE: Final = 29
"""The point of the nose at which MuseTalk cuts a face into what stays and what it draws."""

EYES: Final = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47))
"""Each: outer or inner corner, two of the upper lid, the other corner, two of the lower lid."""


class Landmarks(Protocol):
    """Find faces."""

    def find(self, frame: Pixels) -> list[Points]:
        """All faces of a frame, uint8 BGR [height, width, 3]; the frames of a clip come one after
        the other. Blocks. Raises `EngineError` when it cannot look at all."""
        ...


class GivenBox:
    """A face that a person has pointed at in the first frame, followed through the clip.

    Inside the box the points are those of a usual face. It is followed by what is to be seen in it:
    texture of the first frame, found again in each frame, so that errors do not add up.
    """

    def __init__(self, box: Box) -> None:
        """`box`: as parts of the picture's width and height. Raises `UnusableFootage`."""
        left, top, right, bottom = box
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise UnusableFootage(
                "The box must be left,top,right,bottom, each from 0 to 1, as parts of the"
                " picture's width and height."
            )
        self._parts = box
        self._face: Points | None = None
        """In the first frame."""
        self._start: tuple[Pixels, Points] | None = None
        """The first frame in grey, and what is followed of it: shape [n, 2]."""
        self._motion = np.eye(2, 3)

    def find(self, frame: Pixels) -> list[Points]:
        grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)
        if self._face is None or self._start is None:
            height, width = grey.shape
            left, top, right, bottom = self._parts
            box = (left * width, top * height, right * width, bottom * height)
            self._face = usual_face(box)
            self._start = (grey, _texture(grey, box))
        else:
            self._follow(grey)
        return [moved(self._face, self._motion)]

    def _follow(self, grey: Pixels) -> None:
        """Learn the motion since the first frame; keep the last one when too little is seen."""
        assert self._start is not None
        first, texture = self._start
        if len(texture) < LEAST_FOLLOWED:
            return
        guess = moved(texture, self._motion)
        there, seen, _ = cv2.calcOpticalFlowPyrLK(
            first, grey, texture, guess.copy(), flags=cv2.OPTFLOW_USE_INITIAL_FLOW
        )
        kept = seen.ravel() == 1
        if kept.sum() < LEAST_FOLLOWED:
            return
        motion, _ = cv2.estimateAffinePartial2D(
            texture[kept], there[kept], method=cv2.RANSAC, ransacReprojThreshold=2.0
        )
        if motion is not None and LEAST_GROWTH < np.hypot(*motion[:, 0]) < MOST_GROWTH:
            self._motion = motion


def _texture(grey: Pixels, box: Box) -> Points:
    left, top, right, bottom = box
    inside = np.zeros_like(grey)
    # The mouth moves by itself: only what lies above it tells how the head moves.
    lips = top + UPPER_LIP * (bottom - top)
    cv2.rectangle(inside, (round(left), round(top)), (round(right), round(lips)), 255, -1)
    # None where there is no texture, whatever the library's types say.
    found: object = cv2.goodFeaturesToTrack(grey, FOLLOWED_POINTS, 0.01, 5, mask=inside)
    none = np.zeros((0, 2), np.float32)
    return np.asarray(found, np.float32).reshape(-1, 2) if found is not None else none


FOLLOWED_POINTS = 120
LEAST_FOLLOWED = 8
"""Four numbers are to be found; some of the points are always wrong."""

LEAST_GROWTH, MOST_GROWTH = 0.5, 2.0
"""Of a head that comes nearer; beyond it something else was followed."""

UPPER_LIP = 0.68
"""Height of the upper lip in a box from the brows to the chin."""


def usual_face(box: Box) -> Points:
    """The 68 points of an even, frontal face that fills the box."""
    left, top, right, bottom = box
    return (_USUAL * (right - left, bottom - top) + (left, top)).astype(np.float32)


def moved(points: Points, motion: npt.NDArray[np.float64]) -> Points:
    """Points after an affine motion, matrix [2, 3]."""
    return (points @ motion[:, :2].T + motion[:, 2]).astype(np.float32)


def face_box(points: Points) -> Box:
    """The smallest box around the points."""
    left, top = points.min(axis=0).tolist()
    right, bottom = points.max(axis=0).tolist()
    return left, top, right, bottom


def _mirrored(half: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points of the left half, and the same on the right, in order from left to right."""
    return half + [(1 - x, y) for x, y in reversed(half)]


def _usual() -> Points:
    """In a box from 0 to 1 both ways. Proportions as drawing schools teach them: the eyes a fifth
    of the width each, the nose down to a bit more than half of the way from brows to chin."""
    jaw_right = [(0.0, 0.22), (0.01, 0.36), (0.035, 0.5), (0.08, 0.63), (0.145, 0.755)]
    jaw_right += [(0.235, 0.86), (0.33, 0.935), (0.415, 0.982)]
    jaw = [*jaw_right, (0.5, 1.0), *[(1 - x, y) for x, y in reversed(jaw_right)]]
    brows = _mirrored([(0.09, 0.07), (0.16, 0.02), (0.25, 0.0), (0.34, 0.02), (0.42, 0.06)])
    bridge = [(0.5, 0.17), (0.5, 0.27), (0.5, 0.37), (0.5, 0.47)]
    nostrils = [(0.40, 0.53), (0.45, 0.55), (0.5, 0.56), (0.55, 0.55), (0.60, 0.53)]
    eye = [(0.19, 0.19), (0.25, 0.155), (0.32, 0.155), (0.38, 0.195), (0.32, 0.215), (0.25, 0.215)]
    other = [(1 - eye[i][0], eye[i][1]) for i in (3, 2, 1, 0, 5, 4)]
    outer = _mirrored([(0.31, 0.72), (0.38, 0.695), (0.45, 0.68)])
    outer[3:3] = [(0.5, 0.69)]
    outer += [(0.62, 0.76), (0.55, 0.785), (0.5, 0.79), (0.45, 0.785), (0.38, 0.76)]
    inner = [(0.34, 0.72), (0.45, 0.715), (0.5, 0.72), (0.55, 0.715), (0.66, 0.72)]
    inner += [(0.55, 0.735), (0.5, 0.74), (0.45, 0.735)]
    return np.array(jaw + brows + bridge + nostrils + eye + other + outer + inner, np.float32)


_USUAL: Final = _usual()
