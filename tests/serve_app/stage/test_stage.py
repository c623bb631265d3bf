"""A stage with its clock running, and turns that perform on it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import numpy as np
import pytest

from engines.base import FRAME_S, Audio
from engines.errors import EngineError
from engines.stub import STUB_RATE_HZ, StubAvatar, StubBackdrop
from serve_app.errors import PeerGone
from serve_app.stage.performance import Performance
from serve_app.stage.reel import LIVE_RATE_HZ, MediaUnit
from serve_app.stage.scenery import Scenery
from serve_app.stage.stage import Stage
from tests.running import as_it_is


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Stage]:
    stage = Stage(lambda face: Scenery(StubBackdrop()), as_it_is)
    await stage.wear("anna")
    clock = asyncio.create_task(stage.run())
    try:
        yield stage
    finally:
        clock.cancel()


def hum(seconds: float, level: int = 8000) -> Audio:
    times = np.arange(int(seconds * STUB_RATE_HZ)) / STUB_RATE_HZ
    return Audio((level * np.sin(2 * np.pi * 220 * times)).astype(np.int16), STUB_RATE_HZ)


async def perform(
    stage: Stage, pieces: list[Audio | None], pause_s: float = 0.0, avatar: object = None
) -> tuple[list[MediaUnit], list[Exception]]:
    """Perform these pieces; returns what was played, and what failed."""
    played: list[MediaUnit] = []
    failures: list[Exception] = []
    voice: asyncio.Queue[Audio | None] = asyncio.Queue()

    async def speak() -> None:
        for piece in pieces[1:]:
            await asyncio.sleep(pause_s)
            voice.put_nowait(piece)

    async with stage.floor("anna", played.append) as generation:
        performance = Performance(
            avatar or StubAvatar(),  # type: ignore[arg-type]  # any avatar
            stage,
            generation,
            failures.append,
        )
        first = pieces[0]
        assert first is not None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(speak())
            await performance.run(first, voice)
    return played, failures


async def test_all_of_a_voice_is_played_in_units_of_40_ms() -> None:
    async with running() as stage:
        played, failures = await perform(stage, [hum(0.3), hum(0.3), None])
    assert len(played) == pytest.approx(0.6 / FRAME_S, abs=1)
    sound = np.concatenate([unit.sound for unit in played])
    assert len(sound) / LIVE_RATE_HZ == pytest.approx(0.6, abs=0.05)
    assert np.abs(sound).max() == pytest.approx(8000, rel=0.02)
    assert all(unit.mouth is not None for unit in played)
    frames = [unit.frame for unit in played]
    assert frames == list(range(frames[0], frames[0] + len(frames)))
    assert not failures


async def test_a_pause_between_sentences_lets_the_end_of_the_first_be_heard() -> None:
    silence = Audio(np.zeros(0, np.int16), STUB_RATE_HZ)
    async with running() as stage:
        began = asyncio.get_running_loop().time()
        task = asyncio.create_task(perform(stage, [hum(0.4), silence, hum(0.2), None], 0.6))
        await asyncio.sleep(0.9)  # the second sentence comes after 1.2 s
        heard = stage.ahead_s
        played, _ = await task
    assert heard == 0, "nothing of the first is held back for the second"
    assert len(played) == pytest.approx(0.6 / FRAME_S, abs=2)
    assert asyncio.get_running_loop().time() - began > 1.2


async def test_without_a_face_the_voice_is_played_all_the_same() -> None:
    class Broken(StubAvatar):
        def animate(self, speech: object, cue: object) -> AsyncIterator[object]:  # type: ignore[override]  # it only fails
            raise EngineError("no face")

    async with running() as stage:
        played, failures = await perform(stage, [hum(0.3), None], avatar=Broken())
    assert len(played) == pytest.approx(0.3 / FRAME_S, abs=1)
    assert all(unit.mouth is None for unit in played)
    assert len(failures) == 1, "told once"


async def test_one_turn_at_a_time_has_the_floor() -> None:
    async with running() as stage:
        both = await asyncio.gather(
            perform(stage, [hum(0.2), None]), perform(stage, [hum(0.2), None])
        )
    (first, _), (second, _) = both
    assert max(unit.frame for unit in first) < min(unit.frame for unit in second)


async def test_a_cut_turn_is_silent_at_once_and_the_next_one_is_heard() -> None:
    async with running() as stage:
        turn = asyncio.create_task(perform(stage, [hum(5.0), None]))
        await asyncio.sleep(0.4)
        turn.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await turn
        assert stage.ahead_s == 0
        played, _ = await perform(stage, [hum(0.2), None])
        assert len(played) == pytest.approx(0.2 / FRAME_S, abs=1)


async def test_never_more_than_200_ms_are_ahead() -> None:
    async with running() as stage:
        turn = asyncio.create_task(perform(stage, [hum(1.0), None]))
        most = 0.0
        while not turn.done():
            most = max(most, stage.ahead_s)
            await asyncio.sleep(0.005)
    assert 0.1 < most <= 0.2 + 1e-9


async def test_what_is_held_goes_on_where_it_was() -> None:
    async with running() as stage:
        turn = asyncio.create_task(perform(stage, [hum(0.6), None]))
        await asyncio.sleep(0.25)
        stage.hold("learner")
        await asyncio.sleep(0.5)
        assert not turn.done()
        stage.release("learner")
        played, _ = await turn
    frames = [unit.frame for unit in played]
    assert frames == list(range(frames[0], frames[0] + len(frames))), "nothing is lost"


async def test_who_is_speaking_is_told_when_nobody_watches_any_more() -> None:
    async with running() as stage:
        turn = asyncio.create_task(perform(stage, [hum(5.0), None]))
        await asyncio.sleep(0.2)
        await stage.close()
        with pytest.raises(BaseExceptionGroup) as caught:
            await turn
        assert caught.group_contains(PeerGone)


async def test_the_voice_as_it_leaves_can_be_compared_with_the_microphone() -> None:
    async with running() as stage:
        await perform(stage, [hum(0.4), None])
    loud = [window for window in stage.played if np.abs(window).max() > 4000]
    assert loud and all(window.shape == (512,) for window in stage.played)


async def test_who_stands_in_for_a_face_makes_room_for_it_again() -> None:
    usable = False
    loaded: list[str] = []

    async def shown(face: str) -> str:
        return face if usable else "anna"

    def scenery(face: str) -> Scenery:
        loaded.append(face)
        return Scenery(StubBackdrop())

    stage = Stage(scenery, shown)
    await stage.wear("Rosa")
    assert (stage.face, stage.shown) == ("Rosa", "anna")
    usable = True
    async with stage.floor(stage.face, lambda unit: None):
        assert (stage.face, stage.shown) == ("Rosa", "Rosa")
    assert loaded == ["anna", "Rosa"]


async def test_a_face_that_was_made_anew_is_seen_from_the_next_turn_on() -> None:
    loaded: list[str] = []

    def scenery(face: str) -> Scenery:
        loaded.append(face)
        return Scenery(StubBackdrop())

    stage = Stage(scenery, as_it_is)
    for _ in range(2):
        async with stage.floor("Rosa", lambda unit: None):
            pass
    assert loaded == ["Rosa", "Rosa"]


async def test_nobody_changes_the_face_of_a_turn_that_has_the_floor() -> None:
    stage = Stage(lambda face: Scenery(StubBackdrop()), as_it_is)
    async with stage.floor("david", lambda unit: None):
        wearing = asyncio.create_task(stage.wear("anna"))
        done, _ = await asyncio.wait([wearing], timeout=0.05)
        assert not done
        assert stage.shown == "david"
    await wearing
    assert stage.shown == "anna"
