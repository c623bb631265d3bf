"""Which faces move, with a MuseTalk whose loading and failing the test decides."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import numpy as np
import pytest

from engines.avatar import choice
from engines.avatar.choice import BestAvatar, DrawnAvatar, is_drawn, stand_in
from engines.avatar.musetalk.engine import MuseTalkAvatar
from engines.avatar.musetalk.prepared import AvatarCache
from engines.avatar.viseme.portrait import FACES
from engines.base import Audio, Cue, Patch
from engines.errors import (
    EngineUnavailable,
    UnfitAvatar,
    UnknownAvatar,
)
from tests.engines.avatar.decided import HUM, MuseTalk, best, loads, moved


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
    assert (
        "7 batches, of late 5.2 frames each, for 1.8 sessions, after 12 ms"
        in (await avatar.state()).reason
    )
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


async def test_an_avatar_of_another_version_is_replaced_by_a_drawn_face_and_told_of(
    avatars: AvatarCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    avatar = await best(loads(MuseTalk()), avatars)
    state = await avatar.state()
    assert (state.state, state.remedy) == ("ready", "")
    for _ in range(2):
        assert await avatar.face("Old") in FACES
    with pytest.raises(UnfitAvatar, match="'Old' was made for MuseTalk v1.*under another name"):
        await moved(avatar, "Old")
    assert caplog.text.count("'Old' was made for MuseTalk v1") == 1, "not with every turn"
    state = await avatar.state()
    assert state.state == "ready"
    assert "than v1.5" in state.remedy and "under other names: 'Old'." in state.remedy
    monkeypatch.setattr(choice, "UNFIT_TOLD_S", 0.0)
    assert (await avatar.state()).remedy == "", "nobody asks for it any more"
    avatar.close()


async def test_what_cannot_keep_up_is_closed_unless_it_is_asked_for(avatars: AvatarCache) -> None:
    slow = MuseTalk(pace=1.4, on_gpu=False)
    avatar = await best(loads(slow), avatars)
    assert slow.closed.is_set()
    assert await avatar.face("Ada") in FACES
    assert "1.4 s for a second of face on the CPU. Use a GPU" in (await avatar.state()).remedy
    await asyncio.to_thread(avatar._thread.join, 10)
    assert not avatar._thread.is_alive(), "a processor does not become quicker"
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
