"""How much of a live voice a face is told of."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import numpy as np
import pytest

from engines.base import FPS, Audio, Cue, Patch
from engines.stub import STUB_RATE_HZ, StubBackdrop
from serve_app.framing import CONTEXT_FRAMES, LOOK_AHEAD_FRAMES
from serve_app.stage.performance import Performance
from serve_app.stage.scenery import Scenery
from serve_app.stage.stage import Stage
from tests.running import as_it_is

FRAME = STUB_RATE_HZ // FPS
PIECE = 5 * FRAME


class Told:
    """A face that keeps what it was told."""

    def __init__(self) -> None:
        self.stretches: list[tuple[Audio, Cue]] = []

    async def animate(self, speech: Audio, cue: Cue) -> AsyncIterator[Patch]:
        self.stretches.append((speech, cue))
        yield Patch(cue.first_frame, 0, 0, np.zeros((cue.frames, 2, 2, 3), np.uint8))


@contextlib.asynccontextmanager
async def running(face: str) -> AsyncIterator[Stage]:
    stage = Stage(lambda name: Scenery(StubBackdrop()), as_it_is)
    await stage.wear(face)
    clock = asyncio.create_task(stage.run())
    try:
        yield stage
    finally:
        clock.cancel()


async def told(face: str, pieces: int) -> list[tuple[Audio, Cue]]:
    """What a face is told of a voice that is quicker than it can be spoken."""
    whole = (np.arange(pieces * PIECE) % 30_011).astype(np.int16)
    voice: asyncio.Queue[Audio | None] = asyncio.Queue()
    parts = [Audio(whole[at : at + PIECE], STUB_RATE_HZ) for at in range(0, len(whole), PIECE)]
    for piece in (*parts[1:], None):
        voice.put_nowait(piece)
    avatar, failures, played = Told(), list[Exception](), list[object]()
    async with running(face) as stage, stage.floor(face, played.append) as generation:
        performance = Performance(avatar, stage, generation, failures.append)
        await performance.run(parts[0], voice)
    assert not failures
    assert len(played) == pieces * 5
    assert sum(cue.frames for _, cue in avatar.stretches) == pieces * 5
    return avatar.stretches


async def test_a_prepared_avatar_is_told_all_that_was_said_and_a_second_of_what_comes() -> None:
    stretches = await told("Anna at home", 12)
    first = stretches[0][1].first_frame
    for speech, cue in stretches:
        begin = (cue.first_frame - first) * FRAME
        assert cue.begin == begin
        expected = np.arange(len(speech.samples)) % 30_011
        assert np.array_equal(speech.samples, expected.astype(np.int16))
        ahead = len(speech.samples) - begin - cue.frames * FRAME
        # Less than a piece may be wanting, and what the voice does not have.
        assert ahead >= min(FPS * FRAME, 12 * PIECE - begin - cue.frames * FRAME) - 2 * PIECE


@pytest.mark.parametrize("face", ["anna", "mei"])
async def test_a_drawn_face_is_told_as_little_as_ever(face: str) -> None:
    for speech, cue in await told(face, 6):
        assert cue.begin <= CONTEXT_FRAMES * FRAME
        most = CONTEXT_FRAMES + cue.frames + LOOK_AHEAD_FRAMES
        assert len(speech.samples) <= most * FRAME
