"""What the arguments and settings of the face choose."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from ray.serve.metrics import Histogram

from deployments import avatar as module
from deployments.avatar import AvatarArgs, AvatarDeployment, choose
from engines.avatar.choice import BestAvatar, DrawnAvatar
from engines.avatar.musetalk.batches import SIZES
from engines.avatar.musetalk.engine import MuseTalkAvatar
from engines.avatar.viseme.portrait import FACES
from engines.base import Audio, Cue
from engines.errors import DeviceBroken, EngineUnavailable, UnknownAvatar
from engines.stub import StubAvatar
from tests.tiny_musetalk import make_tiny_musetalk

HUM = Audio((3000 * np.sin(np.arange(3200) / 10)).astype(np.int16), 16_000)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no .env
    monkeypatch.setenv("TUTOR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MUSETALK_MODELS", raising=False)


async def moved(avatar: AvatarDeployment, name: str) -> int:
    return sum([len(patch.pixels) async for patch in avatar.animate(HUM, Cue(name, 0, 0, 4))])


async def test_without_models_the_faces_are_drawn() -> None:
    assert isinstance(choose(AvatarArgs()), DrawnAvatar)
    avatar = AvatarDeployment(AvatarArgs())
    state = await avatar.state()
    assert (state.engine, state.state) == ("drawn", "ready")
    assert await moved(avatar, FACES[0]) == 4
    assert await avatar.face(FACES[0]) == FACES[0]
    with pytest.raises(UnknownAvatar):
        await avatar.face("Nobody")


async def test_a_folder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSETALK_MODELS", "/nowhere/musetalk")
    avatar = choose(AvatarArgs())
    assert isinstance(avatar, BestAvatar)
    await avatar.loaded()
    state = await avatar.state()
    assert (state.engine, state.state) == ("drawn", "degraded")
    assert "/nowhere/musetalk" in state.remedy
    avatar.close()


def test_drawn_is_drawn_whatever_folder_is_named() -> None:
    assert isinstance(choose(AvatarArgs(engine="drawn", models="/nowhere")), DrawnAvatar)


async def test_musetalk_alone_says_what_it_lacks() -> None:
    avatar = choose(AvatarArgs(engine="musetalk"))
    assert isinstance(avatar, BestAvatar)
    await avatar.loaded()
    state = await avatar.state()
    assert (state.engine, state.state) == ("musetalk", "unavailable")
    assert "MUSETALK_MODELS" in state.remedy
    avatar.close()


async def test_real_models_are_loaded_with_the_share_that_was_given(tmp_path: Path) -> None:
    folder = make_tiny_musetalk(tmp_path / "models")
    args = AvatarArgs(engine="musetalk", models=str(folder), device="cpu", decoder="tiny", gpu=0.4)
    told: list[int] = []
    avatar = choose(args, lambda frames, sessions, waited_s: told.append(frames))
    assert isinstance(avatar, BestAvatar)
    await avatar.loaded()
    state = await avatar.state()
    assert (state.engine, state.state) == ("musetalk", "ready")
    assert "v1.5 moves prepared avatars on the CPU" in state.reason
    latents = await avatar.latents(np.zeros((1, 256, 256, 3), np.uint8))
    assert latents.shape == (1, 8, 32, 32)
    assert latents.dtype == np.float16
    avatar.close()


async def test_batches_are_measured_with_means_that_ray_can_reckon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: dict[str, tuple[list[float], list[float]]] = {}

    class Seen(Histogram):
        def __init__(self, name: str, description: str, boundaries: list[float]) -> None:
            super().__init__(name, description, boundaries)
            made[name] = (boundaries, [])

        def observe(self, value: float, tags: dict[str, str] | None = None) -> None:
            super().observe(value, tags or {})
            made[self._name][1].append(value)

    monkeypatch.setattr(module, "Histogram", Seen)
    AvatarDeployment(AvatarArgs(engine="stub"))._note_batch(6, 2, 0.02)
    observed = {name: values for name, (_, values) in made.items()}
    assert observed == {
        "avatar_batch_frames": [6],
        "avatar_batch_sessions": [2],
        "avatar_batch_waited_ms": [20],
    }
    for name in ("avatar_batch_frames", "avatar_batch_sessions"):
        boundaries, _ = made[name]
        middles = [(low + high) / 2 for low, high in pairwise(boundaries)]
        assert middles == list(range(1, SIZES[-1] + 1))


async def test_serve_is_told_when_only_a_new_process_can_use_the_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(*_: object) -> MuseTalkAvatar:
        raise DeviceBroken("The GPU failed.")

    await AvatarDeployment(AvatarArgs(engine="stub")).check_health()
    monkeypatch.setattr(module, "_load", load)
    deployment = AvatarDeployment(AvatarArgs(engine="musetalk", models="/somewhere"))
    assert isinstance(deployment._avatar, BestAvatar)
    await deployment._avatar.loaded()
    with pytest.raises(DeviceBroken):
        await deployment.check_health()


async def test_the_stub_is_shown_as_it_is() -> None:
    avatar = AvatarDeployment(AvatarArgs(engine="stub", stub=StubAvatar()))
    assert await moved(avatar, "anyone") == 4
    assert await avatar.face("anyone") == "anyone"
    assert (await avatar.state()).engine == "stub"
    with pytest.raises(EngineUnavailable):
        await avatar.latents(np.zeros((1, 256, 256, 3), np.uint8))
