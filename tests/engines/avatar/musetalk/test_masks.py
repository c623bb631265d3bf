import numpy as np
import pytest

from engines.avatar.musetalk.framing import Version, crop_box, model_box
from engines.avatar.musetalk.landmarks import usual_face
from engines.avatar.musetalk.masks import HullMasks
from tests.uploads import person

FACE = usual_face((180, 160, 330, 350))


@pytest.mark.parametrize("version", ["v1", "v1.5"])
def test_the_mask_covers_mouth_and_chin_and_leaves_the_eyes(version: Version) -> None:
    box = model_box(FACE, version)
    left, top, right, bottom = box
    mask = HullMasks(version).mask(person(), FACE, box)
    assert mask.shape == (bottom - top, right - left)
    assert mask.dtype == np.uint8
    for x, y in FACE[48:68].round().astype(int):
        assert mask[y - top, x - left] > 240  # lips
    for x, y in FACE[36:48].round().astype(int):
        assert mask[y - top, x - left] == 0  # eyes
    corner = mask[-20:, :20]
    assert corner.max() < 60  # beside the chin


def test_v15_reaches_below_the_chin() -> None:
    x, y = FACE[8].round().astype(int)
    alphas = []
    for version in ("v1", "v1.5"):
        left, top, _, bottom = box = model_box(FACE, version)
        mask = HullMasks(version).mask(person(), FACE, box)
        alphas.append(int(mask[min(y, bottom - 1) - top, x - left]))
    assert alphas[1] > alphas[0]


def test_the_rim_is_soft_and_as_wide_as_published() -> None:
    left, top, right, bottom = box = model_box(FACE, "v1.5")
    mask = HullMasks("v1.5").mask(person(), FACE, box)
    crop = crop_box(box)
    kernel = int(0.1 * (crop[2] - crop[0]) // 2 * 2) + 1
    middle = (crop[1] + crop[3]) // 2 - top
    column = mask[:, (right - left) // 2].astype(int)
    assert (column[: middle - kernel // 2 - 1] == 0).all()
    assert (column[middle + kernel // 2 + 1 : -kernel] == 255).all()
    assert (np.diff(column[: middle + kernel]) >= 0).all()
    assert abs(column[middle] - 128) < 20


def test_a_face_at_the_frames_edge() -> None:
    face = usual_face((-30, 300, 150, 508))
    left, top, right, bottom = box = model_box(face, "v1.5")
    mask = HullMasks("v1.5").mask(person(), face, box)
    assert mask.shape == (bottom - top, right - left)
    assert mask.max() == 255
