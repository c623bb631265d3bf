import numpy as np
import pytest

from engines.avatar.viseme.masks import Canvas, soft


def test_an_ellipse_covers_its_area() -> None:
    mask = Canvas(40, 60, (30.0, 20.0)).ellipse(0, 0, 20, 10)
    assert mask.shape == (40, 60, 1) and mask.max() == 1
    assert mask.sum() == pytest.approx(np.pi * 20 * 10, rel=0.03)


def test_a_mask_moves_by_less_than_a_pixel() -> None:
    still = Canvas(20, 20, (10.0, 10.0)).ellipse(0, 0, 5, 5)
    moved = Canvas(20, 20, (10.0, 10.0)).ellipse(0.25, 0, 5, 5)
    columns = np.arange(20)

    def centre(mask: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
        return float((mask[..., 0].sum(axis=0) @ columns) / mask.sum())

    assert centre(moved) - centre(still) == pytest.approx(0.25, abs=0.1)


def test_a_line_is_thinner_at_its_ends() -> None:
    curve = np.stack([np.linspace(-20, 20, 41), np.zeros(41)], 1)
    columns = Canvas(20, 60, (30.0, 10.0)).line(curve, 4.0)[..., 0].sum(axis=0)
    assert columns[30] == pytest.approx(4, abs=0.7) and columns[11] < 3


def test_blur_keeps_the_amount() -> None:
    mask = Canvas(40, 40, (20.0, 20.0)).ellipse(0, 0, 6, 6)
    assert soft(mask, 2.0).sum() == pytest.approx(mask.sum(), rel=0.01)
    assert soft(mask, 2.0).shape == mask.shape
