"""Which part of the footage is shown, and which part of that MuseTalk draws. Pure.

footage ─ head square, the same for the whole clip ─► frame, 512 × 512
frame   ─ face box, symmetric about the nose's middle ─► 256 × 256, what the model sees
        └ crop box, a square around it ─► where the mask is made
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from engines.avatar.musetalk.landmarks import JAW, NOSE_MIDDLE, Points, face_box
from engines.base import FPS, FRAME_SIZE_PX, Pixels
from engines.errors import UnusableFootage

Version = Literal["v1", "v1.5"]
"""Of the MuseTalk weights: they were trained with different boxes."""

Frame = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are the first ones outside."""

CHIN_MARGIN_PX = 10
"""v1.5's box reaches so far below the chin."""

HEAD_HEIGHTS = 2.6
"""Side of what is shown, in heights of a face from brows to chin: head, neck and shoulders, as the
drawn faces have it."""

FACE_CENTRE = 0.5
"""Height of the face's middle in what is shown."""

ROOM = 1.15
"""The shown square holds the face of every frame with so much room."""

LEAST_FACE_PX = 64
"""Height, brows to chin, in the footage. Below that 256 × 256 would be made of a few points."""

LEAST_BOX_PX = 16

FAR_LARGER = 2.5
"""A face so many times higher than all others is the one that is meant."""

LONGEST_GAP = FPS // 2
"""Frames in a row without a face that may be bridged: a hand before it, or a head turned away."""

MOST_MISSING = 0.2
"""Part of the frames."""


@dataclass(frozen=True, slots=True)
class Square:
    """What of the footage is shown."""

    left: int
    top: int
    side: int

    def shown(self, picture: Pixels) -> Pixels:
        """uint8 BGR [512, 512, 3]."""
        part = picture[self.top : self.top + self.side, self.left : self.left + self.side]
        shrinks = self.side > FRAME_SIZE_PX
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        return np.asarray(
            cv2.resize(part, (FRAME_SIZE_PX, FRAME_SIZE_PX), interpolation=how), np.uint8
        )

    def points(self, points: Points) -> Points:
        """Points of the footage in the shown frame."""
        return ((points - (self.left, self.top)) * (FRAME_SIZE_PX / self.side)).astype(np.float32)


def the_face(faces: Sequence[Points], number: int) -> Points | None:
    """The one of frame `number`; None when there is none. Raises `UnusableFootage` for several."""
    ordered = sorted(filter(_is_upright, faces), key=_height, reverse=True)
    if not ordered:
        return None
    if len(ordered) > 1 and _height(ordered[0]) < FAR_LARGER * _height(ordered[1]):
        raise UnusableFootage(
            f"Frame {number} shows {len(ordered)} faces. Take a picture of one person alone, or cut"
            " the others off."
        )
    return ordered[0]


def bridged(found: Sequence[Points | None]) -> tuple[list[Points], tuple[int, ...]]:
    """A face for every frame, and the numbers of those that had none and got what lies between
    their neighbours'. Raises `UnusableFootage` when too much is missing."""
    missing = tuple(i for i, points in enumerate(found) if points is None)
    known = [i for i, points in enumerate(found) if points is not None]
    if not known:
        raise UnusableFootage(
            "No face was found. Take a picture from the front, in good light, with the head"
            " filling at least a third of its height; or give the box of the face."
        )
    gap = _longest_run(missing)
    if gap > LONGEST_GAP or len(missing) > MOST_MISSING * len(found):
        raise UnusableFootage(
            f"{len(missing)} of {len(found)} frames show no face ({numbered(missing)}). Use a clip"
            " in which the face is to be seen all the time."
        )
    tracks = np.stack([points for points in found if points is not None]).reshape(len(known), -1)
    every = np.arange(len(found))
    between = [np.interp(every, known, track) for track in tracks.T]
    points = np.stack(between, axis=1).reshape(len(found), -1, 2).astype(np.float32)
    return list(points), missing


