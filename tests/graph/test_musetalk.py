"""Two prepared avatars behind their deployment's handle, in Serve's local testing mode."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from ray import serve

from deployments import avatar
from deployments.backend import Backend
from deployments.controller import Controller
from deployments.remote import RemoteAvatar
from engines.avatar.musetalk.model import MuseTalkModel, MuseTalkOptions
from engines.base import Audio, EngineState, Pixels
from engines.errors import UnknownAvatar
from serve_app.framing import Framing
from tests.engines.avatar.musetalk.avatars import BLUE, RED, prepared
from tests.tiny_musetalk import make_tiny_musetalk


def hum(seconds: float) -> Audio:
    at = np.arange(int(seconds * 24_000)) / 24_000
    return Audio((6000 * np.sin(2 * np.pi * 220 * at)).astype(np.int16), 24_000)


async def spoken(remote: RemoteAvatar, name: str, frames: int) -> list[Pixels]:
    """The mouths of a turn, as the gateway asks for them."""
    framing, mouths = Framing(name, 3), list[Pixels]()
    for stretch in [*framing.feed(hum(frames / 25)), *framing.flush()]:
        async for patch in remote.animate(stretch.speech, stretch.cue):
            assert patch.first_frame == 3 + len(mouths)
            mouths += list(patch.pixels)
    assert len(mouths) == frames
    return mouths


async def test_two_sessions_see_each_its_own_face_from_common_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # no .env
    monkeypatch.setenv("TUTOR_HOME", str(tmp_path))
    models = make_tiny_musetalk(tmp_path / "models")
    model = MuseTalkModel.load(models, MuseTalkOptions(device="cpu", decoder="tiny", sizes=(1,)))
    for name, colour in (("Red", RED), ("Blue", BLUE)):
        prepared(tmp_path / "avatars", name, colour, model.latents)
    model.close()
    args = avatar.AvatarArgs(
        engine="musetalk", models=str(models), device="cpu", decoder="tiny", gpu=0.3
    )
    backend = Backend("local", 0.5, Controller())
    backend._handle = serve.run(avatar.build(args), name="local", _local_testing_mode=True)
    async with asyncio.timeout(60):
        while (await state(backend)).state != "ready":
            pass
    remote = RemoteAvatar(backend)
    red, blue = await asyncio.gather(*(spoken(remote, name, 12) for name in ("Red", "Blue")))
    for mouths, strong, weak in ((red, 2, 0), (blue, 0, 2)):
        for mouth in mouths:
            rim = mouth[0, :6].mean(axis=0)  # of the even rectangle, beside the mask: as filmed
            assert rim[strong] > rim[weak] + 100
        assert not np.array_equal(mouths[0], mouths[6])
    assert "frames each" in (await state(backend)).reason
    with pytest.raises(UnknownAvatar):
        await spoken(remote, "Nobody", 5)
    assert await backend.call("face", "Red") == "Red"


async def state(backend: Backend) -> EngineState:
    answer: EngineState = await backend.call("state")
    return answer
