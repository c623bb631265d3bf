"""Which faces move, with a MuseTalk whose loading and failing the test decides."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from engines.avatar import choice
from engines.avatar.choice import BestAvatar, DrawnAvatar, is_drawn, stand_in
from engines.avatar.musetalk.engine import MuseTalkAvatar
from engines.avatar.musetalk.prepared import AvatarCache, Canvas, Facts, PreparedAvatar
from engines.avatar.musetalk.scheduler import Statistics
from engines.avatar.viseme.portrait import FACES
from engines.base import Audio, Cue, Patch
from engines.errors import EngineBusy, EngineError, EngineUnavailable, UnknownAvatar
from tests.running import eventually

HUM = Audio((3000 * np.sin(np.arange(3200) / 10)).astype(np.int16), 16_000)


@pytest.fixture
def avatars(tmp_path: Path) -> AvatarCache:
    for name, version in (("Ada", "v1.5"), ("Old", "v1")):
        folder = tmp_path / name
        folder.mkdir()
        canvas = Canvas(folder, 1, np.array([[200, 200, 300, 300]], np.int32))
        canvas.finish(Facts(name, "photo", cast(Any, version), 1))
    return AvatarCache(tmp_path, 10**9)


@dataclass
class MuseTalk:
    """Shows white mouths, and fails before the patch that is named."""

    version = "v1.5"
    place = "the GPU"
    fails_at: int | None = None
    error: EngineError = field(default_factory=lambda: EngineUnavailable("Out of memory."))
    pace: float = 0.1
    closed: threading.Event = field(default_factory=threading.Event)
    batches: int = 0

    @property
    def statistics(self) -> Statistics:
        return Statistics(self.batches, 5.25, 0.012)

    def fits(self, avatar: PreparedAvatar) -> bool:
        return avatar.facts.version == self.version

    async def animate(self, speech: Audio, cue: Cue) -> AsyncGenerator[Patch, None]:
        for index in range(cue.frames):
            if index == self.fails_at:
                raise self.error
            yield Patch(cue.first_frame + index, 0, 0, np.full((1, 2, 2, 3), 255, np.uint8))

    def latents(self, faces: Any) -> Any:
        return np.zeros((len(faces), 8, 32, 32), np.float16)

    def close(self) -> None:
        self.closed.set()


Load = Callable[[], MuseTalkAvatar]


def loads(*made: MuseTalk | Exception) -> Load:
    """One after the other; the last one ever again."""
    left = list(made)

    def load() -> MuseTalkAvatar:
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(outcome, Exception):
            raise outcome
        return cast(MuseTalkAvatar, outcome)

    return load


async def best(load: Load, avatars: AvatarCache, *, fallback: bool = True) -> BestAvatar:
    avatar = BestAvatar(load, avatars, fallback=fallback)
    await avatar.loaded()
    return avatar


async def moved(avatar: BestAvatar | DrawnAvatar, name: str, frames: int = 3) -> int:
    return sum([len(patch.pixels) async for patch in avatar.animate(HUM, Cue(name, 0, 0, frames))])


async def test_musetalk_moves_prepared_avatars_and_drawn_faces_stay_drawn(
    avatars: AvatarCache,
) -> None:
    musetalk = MuseTalk()
    avatar = await best(loads(musetalk), avatars)
    assert [await avatar.face(name) for name in ("Ada", *FACES)] == ["Ada", *FACES]
    assert await moved(avatar, "Ada") == 3
    musetalk.fails_at = 0  # whoever asks it now is told so
    assert await moved(avatar, "anna") == 3
    state = await avatar.state()
    assert (state.engine, state.state) == ("musetalk", "ready")
    assert "0.10 s of work" in state.reason
    musetalk.batches = 7
    assert "7 batches, of late 5.2 frames each, after 12 ms" in (await avatar.state()).reason
    assert (await avatar.latents(np.zeros((2, 256, 256, 3), np.uint8))).shape == (2, 8, 32, 32)
    avatar.close()
    assert await asyncio.to_thread(musetalk.closed.wait, 10)


async def test_drawn_faces_stand_in_while_it_loads_and_then_it_moves_up(
    avatars: AvatarCache,
) -> None:
    may_load = threading.Event()

    def load() -> MuseTalkAvatar:
        may_load.wait()
        return cast(MuseTalkAvatar, MuseTalk())

    avatar = BestAvatar(load, avatars)
    state = await avatar.state()
    assert (state.engine, state.state) == ("drawn", "degraded")
    assert "loading" in state.reason
    assert await avatar.face("Ada") in FACES
    with pytest.raises(EngineUnavailable, match="loading"):
        await moved(avatar, "Ada")
    assert await moved(avatar, await avatar.face("Ada")) == 3
    may_load.set()
    await avatar.loaded()
    assert await avatar.face("Ada") == "Ada"
    assert await moved(avatar, "Ada") == 3
    avatar.close()


async def test_out_of_memory_gives_the_memory_back_and_it_is_loaded_again(
    avatars: AvatarCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, fresh = MuseTalk(fails_at=1), MuseTalk()
    may_load = threading.Event()
    first = loads(failing)

    def load() -> MuseTalkAvatar:
        if not failing.closed.is_set():
            return first()
        may_load.wait()
        return cast(MuseTalkAvatar, fresh)

    monkeypatch.setattr(choice, "REST_S", 0.0)
    avatar = await best(load, avatars)
    with pytest.raises(EngineUnavailable, match="Out of memory"):
        await moved(avatar, "Ada")
    assert await asyncio.to_thread(failing.closed.wait, 10)
    state = await avatar.state()
    assert (state.engine, state.state, state.remedy) == ("drawn", "degraded", "Out of memory.")
    assert await avatar.face("Ada") == stand_in("Ada") in FACES
    assert await moved(avatar, stand_in("Ada")) == 3
    may_load.set()
    async with asyncio.timeout(5):
        while await avatar.face("Ada") != "Ada":
            pass
    assert (await avatar.state()).state == "ready"
    assert await moved(avatar, "Ada") == 3
    assert not fresh.closed.is_set()
    avatar.close()


async def test_after_each_failure_it_rests_longer(
    avatars: AvatarCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "REST_S", 0.01)
    rests: list[float] = []
    made: list[MuseTalk] = []

    def load() -> MuseTalkAvatar:
        made.append(MuseTalk(fails_at=0))
        return cast(MuseTalkAvatar, made[-1])

    avatar = BestAvatar(load, avatars)
    wait = avatar._closed.wait

    def rest(seconds: float) -> bool:
        rests.append(seconds)
        return wait(0)

    monkeypatch.setattr(avatar._closed, "wait", rest)
    for count in range(1, 4):

        def loaded(count: int = count) -> bool:
            return len(made) == count and avatar._musetalk is not None

        await eventually(loaded)
        with pytest.raises(EngineUnavailable):
            await moved(avatar, "Ada")
    await eventually(lambda: len(rests) == 3)
    assert rests == [0.01, 0.02, 0.04]
    avatar.close()


async def test_too_much_at_once_and_wrong_names_are_no_failures_of_it(
    avatars: AvatarCache,
) -> None:
    musetalk = MuseTalk(fails_at=1, error=EngineBusy("Too many faces."))
    avatar = await best(loads(musetalk), avatars)
    with pytest.raises(EngineBusy):
        await moved(avatar, "Ada")
    for name in ("Nobody", "../Ada"):
        with pytest.raises(UnknownAvatar):
            await moved(avatar, name)
        with pytest.raises(UnknownAvatar):
            await avatar.face(name)
    assert (await avatar.state()).state == "ready"
    assert await avatar.face("Ada") == "Ada"
    avatar.close()


async def test_an_avatar_of_another_version_is_replaced_by_a_drawn_face(
    avatars: AvatarCache,
) -> None:
    avatar = await best(loads(MuseTalk()), avatars)
    assert await avatar.face("Old") in FACES
    with pytest.raises(EngineUnavailable, match="'Old' was made for MuseTalk v1"):
        await moved(avatar, "Old")
    assert (await avatar.state()).state == "ready"
    avatar.close()


@pytest.mark.parametrize("error", [EngineUnavailable("No such folder."), RuntimeError("odd")])
async def test_what_could_not_be_loaded_is_tried_again(
    avatars: AvatarCache, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "LOAD_AGAIN_S", 0.01)
    may_load = threading.Event()

    def load() -> MuseTalkAvatar:
        if may_load.is_set():
            return cast(MuseTalkAvatar, MuseTalk())
        raise error

    avatar = await best(load, avatars)
    state = await avatar.state()
    assert (state.engine, state.state) == ("drawn", "degraded")
    assert ("No such folder" in state.remedy) or ("log of `avatar`" in state.remedy)
    may_load.set()
    async with asyncio.timeout(5):
        while (await avatar.state()).state != "ready":
            pass
    avatar.close()


async def test_what_cannot_keep_up_is_closed_unless_it_is_asked_for(avatars: AvatarCache) -> None:
    slow = MuseTalk(pace=1.4)
    avatar = await best(loads(slow), avatars)
    assert slow.closed.is_set()
    assert await avatar.face("Ada") in FACES
    assert "1.4 s for a second of face" in (await avatar.state()).remedy
    asked_for = MuseTalk(pace=1.4)
    avatar = await best(loads(asked_for), avatars, fallback=False)
    assert await moved(avatar, "Ada") == 3
    assert not asked_for.closed.is_set()
    avatar.close()


async def test_without_the_fallback_a_prepared_avatar_stays_itself(avatars: AvatarCache) -> None:
    avatar = await best(loads(EngineUnavailable("No folder.")), avatars, fallback=False)
    state = await avatar.state()
    assert (state.engine, state.state, state.remedy) == ("musetalk", "unavailable", "No folder.")
    assert await avatar.face("Ada") == "Ada"
    with pytest.raises(EngineUnavailable, match="No folder"):
        await moved(avatar, "Ada")
    assert await moved(avatar, "mei") == 3
    avatar.close()


async def test_closing_reaches_the_engine(avatars: AvatarCache) -> None:
    closed = asyncio.Event()

    class Closing(MuseTalk):
        async def animate(self, speech: Audio, cue: Cue) -> AsyncGenerator[Patch, None]:
            try:
                while True:
                    yield Patch(0, 0, 0, np.zeros((1, 2, 2, 3), np.uint8))
            finally:
                closed.set()

    avatar = await best(loads(Closing()), avatars)
    async with aclosing(avatar.animate(HUM, Cue("Ada", 0, 0, 3))) as patches:
        await anext(patches)
    assert closed.is_set()
    avatar.close()


async def test_drawn_faces_alone_know_which_names_are_prepared_avatars(
    avatars: AvatarCache,
) -> None:
    drawn = DrawnAvatar(avatars)
    assert await drawn.state() == await DrawnAvatar(avatars).state()
    assert (await drawn.state()).state == "ready"
    assert await drawn.face("david") == "david"
    assert await drawn.face("Ada") == stand_in("Ada")
    assert await moved(drawn, "david") == 3
    with pytest.raises(EngineUnavailable, match="MUSETALK_MODELS"):
        await moved(drawn, "Ada")
    with pytest.raises(UnknownAvatar):
        await moved(drawn, "Nobody")
    with pytest.raises(UnknownAvatar):
        await drawn.face("Nobody")
    with pytest.raises(EngineUnavailable, match="MUSETALK_MODELS"):
        await drawn.latents(np.zeros((1, 256, 256, 3), np.uint8))


def test_a_name_has_always_the_same_stand_in_and_not_all_have_one() -> None:
    names = [f"Face {number}" for number in range(30)]
    assert {stand_in(name) for name in names} == set(FACES)
    assert all(is_drawn(stand_in(name)) and not is_drawn(name) for name in names)
