import numpy as np
import pytest

from engines.avatar.musetalk.landmarks import EYES, GivenBox, face_box, moved, usual_face
from engines.base import Pixels
from engines.errors import UnusableFootage
from tests.uploads import BOX, person, scene, sway

WIDE_BOX = (0.1 + 0.8 * BOX[0], BOX[1], 0.1 + 0.8 * BOX[2], BOX[3])
"""Of Anna in a `scene`, which is 640 wide and shows her from 64 on."""


def test_the_usual_face_fills_its_box() -> None:
    points = usual_face((100, 50, 300, 300))
    assert points.shape == (68, 2)
    assert face_box(points) == pytest.approx((100, 50, 300, 300))


def test_the_usual_face_is_even() -> None:
    points = usual_face((0, 0, 1, 1))
    mirrored = np.stack([1 - points[:, 0], points[:, 1]], axis=1)
    for point in mirrored:
        assert np.abs(points - point).max(axis=1).min() < 1e-6
    left, right = (points[list(eye)].mean(axis=0) for eye in EYES)
    assert left[0] < 0.5 < right[0]
    nose, lips, chin = points[27:31, 1], points[48:68, 1], points[8, 1]
    assert (np.diff(nose) > 0).all()
    assert left[1] < nose[-1] < lips.min() < lips.max() < chin


def test_the_upper_lid_is_above_the_lower_one() -> None:
    points = usual_face((0, 0, 100, 100))
    for eye in EYES:
        assert points[eye[1], 1] < points[eye[5], 1]
        assert points[eye[2], 1] < points[eye[4], 1]


@pytest.mark.parametrize(
    "box", [(0.5, 0.1, 0.4, 0.9), (0, 0, 0, 0), (-0.1, 0, 1, 1), (0, 0, 1, 1.1)]
)
def test_boxes_that_enclose_nothing(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(UnusableFootage, match="from 0 to 1"):
        GivenBox(box)


def test_a_given_box_is_followed() -> None:
    finder = GivenBox(WIDE_BOX)
    start = finder.find(scene(0))[0]
    for index in range(1, 30):
        shift = finder.find(scene(index))[0] - start
        # She also sways by herself, by up to 2 px.
        assert np.abs(shift.mean(axis=0) - (sway(index), 0)).max() < 3, index


def test_a_head_that_comes_nearer() -> None:
    import cv2

    finder = GivenBox(BOX)
    start = finder.find(person())[0]
    for growth in (1.05, 1.1, 1.15):
        matrix = np.array([[growth, 0, 256 * (1 - growth)], [0, growth, 256 * (1 - growth)]])
        frame = np.asarray(cv2.warpAffine(person(), matrix, (512, 512)), np.uint8)
        (points,) = finder.find(frame)
        assert np.abs(points - moved(start, matrix)).max() < 3


def test_where_nothing_can_be_followed_the_box_stays() -> None:
    plain: Pixels = np.full((200, 200, 3), 90, np.uint8)
    finder = GivenBox((0.2, 0.2, 0.8, 0.8))
    start = finder.find(plain)[0]
    assert np.array_equal(finder.find(plain)[0], start)


def test_what_comes_in_between_does_not_lead_it_astray() -> None:
    finder = GivenBox(WIDE_BOX)
    start = finder.find(scene(0))[0]
    finder.find(np.zeros_like(scene(0)))
    again = finder.find(scene(1))[0]
    assert np.abs(again - start).max() < 5
