"""What becomes of MuseTalk, and of the faces, when it fails."""

import asyncio
import threading
from typing import Any, cast

import numpy as np
import pytest

from engines.avatar import choice
from engines.avatar.choice import BestAvatar, stand_in
from engines.avatar.musetalk.engine import MuseTalkAvatar
from engines.avatar.musetalk.prepared import AvatarCache
from engines.avatar.viseme.portrait import FACES
from engines.errors import (
    DeviceBroken,
    EngineBusy,
    EngineError,
    EngineUnavailable,
    OutOfMemory,
    UnfitAvatar,
    UnknownAvatar,
)
from tests.engines.avatar.decided import MuseTalk, best, loads, moved
from tests.running import eventually


async def test_a_single_want_of_memory_is_forgiven(
    avatars: AvatarCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    musetalk = MuseTalk(fails_at=1, error=OutOfMemory("Out of memory."))
    avatar = await best(loads(musetalk), avatars)
    for _ in range(3):  # all who were in that batch
        with pytest.raises(OutOfMemory):
            await moved(avatar, "Ada")
    assert (await avatar.state()).state == "ready"
    monkeypatch.setattr(choice, "FORGIVEN_S", 0.0)  # the first one was long ago
    musetalk.error = OutOfMemory("Out of memory.")
    with pytest.raises(OutOfMemory):
        await moved(avatar, "Ada")
    assert (await avatar.state()).state == "ready"
    monkeypatch.undo()
    musetalk.error = OutOfMemory("Out of memory.")
    with pytest.raises(OutOfMemory):
        await moved(avatar, "Ada")
    assert (await avatar.state()).state == "degraded", "the second one in a row"
    assert await asyncio.to_thread(musetalk.closed.wait, 10)
    avatar.close()


async def test_memory_that_cannot_be_given_back_does_not_end_the_loading(
    avatars: AvatarCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(choice, "REST_S", 0.0)
    avatar = await best(loads(MuseTalk(fails_at=0, lasting=True), MuseTalk()), avatars)
    with pytest.raises(EngineUnavailable):
        await moved(avatar, "Ada")
    async with asyncio.timeout(10):
        while await avatar.face("Ada") != "Ada":
            pass
    assert await moved(avatar, "Ada") == 3
    assert "could not be given back" in caplog.text
    avatar.close()


@pytest.mark.parametrize("where", ["animating", "encoding", "loading"])
async def test_a_broken_gpu_is_left_to_a_new_process(
    avatars: AvatarCache, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "REST_S", 0.0)
    monkeypatch.setattr(choice, "LOAD_AGAIN_S", 0.0)
    error = DeviceBroken("The GPU failed.")
    musetalk = MuseTalk(fails_at=0, error=error)
    attempts: list[MuseTalk | EngineError] = []

    def load() -> MuseTalkAvatar:
        attempts.append(musetalk)
        if where == "loading":
            raise error
        return cast(MuseTalkAvatar, musetalk)

    def refuse(faces: Any) -> Any:
        raise error

    monkeypatch.setattr(musetalk, "latents", refuse)
    avatar = await best(load, avatars)
    if where == "animating":
        avatar.check()  # raises nothing
        with pytest.raises(DeviceBroken):
            await moved(avatar, "Ada")
    elif where == "encoding":
        with pytest.raises(DeviceBroken):
            await avatar.latents(np.zeros((1, 256, 256, 3), np.uint8))
    with pytest.raises(DeviceBroken, match="The GPU failed"):
        avatar.check()
    state = await avatar.state()
    assert (state.state, state.remedy) == ("degraded", "The GPU failed.")
    assert await avatar.face("Ada") in FACES
    await asyncio.to_thread(avatar._thread.join, 10)
    assert not avatar._thread.is_alive()
    assert len(attempts) == 1, "it is not loaded again in vain"


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


@pytest.mark.parametrize("error", [EngineBusy("Too many faces."), UnfitAvatar("Of v1.")])
async def test_too_much_at_once_and_wrong_faces_are_no_failures_of_it(
    avatars: AvatarCache, error: EngineError
) -> None:
    musetalk = MuseTalk(fails_at=1, error=error)
    avatar = await best(loads(musetalk), avatars)
    with pytest.raises(type(error)):
        await moved(avatar, "Ada")
    for name in ("Nobody", "../Ada"):
        with pytest.raises(UnknownAvatar):
            await moved(avatar, name)
        with pytest.raises(UnknownAvatar):
            await avatar.face(name)
    assert (await avatar.state()).state == "ready"
    assert await avatar.face("Ada") == "Ada"
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


async def test_a_gpu_that_was_too_slow_is_tried_again(
    avatars: AvatarCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = MuseTalk(pace=1.4), MuseTalk()
    may_load, made = threading.Event(), loads(slow, quick)
    rests: list[float] = []

    def load() -> MuseTalkAvatar:
        may_load.wait()
        return made()

    avatar = BestAvatar(load, avatars)
    wait = avatar._closed.wait

    def rest(seconds: float) -> bool:
        rests.append(seconds)
        return wait(0)

    monkeypatch.setattr(avatar._closed, "wait", rest)
    may_load.set()
    await eventually(lambda: avatar._musetalk is cast(Any, quick))
    assert slow.closed.is_set()
    assert rests == [choice.LONGEST_REST_S]
    assert (await avatar.state()).state == "ready"
    avatar.close()
