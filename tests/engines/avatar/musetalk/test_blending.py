import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engines.avatar.musetalk.blending import Box, blended, mask_of_box, placement
from engines.base import Pixels

SIZE = 128
"""Width and height of the frames here."""


def by_pil(frame: Pixels, scaled: Pixels, box: Box, crop: Box, mask: Pixels) -> Pixels:
    """As the published code does: whole pictures, PIL, and no thought about the edges."""
    body, face = Image.fromarray(frame), Image.fromarray(scaled)
    around = body.crop(crop)
    around.paste(face, (box[0] - crop[0], box[1] - crop[1]))
    body.paste(around, crop[:2], Image.fromarray(mask))
    return np.array(body)


def scaled(face: Pixels, box: Box) -> Pixels:
    import cv2

    return np.asarray(cv2.resize(face, (box[2] - box[0], box[3] - box[1])), np.uint8)


def ours(frame: Pixels, face: Pixels, box: Box, crop: Box, mask: Pixels) -> Pixels:
    where = placement(box, mask_of_box(mask, crop, box), (SIZE, SIZE))
    mouth = blended(frame, face[where.first_row :], where)
    whole = frame.copy()
    whole[where.y : where.y + len(mouth), where.x : where.x + mouth.shape[1]] = mouth
    return whole


def noise(seed: int, *shape: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@settings(deadline=None)  # a loaded machine may be slow
@given(
    x=st.integers(-40, 100),
    y=st.integers(-40, 100),
    width=st.integers(16, 100),
    height=st.integers(16, 100),
    seed=st.integers(0, 999),
)
def test_it_pastes_as_pil_does_bit_for_bit(
    x: int, y: int, width: int, height: int, seed: int
) -> None:
    box = (x, y, x + width, y + height)
    half = int(max(width, height) // 2 * 1.5)
    middle = (x + width // 2, y + height // 2)
    crop = (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
    frame, face = noise(seed, SIZE, SIZE, 3), noise(seed + 1, 256, 256, 3)
    mask = noise(seed + 2, 2 * half, 2 * half)
    mask[: half + seed % 7] = 0  # only the lower half is shown
    expected = by_pil(frame, scaled(face, box), box, crop, mask)
    try:
        made = ours(frame, face, box, crop, mask)
    except ValueError:  # nothing of it lies in the frame
        made = frame
    assert np.array_equal(made, expected)


def test_rows_that_are_not_needed_are_not_looked_at() -> None:
    box, mask = (20, 10, 90, 100), np.zeros((90, 70), np.uint8)
    mask[60:80, 10:50] = 200
    where = placement(box, mask, (SIZE, SIZE))
    assert (where.x, where.y, where.mask.shape) == (30, 70, (20, 40))
    assert where.first_row == int(60.5 * 256 / 90 - 0.5)
    frame, face = noise(0, SIZE, SIZE, 3), noise(1, 256, 256, 3)
    whole = blended(frame, face, where)
    assert np.array_equal(blended(frame, face[where.first_row :], where), whole)
    other = face.copy()
    other[where.first_row] ^= 255
    assert not np.array_equal(blended(frame, other, where), whole)


def test_the_rest_of_the_frame_is_not_touched() -> None:
    frame, face = noise(0, SIZE, SIZE, 3), noise(1, 256, 256, 3)
    frame.flags.writeable = False
    mask = np.full((40, 40), 255, np.uint8)
    mouth = blended(frame, face, placement((30, 30, 70, 70), mask, (SIZE, SIZE)))
    assert np.array_equal(mouth, scaled(face, (30, 30, 70, 70)))
    mask[:] = 0
    mask[5, 5] = 1
    assert blended(frame, face, placement((30, 30, 70, 70), mask, (SIZE, SIZE))).shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("box", "mask", "sentence"),
    [
        ((0, 0, 4, 4), np.zeros((4, 4), np.uint8), "hides the whole face"),
        ((0, 0, 4, 4), np.ones((4, 5), np.uint8), "does not fit the box"),
        ((SIZE, 0, SIZE + 4, 4), np.ones((4, 4), np.uint8), "outside of the frame"),
        ((0, -4, 4, 0), np.ones((4, 4), np.uint8), "outside of the frame"),
    ],
)
def test_a_face_that_cannot_be_seen_is_refused(box: Box, mask: Pixels, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        placement(box, mask, (SIZE, SIZE))
