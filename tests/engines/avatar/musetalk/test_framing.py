import numpy as np
import pytest

from engines.avatar.musetalk.framing import (
    Square,
    bridged,
    crop_box,
    head_square,
    model_box,
    model_input,
    numbered,
    the_face,
)
from engines.avatar.musetalk.landmarks import Points, face_box, usual_face
from engines.errors import UnusableFootage
from tests.uploads import person

FACE = usual_face((180, 160, 330, 350))
"""150 wide and 190 high."""


def at(x: float, y: float, height: float = 190) -> Points:
    return usual_face((x, y, x + 0.8 * height, y + height))


# ── Which face ────────────────────────────────────────────────────────────────────────────────


def test_one_face_is_the_face() -> None:
    assert the_face([FACE], 0) is FACE
    assert the_face([], 0) is None


def test_two_faces_are_refused() -> None:
    with pytest.raises(UnusableFootage, match=r"Frame 7 shows 2 faces.*one person alone"):
        the_face([FACE, at(20, 20, 100)], 7)


def test_somebody_far_behind_does_not_matter() -> None:
    assert the_face([at(20, 20, 70), FACE], 0) is FACE


def test_a_head_upside_down_is_a_guess() -> None:
    assert the_face([FACE * np.array([1, -1], np.float32) + 400], 0) is None
    assert the_face([np.zeros((68, 2), np.float32)], 0) is None


# ── Gaps ──────────────────────────────────────────────────────────────────────────────────────


def test_a_short_gap_is_bridged_and_named() -> None:
    found: list[Points | None] = [at(i, 2 * i) for i in range(30)]
    found[10] = found[11] = found[12] = None
    points, missing = bridged(found)
    assert missing == (10, 11, 12)
    assert len(points) == 30
    for i, face in enumerate(points):
        assert np.allclose(face, at(i, 2 * i), atol=1e-3), i


def test_a_gap_at_an_end_takes_the_next_one() -> None:
    found: list[Points | None] = [None, at(5, 5), *[at(6, 6)] * 20, None]
    points, missing = bridged(found)
    assert missing == (0, 22)
    assert np.array_equal(points[0], at(5, 5))
    assert np.array_equal(points[22], at(6, 6))


def test_no_face_at_all() -> None:
    with pytest.raises(UnusableFootage, match="No face was found"):
        bridged([None] * 40)


def test_a_long_gap_is_refused_with_its_numbers() -> None:
    found: list[Points | None] = [FACE] * 100
    found[30:43] = [None] * 13
    with pytest.raises(UnusableFootage, match="13 of 100 frames show no face .30–42."):
        bridged(found)


def test_many_short_gaps_are_refused() -> None:
    found: list[Points | None] = [FACE if i % 4 else None for i in range(100)]
    with pytest.raises(UnusableFootage, match="25 of 100"):
        bridged(found)


def test_numbers_are_told_as_runs() -> None:
    assert numbered([3, 4, 5, 9, 11, 12]) == "3–5, 9, 11–12"
    assert numbered(range(0, 40, 2)).endswith("…")


# ── What is shown ─────────────────────────────────────────────────────────────────────────────


def test_the_square_is_the_same_for_all_and_holds_every_face() -> None:
    faces = [at(200 + 4 * i, 150) for i in range(40)]
    square = head_square(faces, 1280, 720)
    for face in faces:
        left, top, right, bottom = face_box(square.points(face))
        assert left > 0 and top > 0 and right < 512 and bottom < 512
    middle = np.mean([face_box(square.points(f)) for f in faces], axis=0)
    assert middle[0] + middle[2] == pytest.approx(512, abs=4)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (480, 0), (0, 280), (480, 280)])
def test_the_square_stays_in_the_picture(x: float, y: float) -> None:
    square = head_square([at(x, y)], 640, 480)
    assert square.left >= 0 and square.top >= 0
    assert square.left + square.side <= 640 and square.top + square.side <= 480
    assert square.side == 480  # as large as there is


def test_a_small_face_is_refused() -> None:
    with pytest.raises(UnusableFootage, match="60 pixels high"):
        head_square([at(100, 100, 60)], 640, 480)


def test_what_is_shown_and_its_points_go_together() -> None:
    picture = np.zeros((400, 600, 3), np.uint8)
    picture[200:208, 300:308] = 255
    square = Square(200, 100, 256)
    shown = square.shown(picture)
    assert shown.shape == (512, 512, 3)
    there = square.points(np.array([[300, 200], [308, 208]], np.float32)).astype(int)
    (left, top), (right, bottom) = there
    assert shown[top + 3 : bottom - 3, left + 3 : right - 3].min() > 200
    assert shown[: top - 4].max() == 0


def test_a_large_square_is_shrunk() -> None:
    assert Square(0, 0, 1000).shown(np.zeros((1000, 1100, 3), np.uint8)).shape == (512, 512, 3)


# ── What the model draws ──────────────────────────────────────────────────────────────────────


def test_the_box_is_symmetric_about_the_nose() -> None:
    left, top, right, bottom = model_box(FACE, "v1")
    nose = int(FACE[29, 1])
    assert (left, right, bottom) == (180, 330, 350)
    assert nose - top == bottom - nose


def test_v15_adds_a_margin_below_the_chin_and_knows_no_shift() -> None:
    left, top, right, bottom = model_box(FACE, "v1")
    assert model_box(FACE, "v1.5", shift_px=9) == (left, top, right, bottom + 10)


def test_a_shift_moves_the_middle_of_v1() -> None:
    _, top, _, bottom = model_box(FACE, "v1", shift_px=9)
    nose = int(FACE[29, 1]) + 9
    assert (bottom, top) == (350, 2 * nose - 350)


def test_too_large_a_shift_leaves_nothing() -> None:
    with pytest.raises(UnusableFootage, match="shift of 300"):
        model_box(FACE, "v1", shift_px=300)


def test_a_box_never_leaves_the_frame() -> None:
    left, top, right, bottom = model_box(usual_face((-30, 200, 540, 508)), "v1.5")
    assert (left, right, bottom) == (0, 512, 512)
    assert top >= 0


def test_the_crop_box_is_a_square_around_it() -> None:
    # 101 // 2 · 1.5 = 75 to each side of the middle, as in the published script.
    assert crop_box((100, 100, 181, 201)) == (140 - 75, 150 - 75, 140 + 75, 150 + 75)


def test_the_models_input_is_the_box() -> None:
    face = model_input(person(), model_box(FACE, "v1.5"))
    assert face.shape == (256, 256, 3)
    assert face.dtype == np.uint8
    assert abs(face.mean() - person()[120:360, 180:330].mean()) < 10
