import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.avatar.musetalk.prepared import AvatarCache, Canvas, Facts, PreparedAvatar, discard
from engines.errors import UnknownAvatar

FRAMES = 5


def made(folder: Path, frames: int = FRAMES, name: str = "Anna") -> Path:
    """Frame i is all i; its box is 20 + i wide and 30 + i high."""
    folder.mkdir(parents=True)
    boxes = np.array([[100, 200, 120 + i, 230 + i] for i in range(frames)], np.int32)
    canvas = Canvas(folder, frames, boxes)
    for i in range(frames):
        canvas.frames[i] = i
        canvas.latents[i] = i / 2
        canvas.masks[i, : 30 + i, : 20 + i] = 100 + i
    canvas.finish(Facts(name, "clip", "v1.5", frames, (1, 2), ("A note.",)))
    return folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    avatar = PreparedAvatar.open(made(tmp_path / "Anna"))
    assert avatar.facts == Facts("Anna", "clip", "v1.5", FRAMES, (1, 2), ("A note.",))
    for i in range(FRAMES):
        assert avatar.frame(i).shape == (512, 512, 3)
        assert avatar.frame(i).dtype == np.uint8
        assert (avatar.frame(i) == i).all()
        assert avatar.latent(i).shape == (8, 32, 32)
        assert avatar.latent(i).dtype == np.float16
        assert (avatar.latent(i) == i / 2).all()
        place = avatar.place(i)
        assert place.box == (100, 200, 120 + i, 230 + i)
        assert place.mask.shape == (30 + i, 20 + i)
        assert (place.mask == 100 + i).all()


@pytest.mark.parametrize("can_reserve", [True, False])
def test_its_room_is_taken_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_reserve: bool
) -> None:
    if not can_reserve:  # macOS
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    boxes = np.array([[100, 200, 120, 230]] * FRAMES, np.int32)
    canvas = Canvas(tmp_path, FRAMES, boxes)
    for name in ("frames", "latents", "masks"):
        status = (tmp_path / f"{name}.npy").stat()
        assert status.st_blocks * 512 >= status.st_size
    assert not canvas.frames.any()
    canvas.frames[:] = 7
    canvas.finish(Facts("Anna", "clip", "v1.5", FRAMES))
    assert (PreparedAvatar.open(tmp_path).frame(FRAMES - 1) == 7).all()


def test_the_cycle_goes_to_and_fro_without_end(tmp_path: Path) -> None:
    avatar = PreparedAvatar.open(made(tmp_path / "Anna"))
    assert [avatar.mirrored(i) for i in range(12)] == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3]
    assert avatar.mirrored(10**12 + 3) == (10**12 + 3) % 8
    assert (avatar.frame(6) == 2).all()
    assert avatar.place(6).box == avatar.place(2).box


def test_a_single_frame_stands_still(tmp_path: Path) -> None:
    avatar = PreparedAvatar.open(made(tmp_path / "Anna", 1))
    assert {avatar.mirrored(i) for i in range(5)} == {0}


def test_nobody_can_change_what_all_look_at(tmp_path: Path) -> None:
    avatar = PreparedAvatar.open(made(tmp_path / "Anna"))
    for array in (avatar.frame(1), avatar.latent(1), avatar.place(1).mask):
        assert type(array) is np.ndarray
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0


def test_frames_are_pages_of_the_file_and_no_copies(tmp_path: Path) -> None:
    avatar = PreparedAvatar.open(made(tmp_path / "Anna"))
    assert np.shares_memory(avatar.frame(1), avatar.frame(1))
    assert avatar.nbytes > FRAMES * 512 * 512 * 3


def test_there_is_no_such_avatar(tmp_path: Path) -> None:
    with pytest.raises(UnknownAvatar, match="no avatar 'Nobody'"):
        PreparedAvatar.open(tmp_path / "Nobody")


@pytest.mark.parametrize("file", ["frames", "latents", "boxes", "masks"])
def test_damaged_files_are_refused(tmp_path: Path, file: str) -> None:
    folder = made(tmp_path / "Anna")
    path = folder / f"{file}.npy"
    whole = path.read_bytes()
    for wrong in (b"", whole[:60], whole[: len(whole) // 2], b"PK\x03\x04" + whole):
        path.write_bytes(wrong)
        with pytest.raises(UnknownAvatar, match="damaged"):
            PreparedAvatar.open(folder)
    path.unlink()
    with pytest.raises(UnknownAvatar):
        PreparedAvatar.open(folder)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    folder = made(tmp_path / "Anna")
    np.save(folder / "boxes.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(UnknownAvatar, match="damaged"):
        PreparedAvatar.open(folder)


@pytest.mark.parametrize(
    "change", [{"frames": 4}, {"frames": "5"}, {"frames": 0}, {"format": 2}, {"extra": 1}]
)
def test_facts_that_do_not_fit(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = made(tmp_path / "Anna")
    facts = json.loads((folder / "avatar.json").read_text())
    (folder / "avatar.json").write_text(json.dumps(facts | change))
    with pytest.raises(UnknownAvatar, match="damaged"):
        PreparedAvatar.open(folder)


# ── The cache ─────────────────────────────────────────────────────────────────────────────────


def shelf(home: Path, *names: str) -> int:
    """Makes these; how many bytes one has."""
    for name in names:
        made(home / name, name=name)
    return PreparedAvatar.open(home / names[0]).nbytes


def test_the_least_recently_used_one_is_let_go(tmp_path: Path) -> None:
    size = shelf(tmp_path, "A", "B", "C")
    cache = AvatarCache(tmp_path, 2 * size)
    first = cache.get("A")
    cache.get("B")
    assert cache.get("A") is first
    cache.get("C")
    assert cache.names == ("A", "C")
    assert (first.frame(3) == 3).all()


def test_one_is_kept_whatever_its_size(tmp_path: Path) -> None:
    shelf(tmp_path, "A", "B")
    cache = AvatarCache(tmp_path, 1)
    assert cache.get("A") is cache.get("A")
    cache.get("B")
    assert cache.names == ("B",)


def test_a_deleted_one_is_unknown_and_goes_on_where_it_is_shown(tmp_path: Path) -> None:
    shelf(tmp_path, "A")
    cache = AvatarCache(tmp_path, 10**9)
    shown = cache.get("A")
    discard(tmp_path / "A")
    with pytest.raises(UnknownAvatar):
        cache.get("A")
    assert (shown.frame(2) == 2).all()
    assert list(tmp_path.iterdir()) == []


def test_one_that_was_made_anew_is_seen(tmp_path: Path) -> None:
    shelf(tmp_path, "A")
    cache = AvatarCache(tmp_path, 10**9)
    before = cache.get("A")
    discard(tmp_path / "A")
    made(tmp_path / "A", 3, "A")
    assert cache.get("A") is not before
    assert cache.get("A").facts.frames == 3


@pytest.mark.parametrize("name", ["", ".", "..", "../A", "a/b", "/etc", ".making"])
def test_names_never_leave_the_folder(tmp_path: Path, name: str) -> None:
    shelf(tmp_path, "A")
    (tmp_path / "inside").mkdir()
    with pytest.raises(UnknownAvatar):
        AvatarCache(tmp_path / "inside", 10**9).get(name)


def test_threads_share_one(tmp_path: Path) -> None:
    shelf(tmp_path, "A", "B")
    cache = AvatarCache(tmp_path, 10**9)
    got: list[PreparedAvatar] = []
    threads = [threading.Thread(target=lambda: got.append(cache.get("A"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(avatar) for avatar in got}) == 1
