import numpy as np

from engines.avatar.viseme.looks import LOOKS
from engines.avatar.viseme.mouth import Outline, outline, paint
from engines.avatar.viseme.visemes import REST, Mouth

LOOK = LOOKS["mei"]


def width(shape: Outline) -> float:
    return 2 * shape.half_px


def test_lips_at_rest_meet() -> None:
    shape = outline(LOOK, REST, 1.0)
    np.testing.assert_array_equal(shape.upper_inner, shape.lower_inner)


def test_curves_never_cross() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        jaw, wide, press, teeth, tongue = rng.uniform([0, -1, 0, 0, 0], 1)
        shape = outline(LOOK, Mouth(jaw, wide, press, teeth, tongue), 1.0)
        heights = [shape.upper_outer, shape.upper_inner, shape.lower_inner, shape.lower_outer]
        for above, below in zip(heights, heights[1:], strict=False):
            assert (below[:, 1] - above[:, 1] > -1e-9).all()


def test_round_is_narrower_than_rest_and_spread_is_wider() -> None:
    rounded = outline(LOOK, Mouth(0.3, -1, 0, 0, 0), 1.0)
    spread = outline(LOOK, Mouth(0.3, 1, 0, 0, 0), 1.0)
    assert width(rounded) < 0.75 * width(outline(LOOK, REST, 1.0)) < 0.75 * width(spread)


def test_pressed_lips_are_thinner() -> None:
    def thickness(mouth: Mouth) -> float:
        shape = outline(LOOK, mouth, 1.0)
        return float(np.ptp([shape.upper_outer[20, 1], shape.lower_outer[20, 1]]))

    assert thickness(Mouth(0, 0, 1, 0, 0)) < 0.7 * thickness(REST)


def painted(mouth: Mouth, skin: int = 200) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    roi = np.full((80, 100, 3), skin, np.uint8)
    paint(roi, (50.0, 22.0), LOOK, mouth, 1.13)
    return roi


def test_a_small_step_of_the_jaw_is_a_small_step_of_the_picture() -> None:
    pictures = [painted(Mouth(j, 0, 0, 0.3, 0)).astype(int) for j in np.arange(0, 1, 0.02)]
    steps = [np.abs(b - a).mean() for a, b in zip(pictures, pictures[1:], strict=False)]
    assert max(steps) < 1.5


def test_paint_leaves_the_rim_alone() -> None:
    roi = painted(Mouth(1, 0, 0, 0.3, 0))
    for edge in (roi[0], roi[:, 0], roi[:, -1], roi[-1]):
        assert np.abs(edge.astype(int) - 200).max() <= 2


def test_a_hiss_shows_more_white_than_a_vowel() -> None:
    def white(mouth: Mouth) -> int:
        return int((painted(mouth, 120)[10:40, 20:80].min(axis=2) > 165).sum())

    assert white(Mouth(0.2, 0.4, 0, 1, 0)) > 20 > white(Mouth(0.2, -1, 0, 0, 0))
