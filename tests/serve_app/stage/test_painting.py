"""Frames as they are sent, against the same composed in colour."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engines.avatar.viseme.portrait import portrait
from engines.base import Pixels
from engines.stub import StubBackdrop
from serve_app.stage.painting import painted
from serve_app.stage.reel import SILENCE, Mouth, Shown
from serve_app.stage.scenery import KEPT_FRAMES, Scenery


def shown(frame: int, mouth: Mouth | None = None, strength: float = 1.0) -> Shown:
    return Shown(frame, mouth, strength, SILENCE, None)


def picture(scenery: Scenery, what: Shown) -> Pixels:
    return np.asarray(painted(scenery, what).to_ndarray(format="bgr24"), np.uint8)


def difference(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def test_a_frame_is_the_faces_own() -> None:
    face = portrait("anna")
    assert difference(picture(Scenery(face), shown(7)), face.frame(7)) < 2.5


@pytest.mark.parametrize("corner", [(100, 60), (101, 60), (100, 61), (101, 61)])
def test_a_mouth_is_laid_where_it_belongs(corner: tuple[int, int]) -> None:
    x, y = corner
    pixels = np.full((40, 50, 3), 200, np.uint8)
    drawn = picture(Scenery(StubBackdrop()), shown(0, Mouth(x, y, pixels)))
    expected = np.zeros_like(drawn)
    expected[y : y + 40, x : x + 50] = 200
    assert difference(drawn, expected) < 1.5
    assert drawn[y + 20, x + 25].tolist() == pytest.approx([200] * 3, abs=3)
    assert drawn[: y - 1].max() < 5 and drawn[:, : x - 1].max() < 5


def test_a_mouth_may_be_half_there() -> None:
    mouth = Mouth(100, 60, np.full((40, 50, 3), 200, np.uint8))
    drawn = picture(Scenery(StubBackdrop()), shown(0, mouth, 0.5))
    assert drawn[80, 125].tolist() == pytest.approx([100] * 3, abs=5)


class Counting(StubBackdrop):
    """Knows how often it was drawn."""

    def __init__(self) -> None:
        self.drawn: list[int] = []

    def frame(self, index: int) -> Pixels:
        self.drawn.append(index)
        return super().frame(index)


def test_many_who_look_at_a_face_have_it_drawn_once() -> None:
    backdrop = Counting()
    scenery = Scenery(backdrop)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(scenery.planes, [frame for frame in range(20) for _ in range(8)]))
    assert sorted(backdrop.drawn) == list(range(20))


def test_frames_are_not_kept_for_ever_and_nobody_can_spoil_them() -> None:
    backdrop = Counting()
    scenery = Scenery(backdrop)
    for frame in range(KEPT_FRAMES + 1):
        planes = scenery.planes(frame)
    scenery.planes(0)
    assert backdrop.drawn.count(0) == 2
    with pytest.raises(ValueError, match="read-only"):
        planes[0, 0] = 1
