import zlib

import numpy as np
import pytest

from engines.avatar.viseme.portrait import BLINK, FACES, MOUTH_BOX, Portrait, portrait
from engines.avatar.viseme.visemes import REST, Mouth
from engines.base import FPS, FRAME_SIZE_PX, Backdrop, Pixels
from engines.errors import UnknownAvatar
from tests.engines.avatar.mouth import mouth_opening

OPEN = Mouth(0.8, 0.0, 0.0, 0.3, 0.0)


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> Portrait:
    return portrait(request.param)


def crop(frame: Pixels) -> Pixels:
    x, y, w, h = MOUTH_BOX
    return frame[y : y + h, x : x + w]


def worst(a: Pixels, b: Pixels) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_a_portrait_is_a_backdrop(face: Portrait) -> None:
    backdrop: Backdrop = face
    frame = backdrop.frame(7)
    assert frame.shape == (FRAME_SIZE_PX, FRAME_SIZE_PX, 3) and frame.dtype == np.uint8
    assert not frame.flags.writeable
    assert zlib.crc32(frame.tobytes()) == zlib.crc32(face.frame(7).tobytes())


def test_a_face_is_made_once() -> None:
    assert portrait("mei") is portrait("mei")


def test_an_unknown_face_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownAvatar, match="'bob'.*mei, anna, david"):
        portrait("bob")


def test_the_faces_are_different_people() -> None:
    frames = [portrait(name).frame(0).astype(int) for name in FACES]
    for i, one in enumerate(frames):
        for other in frames[:i]:
            assert np.abs(one - other).mean() > 20


def test_the_body_moves_without_a_jump(face: Portrait) -> None:
    corners = np.array([[256, 20, 1], [120, 200, 1], [392, 200, 1], [256, 300, 1]]).T
    places = np.stack([face.pose(i) @ corners for i in range(60 * FPS)])
    assert np.abs(np.diff(places, axis=0)).max() < 0.15
    assert 1 < np.abs(places - corners[:2]).max() < 4.5
    late = np.stack([face.pose(10**9 + i) @ corners for i in range(3)])
    assert np.abs(np.diff(late, axis=0)).max() < 0.15


def test_consecutive_frames_look_alike(face: Portrait) -> None:
    frames = [face.frame(i).astype(int) for i in range(20) if face.eyes(i) == "open"]
    for one, other in zip(frames, frames[1:], strict=False):
        assert 0 < np.abs(one - other).mean() < 1.5


def test_blinks_come_every_two_to_five_seconds(face: Portrait) -> None:
    eyes = [face.eyes(i) for i in range(120 * FPS)]
    begins = [i for i in range(1, len(eyes)) if eyes[i] != "open" == eyes[i - 1]]
    gaps = np.diff(begins) / FPS
    assert len(begins) > 20 and gaps.min() >= 2 and gaps.max() <= 5
    assert len({round(gap, 2) for gap in gaps}) > 5
    assert tuple(eyes[begins[0] : begins[0] + len(BLINK)]) == BLINK


def test_a_blink_is_seen_at_the_eyes_only(face: Portrait) -> None:
    shut = next(i for i in range(300) if face.eyes(i) == "closed")
    before = next(i for i in range(shut, 0, -1) if face.eyes(i) == "open")
    change = np.abs(face.frame(shut).astype(int) - face.frame(before)).max(axis=2)
    assert change[180:240, 170:342].max() > 60
    assert (change > 40).sum() == (change[180:240, 170:342] > 40).sum()


def test_a_mouth_at_rest_is_the_backdrop(face: Portrait) -> None:
    for index in (0, 33, 1000, 54_321):
        assert worst(face.mouth(index, REST), crop(face.frame(index))) <= 2


def test_almost_at_rest_looks_like_rest(face: Portrait) -> None:
    tiny = Mouth(1e-4, 1e-4, 1e-4, 1e-4, 1e-4)
    difference = face.mouth(5, tiny).astype(int) - face.mouth(5, REST)
    assert np.abs(difference).max() <= 12 and np.abs(difference).mean() < 0.1


def test_an_open_mouth_has_no_seam(face: Portrait) -> None:
    for index in (0, 40, 777):
        patch, rest = face.mouth(index, OPEN), crop(face.frame(index))
        for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1], np.s_[:4]):
            assert worst(patch[edge], rest[edge]) <= 2


def test_the_box_never_reaches_the_eyes_and_stays_small() -> None:
    _, y, w, h = MOUTH_BOX
    assert y > 250 and w <= 190 and h <= 140


def test_opening_is_measured_in_order(face: Portrait) -> None:
    box = (0, 0, *MOUTH_BOX[2:])
    jaws = [0.0, 0.2, 0.5, 0.8, 1.0]
    found = [mouth_opening(face.mouth(9, Mouth(j, 0.0, 0.0, 0.3, 0.0)), box) for j in jaws]
    assert found[0] == 0 and found == sorted(found) and found[-1] > 0.1


def test_lips_differ_between_sounds(face: Portrait) -> None:
    shapes = [REST, OPEN, Mouth(0.3, 0.9, 0, 0.5, 0), Mouth(0.3, -1, 0, 0, 0), Mouth(0, 0, 1, 0, 0)]
    pictures = [face.mouth(0, shape).astype(int) for shape in shapes]
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert np.abs(one - other).mean() > 0.2
