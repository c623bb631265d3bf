"""Putting a face into a frame of 512×512, against PIL as the published code does it.

Both scale the face to its box and give the frame with the face in it.
"""

import time
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from benchmarks.measure import median, report
from engines.avatar.musetalk.blending import Box, blended, mask_of_box, placement
from engines.base import FRAME_SIZE_PX, Pixels

ROUNDS = 200
BOX: Box = (150, 120, 370, 380)
CROP: Box = (65, 55, 455, 445)
"""A head that fills half of the frame; the mask is made for a square around the face."""


def soft_mask() -> Pixels:
    """An ellipse in the lower half of the crop, blurred as the published code does."""
    side = CROP[3] - CROP[1]
    mask = np.zeros((side, side), np.uint8)
    cv2.ellipse(mask, (side // 2, side // 2 + 40), (110, 110), 0, 0, 360, (255,), -1)
    mask[: side // 2] = 0
    blurred = cv2.GaussianBlur(mask, (39, 39), 0)
    return np.asarray(blurred, np.uint8)


def by_pil(frame: Pixels, face: Pixels, mask: Pixels) -> Pixels:
    size = (BOX[2] - BOX[0], BOX[3] - BOX[1])
    scaled = np.asarray(cv2.resize(face, size))
    body, mouth = Image.fromarray(frame[:, :, ::-1]), Image.fromarray(scaled[:, :, ::-1])
    around = body.crop(CROP)
    around.paste(mouth, (BOX[0] - CROP[0], BOX[1] - CROP[1]))
    body.paste(around, CROP[:2], Image.fromarray(mask).convert("L"))
    return np.array(body)[:, :, ::-1]


def once_ms(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return (time.perf_counter() - began_s) * 1000


def main() -> None:
    cv2.setNumThreads(1)  # one session must not need two cores
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (FRAME_SIZE_PX, FRAME_SIZE_PX, 3), np.uint8)
    face = rng.integers(0, 256, (256, 256, 3), np.uint8)
    mask = soft_mask()
    where = placement(BOX, mask_of_box(mask, CROP, BOX))
    whole = np.empty_like(frame)

    def ours() -> Pixels:
        np.copyto(whole, frame)
        mouth = blended(frame, face[where.first_row :], where)
        whole[where.y : where.y + len(mouth), where.x : where.x + mouth.shape[1]] = mouth
        return whole

    def pil() -> Pixels:
        return by_pil(frame, face, mask)

    assert np.array_equal(ours(), pil()), "the pictures differ"
    # In turn, so that a busy machine slows both alike.
    times = [(once_ms(ours), once_ms(pil)) for _ in range(ROUNDS)]
    value, control = (median(column) for column in zip(*times, strict=True))
    report("blending", value, "ms", control=control, goal="ratio ≤ 0.1")


if __name__ == "__main__":
    main()
