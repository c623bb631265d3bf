"""Which faces there are, and which one is shown when."""

import asyncio
from pathlib import Path

import pytest

from engines.avatar.choice import stand_in
from engines.avatar.musetalk.prepared import discard
from engines.avatar.viseme.portrait import FACES
from engines.errors import EngineError, EngineUnavailable, UnknownAvatar
from serve_app import faces
from serve_app.faces import FaceNames, Wardrobe
from tests.engines.avatar.musetalk.avatars import RED, prepared
from tests.engines.avatar.musetalk.test_preparation import mean_colours


class FixedMover:
    """Says one thing of every face, or fails."""

    def __init__(self, says: str | EngineError | None) -> None:
        """None: it hangs."""
        self._says = says
        self.asked: list[str] = []

    async def face(self, name: str) -> str:
        self.asked.append(name)
        if self._says is None:
            await asyncio.Event().wait()
        if isinstance(self._says, EngineError):
            raise self._says
        return str(self._says)


def with_rosa(folder: Path) -> Path:
    prepared(folder, "Rosa", RED, mean_colours)
    return folder


def test_the_drawn_faces_come_first_and_prepared_ones_as_they_come(tmp_path: Path) -> None:
    names = FaceNames(tmp_path)
    assert list(names) == list(FACES)
    with_rosa(tmp_path)
    (tmp_path / ".making").mkdir()
    assert list(names) == [*FACES, "Rosa"]
    assert len(names) == len(FACES) + 1
    assert "Rosa" in names
    discard(tmp_path / "Rosa")
    assert "Rosa" not in names


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../Rosa", "x/../Rosa", "/Rosa", "Rosa/", "Rosa\0", "R" * 5000, 7, None]
)
def test_what_leaves_the_folder_is_no_face(tmp_path: Path, name: object) -> None:
    assert name not in FaceNames(with_rosa(tmp_path))


async def test_a_drawn_face_is_shown_without_a_question(tmp_path: Path) -> None:
    mover = FixedMover(None)
    assert await Wardrobe(tmp_path, mover).shown("anna") == "anna"
    assert mover.asked == []


@pytest.mark.parametrize(
    ("says", "shown"),
    [
        ("Rosa", "Rosa"),
        ("david", "david"),
        (UnknownAvatar("It is gone."), stand_in("Rosa")),
        (EngineUnavailable("The application is not running."), "Rosa"),
        (None, "Rosa"),
    ],
)
async def test_who_moves_it_says_which_face_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str | EngineError | None, shown: str
) -> None:
    if says is None:
        monkeypatch.setattr(faces, "ASK_LIMIT_S", 0.05)
    assert await Wardrobe(with_rosa(tmp_path), FixedMover(says)).shown("Rosa") == shown


async def test_a_face_that_is_gone_has_a_drawn_one_in_its_place(tmp_path: Path) -> None:
    mover = FixedMover("Rosa")
    assert await Wardrobe(tmp_path, mover).shown("Rosa") == stand_in("Rosa")
    assert mover.asked == []


def test_backdrops_of_both_kinds(tmp_path: Path) -> None:
    wardrobe = Wardrobe(with_rosa(tmp_path), FixedMover("Rosa"))
    for name in ("anna", "Rosa"):
        assert wardrobe.backdrop(name).frame(3).shape == (512, 512, 3)
        assert wardrobe.backdrop(name) is wardrobe.backdrop(name)
    with pytest.raises(UnknownAvatar):
        wardrobe.backdrop("Nobody")
