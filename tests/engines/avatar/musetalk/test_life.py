import numpy as np
import pytest

from engines.avatar.musetalk.landmarks import EYES, Points, usual_face
from engines.avatar.musetalk.life import BLINKS, CLOSING, FRAMES, LivingPhoto, Pose, poses, shut_eye
from engines.avatar.viseme.portrait import portrait
from engines.base import Pixels
from tests.uploads import person

FACE = usual_face((174, 169, 338, 353))
STILL = Pose(0, 0, 0)


def test_it_stands_still_at_both_ends_so_that_it_can_go_to_and_fro() -> None:
    way = np.array([(pose.right_px, pose.down_px) for pose in poses()])
    assert len(way) == FRAMES == 125
    steps = np.linalg.norm(np.diff(way, axis=0), axis=1)
    assert steps[0] < 0.02 and steps[-1] < 0.02
    assert 0.02 < steps.max() < 0.2  # never a jump
    assert 1.5 < np.abs(way).max() < 4


def test_it_blinks_twice() -> None:
    shut = [pose.shut for pose in poses()]
    assert [i for i, part in enumerate(shut) if part] == [b + i for b in BLINKS for i in range(4)]
    assert shut[BLINKS[0] : BLINKS[0] + 4] == list(CLOSING)


def test_without_a_movement_it_is_the_photo() -> None:
    photo = LivingPhoto(person(), FACE, blinks=True)
    assert np.array_equal(photo.frame(STILL), person())
    assert np.array_equal(photo.points(STILL), FACE)


def test_the_head_moves_and_the_edge_does_not() -> None:
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 255, (512, 512, 3), np.uint8)
    photo = LivingPhoto(noise, FACE, blinks=False)
    moved = photo.frame(Pose(2.0, 1.0, 0))
    difference = moved[200:300, 220:280].astype(int) - noise[199:299, 218:278]
    assert np.abs(difference).mean() < 5  # of 85 between two pixels
    for edge in (np.s_[:2], np.s_[-2:], np.s_[:, :2], np.s_[:, -2:]):
        assert np.abs(moved[edge].astype(int) - noise[edge]).mean() < 12
    points = photo.points(Pose(2.0, 1.0, 0))
    assert np.allclose(points - FACE, (2.0, 1.0), atol=0.35)


def eye_of_a_drawing(width: int = 40) -> tuple[Pixels, Points]:
    """Skin of 180, a white eye with a black pupil, and its six points."""
    picture = np.full((100, 100, 3), 180, np.uint8)
    y, x = np.mgrid[0:100, 0:100]
    inside = ((x - 50) / (width / 2)) ** 2 + ((y - 50) / 8) ** 2 < 1
    picture[inside] = 255
    picture[(x - 50) ** 2 + (y - 50) ** 2 < 36] = 0
    points = [(30, 50), (40, 43), (60, 43), (70, 50), (60, 57), (40, 57)]
    return picture, np.array(points, np.float32)


@pytest.mark.parametrize(
    ("shut", "least", "most"), [(0.0, 0.95, 1.0), (0.5, 0.3, 0.7), (1.0, 0, 0.05)]
)
def test_the_lid_covers_the_eye_from_above(shut: float, least: float, most: float) -> None:
    """`least` and `most`: what part of the pupil is still to be seen."""
    picture, eye = eye_of_a_drawing()
    before = picture.copy()
    shut_eye(picture, eye, shut)
    seen = (picture.mean(axis=2) < 60).sum() / (before.mean(axis=2) < 60).sum()
    assert least <= seen <= most
    assert np.array_equal(picture[62:], before[62:])
    assert np.array_equal(picture[:, :29], before[:, :29])
    if shut == 0:
        assert np.abs(picture.astype(int) - before).max() <= 1


def test_a_photo_with_open_eyes_blinks_and_one_without_them_does_not() -> None:
    photo = person()
    shut = Pose(0, 0, 1.0)
    eyes = np.s_[200:270, 170:345]
    changed = LivingPhoto(photo, FACE, blinks=True).frame(shut)
    assert (np.abs(changed[eyes].astype(int) - photo[eyes]) > 20).any()
    assert np.array_equal(LivingPhoto(photo, FACE, blinks=False).frame(shut), photo)
    narrow = FACE.copy()
    for eye in EYES:
        narrow[list(eye), 1] = narrow[list(eye), 1].mean()
    assert np.array_equal(LivingPhoto(photo, narrow, blinks=True).frame(shut), photo)


def test_eyes_at_the_edge_are_left_alone() -> None:
    picture = portrait("mei").frame(0).copy()
    shut_eye(picture, np.array([(-5, 3), (1, 1), (4, 1), (8, 3), (4, 5), (1, 5)], np.float32), 1.0)
    assert np.array_equal(picture, portrait("mei").frame(0))
