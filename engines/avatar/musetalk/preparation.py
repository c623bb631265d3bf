"""From an upload to a prepared face, in two looks at the footage.

    first:   footage → landmarks of every frame → gaps bridged → the square that is shown
    second:  footage → frame, box, mask, latent of every frame → the folder

Only the frames at hand are in memory. Takes minutes without a GPU: call it in a thread of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.avatar.musetalk.footage import LIMIT_FRAMES, LIMIT_S, Footage, open_footage
from engines.avatar.musetalk.framing import (
    Square,
    Version,
    bridged,
    head_square,
    model_box,
    model_input,
    numbered,
    the_face,
)
from engines.avatar.musetalk.landmarks import Box, GivenBox, Landmarks, Points
from engines.avatar.musetalk.life import LivingPhoto, poses
from engines.avatar.musetalk.masks import HullMasks, Masks
from engines.avatar.musetalk.prepared import Canvas, Facts, Latents
from engines.base import FPS, Pixels
from engines.errors import EngineError, EngineUnavailable

LOOKING = 0.5
"""Part of the progress that is the first look."""

Progress = Callable[[float], None]
"""Told 0 to 1 after every frame; what it raises ends the preparation."""


@dataclass(frozen=True, slots=True)
class AvatarWish:
    """What is to be made."""

    name: str
    box: Box | None = None
    """Left, top, right, bottom of the face in the first frame, jaw to brows, as parts (0 to 1) of
    the upright picture's width and height; None: it is looked for."""
    shift_px: int = 0
    """v1 only: moves the box down (a wider open mouth) or up."""


@dataclass(frozen=True, slots=True)
class _Sitting:
    """The footage after the first look."""

    footage: Footage
    square: Square
    points: Sequence[Points]
    """Of the frames that will be shown, in their pixels."""
    scenes: Iterator[Pixels]
    """Those frames."""
    missing: tuple[int, ...]


class Preparation:
    """Makes faces. Keeps nothing between two of them."""

    def __init__(
        self,
        latents: Callable[[Pixels], Latents],
        landmarks: Callable[[], Landmarks],
        version: Version = "v1.5",
        masks: Masks | None = None,
    ) -> None:
        """`latents`: uint8 BGR [n, 256, 256, 3] → float16 [n, 8, 32, 32], the masked face's and the
        whole one's. `landmarks`: loads what finds faces; raises `EngineUnavailable`."""
        self._latents = latents
        self._landmarks = landmarks
        self._version = version
        self._masks = masks or HullMasks(version)

    def prepare(self, upload: Path, wish: AvatarWish, folder: Path, progress: Progress) -> Facts:
        """Fill an empty folder; it is whole when this returns. Blocks. Raises `EngineError`."""
        landmarks = GivenBox(wish.box) if wish.box else self._landmarks()
        try:
            sitting = _first_look(open_footage(upload), landmarks, progress, blinks=not wish.box)
            return self._second_look(sitting, wish, folder, progress)
        except OSError as error:
            raise EngineUnavailable(
                f"The avatar could not be stored: {error.strerror}. Make room and try again."
            ) from error

    def _second_look(
        self, sitting: _Sitting, wish: AvatarWish, folder: Path, progress: Progress
    ) -> Facts:
        boxes = [model_box(points, self._version, wish.shift_px) for points in sitting.points]
        canvas = Canvas(folder, len(boxes), np.array(boxes, np.int32))
        # One face a call: half a minute for a processor, after which it may still be given up. A
        # GPU would gain little by more, and who speaks meanwhile would wait for them.
        for number, (box, frame) in enumerate(zip(boxes, sitting.scenes, strict=True)):
            mask = self._masks.mask(frame, sitting.points[number], box)
            canvas.frames[number] = frame
            canvas.masks[number, : mask.shape[0], : mask.shape[1]] = mask
            canvas.latents[number] = self._encoded(model_input(frame, box)[None])[0]
            progress(LOOKING + (1 - LOOKING) * (number + 1) / len(boxes))
        footage = sitting.footage
        notes = _notes(sitting, eyes_known=wish.box is None)
        facts = Facts(
            wish.name, footage.kind, self._version, len(boxes), sitting.missing, tuple(notes)
        )
        canvas.finish(facts)
        return facts

    def _encoded(self, faces: Pixels) -> Latents:
        latents = self._latents(faces)
        if not np.isfinite(latents).all():
            raise EngineError(
                "The model gave numbers that are none for this face. Try again; if it comes back,"
                " download the model's files anew."
            )
        return latents


def _first_look(
    footage: Footage, landmarks: Landmarks, progress: Progress, *, blinks: bool
) -> _Sitting:
    found: list[Points | None] = []
    width = height = 0
    expected = min(footage.seconds * FPS, LIMIT_FRAMES)
    for picture in footage.frames():
        height, width = picture.shape[:2]
        found.append(the_face(landmarks.find(picture), len(found)))
        progress(LOOKING * min(1.0, len(found) / max(1.0, expected)))
    in_footage, missing = bridged(found)
    square = head_square(in_footage, width, height)
    points = [square.points(face) for face in in_footage]
    if footage.kind == "clip":
        shown = (square.shown(picture) for picture in footage.frames())
        return _Sitting(footage, square, points, shown, missing)
    photo = LivingPhoto(square.shown(footage.first()), points[0], blinks=blinks)
    alive = [photo.points(pose) for pose in poses()]
    return _Sitting(footage, square, alive, map(photo.frame, poses()), missing)


def _notes(sitting: _Sitting, *, eyes_known: bool) -> Iterator[str]:
    if sitting.footage.seconds > LIMIT_S + 0.5:
        yield f"The clip is longer than {LIMIT_S:g} s; its first {LIMIT_S:g} s are used."
    if sitting.missing:
        yield (
            f"No face was found in {len(sitting.missing)} frames ({numbered(sitting.missing)});"
            " what lies between their neighbours is used."
        )
    if sitting.square.side < SHARP_PX:
        yield (
            f"The head is shown from {sitting.square.side} × {sitting.square.side} pixels; a"
            " closer or larger picture would be sharper."
        )
    if sitting.footage.kind == "photo" and not eyes_known:
        yield "The face does not blink, because only its box is known."


SHARP_PX = 400
"""Of 512: below that blur is seen."""
