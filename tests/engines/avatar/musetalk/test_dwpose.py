from pathlib import Path

import numpy as np
import pytest

from engines.avatar.musetalk.dwpose import FACE, DwPose, decoded
from engines.base import FPS, Pixels
from engines.errors import EngineUnavailable
from tests import tiny_dwpose

Spot = tuple[float, float]
RED, BLUE = (0, 0, 1), (1, 0, 0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_dwpose.write(tmp_path_factory.mktemp("dwpose") / "dw-ll_ucoco_384.onnx")


def picture(
    *spots: Spot, width: int = 640, height: int = 480, colour: tuple[int, ...] = RED
) -> Pixels:
    """Black, with soft spots, each fainter than the one before."""
    y, x = np.mgrid[0:height, 0:width]
    light = np.zeros((height, width))
    for i, (at_x, at_y) in enumerate(spots):
        distance = (x - at_x) ** 2 + (y - at_y) ** 2
        light = np.maximum(light, (255 - 30 * i) * np.exp(-distance / 128))
    return (light[..., None] * colour).astype(np.uint8)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (512, 512), (1920, 300)])
def test_points_are_where_the_model_sees_them(model: Path, width: int, height: int) -> None:
    spot = (width * 0.4, height * 0.55)
    points, sure = DwPose(model).body(picture(spot, width=width, height=height))
    assert points.shape == (133, 2)
    assert points.dtype == np.float32
    assert (sure > 1).all()
    # The model is shown the frame with a quarter more around it, in its own proportions.
    scale = max(width * 1.25 / 288, height * 1.25 / 384)
    expected = np.array(spot) + tiny_dwpose.offsets() * scale
    assert np.abs(points - expected).max() <= scale + 0.5  # one point of the model's input


def test_a_face_is_the_68_points_of_133(model: Path) -> None:
    frame = picture((200, 200))
    eyes = DwPose(model)
    (face,) = eyes.find(frame)
    assert face.shape == (68, 2)
    assert np.array_equal(face, eyes.body(frame)[0][FACE])


def test_colours_come_in_the_models_order(model: Path) -> None:
    assert DwPose(model).find(picture((200, 200), colour=RED))
    assert not DwPose(model).find(picture((200, 200), colour=BLUE))


def test_no_face_in_the_dark(model: Path) -> None:
    assert DwPose(model).find(picture()) == []


def test_a_second_face_beside_the_first_is_found_once_a_second(model: Path) -> None:
    eyes = DwPose(model)
    frame = picture((150, 200), (500, 240))
    counts = [len(eyes.find(frame)) for _ in range(FPS + 1)]
    assert counts == [2, *[1] * (FPS - 1), 2]
    first, second = DwPose(model).find(frame)
    assert abs(first.mean(axis=0)[0] - 150) < 20
    assert abs(second.mean(axis=0)[0] - 500) < 20


def test_curves_are_read_at_their_highest_place() -> None:
    x, y = np.zeros((3, 20), np.float32), np.zeros((3, 30), np.float32)
    x[0, 7], y[0, 12] = 0.9, 0.4
    x[1, 19], y[1, 29] = 0.2, 0.8
    points, sure = decoded(x, y)
    assert points.tolist() == [[3.5, 6.0], [9.5, 14.5], [-1.0, -1.0]]
    assert sure.tolist() == pytest.approx([0.4, 0.2, 0.0])


def test_without_its_file_it_says_what_to_download(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"yzd-v/DWPose.*box"):
        DwPose(tmp_path / "dw-ll_ucoco_384.onnx")


def test_files_that_are_something_else(tmp_path: Path) -> None:
    (tmp_path / "page.onnx").write_text("<html>")
    with pytest.raises(EngineUnavailable, match="cannot be loaded"):
        DwPose(tmp_path / "page.onnx")
    with pytest.raises(EngineUnavailable, match="another model"):
        DwPose(tiny_dwpose.write(tmp_path / "other.onnx", fixed=False))


def test_a_real_picture_goes_through(model: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (100, 100, 3), np.uint8)
    points, _ = DwPose(model).body(noise)
    assert np.isfinite(points).all()
