import json
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.avatar.musetalk.landmarks import Landmarks, Points, usual_face
from engines.avatar.musetalk.preparation import AvatarWish, Preparation
from engines.avatar.musetalk.prepared import Latents, PreparedAvatar
from engines.base import Pixels
from engines.errors import EngineError, EngineUnavailable, UnusableFootage
from tests.uploads import BOX, clip, person, photo, scene, sway, talking

WIDE_BOX = (0.1 + 0.8 * BOX[0], BOX[1], 0.1 + 0.8 * BOX[2], BOX[3])

FACE = usual_face((174, 169, 338, 353))
"""Of Anna in a picture of her alone."""


def mean_colours(faces: Pixels) -> Latents:
    """Stands in for the VAE: four times the mean of the lower half, four times that of all."""
    assert faces.shape[1:] == (256, 256, 3) and faces.dtype == np.uint8
    parts = [faces[:, 128:].mean(axis=(1, 2, 3)) / 255, faces.mean(axis=(1, 2, 3)) / 255]
    rows = np.stack([parts[i // 4] for i in range(8)], axis=1)
    return np.broadcast_to(rows[:, :, None, None], (len(faces), 8, 32, 32)).astype(np.float16)


class Seen:
    """Landmarks that somebody wrote down: what is seen in each look, then the last one again."""

    def __init__(self, looks: Sequence[list[Points]]) -> None:
        self._looks = list(looks)

    def find(self, frame: Pixels) -> list[Points]:
        return self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]


def nothing() -> Landmarks:
    raise EngineUnavailable("There is no model for landmarks. Give the box of the face.")


def prepared(
    tmp_path: Path,
    data: bytes,
    landmarks: Callable[[], Landmarks] = nothing,
    wish: AvatarWish | None = None,
    latents: Callable[[Pixels], Latents] = mean_colours,
) -> PreparedAvatar:
    (tmp_path / "upload").write_bytes(data)
    folder = tmp_path / "Anna"
    folder.mkdir()
    progress: list[float] = []
    wish = wish or AvatarWish("Anna")
    facts = Preparation(latents, landmarks).prepare(
        tmp_path / "upload", wish, folder, progress.append
    )
    assert progress == sorted(progress)
    assert len(progress) > 3 and progress[-1] == 1.0
    avatar = PreparedAvatar.open(folder)
    assert avatar.facts == facts
    return avatar


def boxed(tmp_path: Path, data: bytes, box: tuple[float, float, float, float]) -> PreparedAvatar:
    return prepared(tmp_path, data, wish=AvatarWish("Anna", box))


def test_a_clip_with_a_given_box(tmp_path: Path) -> None:
    avatar = boxed(tmp_path, talking(40), WIDE_BOX)
    assert (avatar.facts.kind, avatar.facts.frames) == ("clip", 40)
    assert avatar.facts.bridged == ()
    lefts = np.array([avatar.place(i).box[0] for i in range(40)])
    swayed = np.array([sway(i) for i in range(40)]) * 512 / 478
    assert np.abs(lefts - lefts[0] - swayed).max() < 4  # the boxes go along with the head


def test_frames_and_latents_belong_together(tmp_path: Path) -> None:
    """A clip that grows brighter: each latent is as bright as its own frame's box."""
    pictures = [np.clip(scene(0).astype(int) + 3 * i - 40, 0, 255) for i in range(30)]
    avatar = boxed(tmp_path, clip([p.astype(np.uint8) for p in pictures]), WIDE_BOX)
    for i in range(30):
        left, top, right, bottom = avatar.place(i).box
        whole = avatar.frame(i)[top:bottom, left:right].mean() / 255
        assert avatar.latent(i)[4, 0, 0] == pytest.approx(whole, abs=0.004)


def test_a_photo_comes_alive(tmp_path: Path) -> None:
    avatar = prepared(tmp_path, photo(kind=".png"), lambda: Seen([[FACE]]))
    assert (avatar.facts.kind, avatar.facts.frames) == ("photo", 125)
    assert avatar.facts.notes == ()
    first = avatar.frame(0).astype(int)
    assert np.abs(avatar.frame(124).astype(int) - first).mean() > 0.5  # it has moved
    steps = [np.abs(avatar.frame(i + 1).astype(int) - avatar.frame(i)).mean() for i in range(130)]
    assert max(steps) < 2.0
    eyes = np.s_[190:290, 150:370]
    assert np.abs(avatar.frame(39)[eyes].astype(int) - avatar.frame(36)[eyes]).max() > 40
    box, later = avatar.place(0).box, avatar.place(124).box
    assert box != later
    assert np.abs(np.array(box) - later).max() <= 4


def test_a_photo_with_only_a_box_does_not_blink_and_says_so(tmp_path: Path) -> None:
    avatar = boxed(tmp_path, photo(), BOX)
    assert avatar.facts.frames == 125
    assert any("does not blink" in note for note in avatar.facts.notes)


def test_frames_without_a_face_are_named(tmp_path: Path) -> None:
    looks: list[list[Points]] = [[FACE]] * 40
    looks[10:13] = [[]] * 3
    avatar = prepared(tmp_path, clip([person()] * 40), lambda: Seen(looks))
    assert avatar.facts.bridged == (10, 11, 12)
    assert "3 frames (10–12)" in avatar.facts.notes[0]
    assert avatar.place(11).box == avatar.place(9).box
    assert (avatar.latent(11) == avatar.latent(9)).all()


def refusal(tmp_path: Path, data: bytes, looks: Sequence[list[Points]]) -> str:
    with pytest.raises(UnusableFootage) as refused:
        prepared(tmp_path, data, lambda: Seen(looks))
    assert not (tmp_path / "Anna" / "avatar.json").exists()
    return refused.value.sentence


def test_what_no_face_can_be_made_of(tmp_path: Path) -> None:
    for name, looks, told in (
        ("no face", [[]], "No face was found"),
        ("two", [[FACE, FACE + 5]], "shows 2 faces"),
        ("small", [[usual_face((10, 10, 40, 50))]], "40 pixels high"),
    ):
        (tmp_path / name).mkdir()
        assert told in refusal(tmp_path / name, photo(), looks)


def test_a_clip_that_loses_its_face(tmp_path: Path) -> None:
    told = refusal(tmp_path, clip([person()] * 40), [*[[FACE]] * 20, []])
    assert "20 of 40 frames show no face (20–39)" in told


def test_without_a_model_and_without_a_box_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="Give the box"):
        prepared(tmp_path, photo())


def test_a_long_clip_and_a_small_head_are_noted(tmp_path: Path) -> None:
    small = np.full((300, 400, 3), 90, np.uint8)
    small[:, 50:350] = cv2.resize(person(), (300, 300))
    box = (0.125 + 0.75 * BOX[0], BOX[1], 0.125 + 0.75 * BOX[2], BOX[3])
    avatar = boxed(tmp_path, clip([small] * 520, codec="mpeg4"), box)
    assert avatar.facts.frames == 500
    assert [note.split()[0:2] for note in avatar.facts.notes] == [["The", "clip"], ["The", "head"]]


def test_it_can_be_ended_at_any_frame(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def progress(part: float) -> None:
        if part > 0.7:
            raise Enough

    (tmp_path / "upload").write_bytes(talking(40))
    (tmp_path / "Anna").mkdir()
    with pytest.raises(Enough):
        Preparation(mean_colours, nothing).prepare(
            tmp_path / "upload", AvatarWish("Anna", WIDE_BOX), tmp_path / "Anna", progress
        )
    assert not (tmp_path / "Anna" / "avatar.json").exists()


def test_a_model_that_gives_no_numbers(tmp_path: Path) -> None:
    def broken(faces: Pixels) -> Latents:
        return np.full((len(faces), 8, 32, 32), np.nan, np.float16)

    with pytest.raises(EngineError, match="numbers"):
        prepared(tmp_path, photo(), wish=AvatarWish("Anna", BOX), latents=broken)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(photo())
    with pytest.raises(EngineUnavailable, match="could not be stored"):
        Preparation(mean_colours, nothing).prepare(
            tmp_path / "upload", AvatarWish("Anna", BOX), tmp_path / "none", lambda part: None
        )


def test_the_versions_have_different_boxes(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(photo())
    boxes = []
    for version in ("v1", "v1.5"):
        folder = tmp_path / version
        folder.mkdir()
        maker = Preparation(mean_colours, lambda: Seen([[FACE]]), version)
        maker.prepare(tmp_path / "upload", AvatarWish("Anna"), folder, lambda part: None)
        boxes.append(PreparedAvatar.open(folder).place(0).box)
        assert json.loads((folder / "avatar.json").read_text())["version"] == version
    assert boxes[1][3] - boxes[0][3] == 10
    assert boxes[0][:3] == boxes[1][:3]
