"""A face made through the avatar application's handle, whose model a test slows down."""

import asyncio
import threading
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from deployments import preparation as module
from deployments.preparation import RemotePreparation
from deployments.remote import RemoteAvatar
from engines.avatar.musetalk.preparation import AvatarWish
from engines.avatar.musetalk.prepared import Latents, PreparedAvatar
from engines.base import Pixels
from engines.errors import EngineTimeout
from tests.uploads import BOX, talking

FRAMES = 30
WISH = AvatarWish("Anna", (0.1 + 0.8 * BOX[0], BOX[1], 0.1 + 0.8 * BOX[2], BOX[3]))


class Model:
    """The application. A face takes it long, and like a thread it cannot be stopped."""

    def __init__(self) -> None:
        self.faces: list[int] = []
        """In each call."""
        self.may_answer = threading.Event()
        self.may_answer.set()

    async def version(self) -> str:
        return "v1.5"

    async def latents(self, faces: Pixels) -> Latents:
        self.faces.append(len(faces))
        await asyncio.to_thread(self.may_answer.wait, 10)
        return np.full((len(faces), 8, 32, 32), len(self.faces), np.float16)


def preparation(model: Any) -> RemotePreparation:
    return RemotePreparation(cast(RemoteAvatar, model), Path("/nowhere"))


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    (tmp_path / "Anna").mkdir()
    file = tmp_path / "upload"
    file.write_bytes(talking(FRAMES))
    return file


async def test_each_face_is_a_call_of_its_own_after_which_it_is_told_how_far_it_is(
    upload: Path,
) -> None:
    model = Model()
    maker, folder = preparation(model), upload.parent / "Anna"
    told: list[tuple[int, float]] = []

    def progress(part: float) -> None:
        told.append((len(model.faces), part))

    await asyncio.to_thread(maker.prepare, upload, WISH, folder, progress)
    assert model.faces == [1] * FRAMES
    assert [calls for calls, _ in told if calls] == list(range(1, FRAMES + 1))
    assert told[-1] == (FRAMES, 1.0)
    face = PreparedAvatar.open(folder)
    assert [int(face.latent(index).flat[0]) for index in range(FRAMES)] == [*range(1, FRAMES + 1)]


async def test_who_gives_up_waits_for_one_face_only(upload: Path) -> None:
    class Abandoned(Exception):
        pass

    model = Model()
    maker, folder = preparation(model), upload.parent / "Anna"

    def progress(part: float) -> None:
        if model.faces:
            raise Abandoned

    with pytest.raises(Abandoned):
        await asyncio.to_thread(maker.prepare, upload, WISH, folder, progress)
    assert model.faces == [1]


async def test_a_model_that_does_not_answer_is_told(
    upload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_LIMIT_S", 0.05)
    model = Model()
    model.may_answer.clear()
    maker, folder = preparation(model), upload.parent / "Anna"
    with pytest.raises(EngineTimeout, match="Try again"):
        await asyncio.to_thread(maker.prepare, upload, WISH, folder, lambda part: None)
    model.may_answer.set()