def numbered(frames: Sequence[int]) -> str:
    """`3–7, 12`: numbers of frames, counted from 0, at 25 a second."""
    runs: list[list[int]] = []
    for frame in frames:
        if runs and frame == runs[-1][1] + 1:
            runs[-1][1] = frame
        else:
            runs.append([frame, frame])
    parts = [f"{a}" if a == b else f"{a}–{b}" for a, b in runs]
    return ", ".join(parts[:8]) + (" …" if len(parts) > 8 else "")


def head_square(faces: Sequence[Points], width: int, height: int) -> Square:
    """One square of the footage that holds the head in all frames, as much in the middle as the
    picture allows. Raises `UnusableFootage` when the face is too small."""
    boxes = np.array([face_box(points) for points in faces])
    face_height = float(np.median(boxes[:, 3] - boxes[:, 1]))
    if face_height < LEAST_FACE_PX:
        raise UnusableFootage(
            f"The face is only {face_height:.0f} pixels high; it must have {LEAST_FACE_PX}, better"
            " 200. Go closer to the camera, or send a larger picture."
        )
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = boxes[:, 2:].max(axis=0)
    side = max(HEAD_HEIGHTS * face_height, ROOM * (right - left), ROOM * (bottom - top))
    side = min(round(side), width, height)
    return Square(
        _within((left + right) / 2 - side / 2, width - side),
        _within((top + bottom) / 2 - FACE_CENTRE * side, height - side),
        side,
    )


def model_box(points: Points, version: Version, shift_px: int = 0) -> Frame:
    """The face box in the shown frame, as MuseTalk was trained with it: symmetric about the middle
    of the nose. v1 may shift it (down opens the mouth further); v1.5 adds a margin below the chin.
    Raises `UnusableFootage` when a shift leaves nothing of it."""
    whole = points.astype(np.int32)
    left, right = int(whole[:, 0].min()), int(whole[:, 0].max())
    bottom = int(whole[:, 1].max())
    middle = int(whole[NOSE_MIDDLE, 1]) + (shift_px if version == "v1" else 0)
    top = max(0, middle - (bottom - middle))
    if version == "v1.5":
        bottom += CHIN_MARGIN_PX
    left, right = max(0, left), min(FRAME_SIZE_PX, right)
    bottom = min(FRAME_SIZE_PX, bottom)
    if right - left < LEAST_BOX_PX or bottom - top < LEAST_BOX_PX:
        raise UnusableFootage(
            f"With a shift of {shift_px} pixels nothing is left of the face. Choose a smaller one."
        )
    return left, top, right, bottom


def crop_box(box: Frame) -> Frame:
    """The square around a face box in which its mask is made; it may leave the frame."""
    left, top, right, bottom = box
    x, y = (left + right) // 2, (top + bottom) // 2
    half = int(max(right - left, bottom - top) // 2 * 1.5)
    return x - half, y - half, x + half, y + half


def model_input(frame: Pixels, box: Frame) -> Pixels:
    """The face box as the VAE is given it: uint8 BGR [256, 256, 3]."""
    left, top, right, bottom = box
    face = frame[top:bottom, left:right]
    return np.asarray(cv2.resize(face, (256, 256), interpolation=cv2.INTER_LANCZOS4), np.uint8)


def _is_upright(points: Points) -> bool:
    """Whether the chin is below the nose; otherwise the points are guesses, or the head lies."""
    return float(points[JAW, 1].max() - points[NOSE_MIDDLE, 1]) > 0.2 * _height(points) > 0


def _height(points: npt.NDArray[np.float32]) -> float:
    _, top, _, bottom = face_box(points)
    return bottom - top


def _longest_run(numbers: Sequence[int]) -> int:
    longest = run = 0
    for i, number in enumerate(numbers):
        run = run + 1 if i and number == numbers[i - 1] + 1 else 1
        longest = max(longest, run)
    return longest


def _within(wanted: float, most: int) -> int:
    return int(min(max(0, round(wanted)), most))
