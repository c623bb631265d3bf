"""A photo that breathes: it sways by a pixel or two and blinks. Pure.

The frames are shown to and fro, so the head stands still in the first and in the last one.
"""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from engines.avatar.musetalk.landmarks import EYES, Points, face_box
from engines.base import FPS, FRAME_SIZE_PX, Pixels

FRAMES: Final = 5 * FPS
"""Five seconds there and five back; a frame takes 0.8 MB of disk."""

SWAY_PX: Final = ((1.6, 1), (0.7, 3))
"""Amplitude and half turns in `FRAMES` of the movement to the side; the drawn faces have 2 px."""

NOD_PX: Final = ((0.9, 2), (0.5, 3))

BLINKS: Final = (38, 97)
"""First frame of each; to and fro that makes 2 to 3 s between them, never the same twice."""

CLOSING: Final = (0.5, 1.0, 1.0, 0.5)
"""How far the eyes are shut, frame by frame, as the drawn faces do it."""

OPEN_EYE: Final = 0.12
"""Height of an eye, as part of its width, above which it is open enough to be shut."""

SKIN_ABOVE: Final = 0.5
"""How much of the skin above an eye is stretched, in heights of the eye: below the brow."""

LASHES_PX: Final = 1.5
"""The lid comes down over the rim of the lower one."""

STILL_RIM_PX: Final = 24
"""The edge of the picture and the wall beside the head do not move."""

Plane = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the head is in one frame, and how far its eyes are shut (0 to 1)."""

    right_px: float
    down_px: float
    shut: float


def poses() -> list[Pose]:
    shut = [0.0] * FRAMES
    for begin in BLINKS:
        shut[begin : begin + len(CLOSING)] = CLOSING
    at = [math.pi * i / (FRAMES - 1) for i in range(FRAMES)]
    return [Pose(_swing(SWAY_PX, t), _swing(NOD_PX, t), s) for t, s in zip(at, shut, strict=True)]


class LivingPhoto:
    """One photo, 512 × 512, and the points of the face in it."""

    def __init__(self, photo: Pixels, points: Points, *, blinks: bool) -> None:
        """`blinks`: the points of the eyes are where the eyes are."""
        self._photo = photo
        self._points = points
        self._weight = _weight(points)
        self._y, self._x = np.mgrid[0:FRAME_SIZE_PX, 0:FRAME_SIZE_PX].astype(np.float32)
        eyes = [points[list(eye)] for eye in EYES] if blinks else []
        self._eyes = [eye for eye in eyes if _is_open(eye)]

    def frame(self, pose: Pose) -> Pixels:
        """uint8 BGR [512, 512, 3]."""
        x = self._x - pose.right_px * self._weight
        y = self._y - pose.down_px * self._weight
        picture = self._photo
        if pose.shut and self._eyes:
            picture = picture.copy()
            for eye in self._eyes:
                shut_eye(picture, eye, pose.shut)
        moved = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.uint8)

    def points(self, pose: Pose) -> Points:
        """Where the face's points are in that frame."""
        x, y = np.clip(np.round(self._points).astype(int), 0, FRAME_SIZE_PX - 1).T
        weight = self._weight[y, x][:, None]
        moved = self._points + weight * np.array([pose.right_px, pose.down_px], np.float32)
        return np.asarray(moved, np.float32)


def shut_eye(picture: Pixels, eye: Points, shut: float) -> None:
    """Draw the upper lid down over an eye: the skin above it is stretched, lashes and all."""
    left, right = math.floor(eye[:, 0].min()), math.ceil(eye[:, 0].max())
    columns = np.arange(left, right + 1, dtype=np.float32)
    upper, lower = _lid(eye[[0, 1, 2, 3]], columns), _lid(eye[[0, 5, 4, 3]], columns) + LASHES_PX
    lower = np.maximum(upper, lower)
    skin = SKIN_ABOVE * (lower - upper).max()
    begin = upper - skin  # of what is stretched
    top, bottom = math.floor(begin.min()), math.ceil(lower.max()) + 1
    if left < 0 or top < 0 or right >= picture.shape[1] or bottom >= picture.shape[0]:
        return
    rows = np.arange(top, bottom + 1, dtype=np.float32)[:, None]
    lid = upper + shut * (lower - upper)
    stretched = begin + (rows - begin) * ((upper - begin) / np.maximum(lid - begin, 1e-3))
    covered = (rows >= begin) & (rows <= lid)
    from_y = np.where(covered, stretched, rows).astype(np.float32)
    from_x = np.broadcast_to(columns, from_y.shape).astype(np.float32)
    drawn = cv2.remap(picture, from_x, from_y, cv2.INTER_LINEAR)
    picture[top : bottom + 1, left : right + 1] = drawn


def _lid(points: Points, columns: Plane) -> Plane:
    """Height of a lid in each column: the parabola that is nearest to its points."""
    middle = columns.mean()
    curve = np.polyfit(points[:, 0] - middle, points[:, 1], 2)
    return np.polyval(curve, columns - middle).astype(np.float32)


def _is_open(eye: Points) -> bool:
    width = float(np.ptp(eye[:, 0]))
    height = float(np.mean(eye[[4, 5], 1]) - np.mean(eye[[1, 2], 1]))
    return width >= 6 and height > OPEN_EYE * width


def _weight(points: Points) -> Plane:
    """How far each pixel goes along: 1 in the head, 0 at the picture's edge."""
    left, top, right, bottom = face_box(points)
    centre = (round((left + right) / 2), round((top + bottom) / 2 - 0.1 * (bottom - top)))
    axes = (round(0.75 * (right - left)), round(0.8 * (bottom - top)))
    head = np.zeros((FRAME_SIZE_PX, FRAME_SIZE_PX), np.float32)
    cv2.ellipse(head, centre, axes, 0, 0, 360, 1.0, -1)
    soft = cv2.GaussianBlur(head, (0, 0), sigmaX=0.2 * (right - left))
    edge = np.arange(FRAME_SIZE_PX, dtype=np.float32)
    inward = np.clip(np.minimum(edge, edge[::-1]) / STILL_RIM_PX, 0, 1)
    return np.asarray(soft * np.minimum.outer(inward, inward), np.float32)


def _swing(parts: tuple[tuple[float, int], ...], t: float) -> float:
    """Cosines that stand still at both ends; 0 in the first frame."""
    return sum(amplitude * (1 - math.cos(half_turns * t)) / 2 for amplitude, half_turns in parts)
