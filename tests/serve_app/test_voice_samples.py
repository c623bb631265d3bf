"""Bounds of a voice on trial: in length, in time, and in number."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from engines.base import Audio, Voice
from engines.errors import EngineBusy, EngineTimeout, EngineUnavailable
from engines.stub import StubTts
from serve_app import voice_samples
from serve_app.voice_samples import AT_ONCE, LONGEST_S, Samples
from tests.running import eventually


class Endless:
    """Speaks without end, a second at a time, and notes when it is closed."""

    def __init__(self) -> None:
        self.closed = False

    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        try:
            while True:
                yield Audio(np.ones(16_000, np.int16), 16_000)
        finally:
            self.closed = True


class Waiting:
    """Says nothing until it may."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.waiting = 0

    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        self.waiting += 1
        await self.may.wait()
        yield Audio(np.ones(16_000, np.int16), 16_000)


class Mute:
    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        nothing: tuple[Audio, ...] = ()
        for piece in nothing:
            yield piece


async def test_a_sample_is_never_longer() -> None:
    voice = Endless()
    assert (await Samples(voice).of(Voice(), None)).seconds == LONGEST_S
    assert voice.closed


async def test_all_of_a_short_one_is_there() -> None:
    sound = await Samples(StubTts(pieces=3, piece_seconds=0.5)).of(Voice(), "en")
    assert sound.seconds == 1.5


async def test_so_many_are_spoken_at_once_and_no_more() -> None:
    voice = Waiting()
    samples = Samples(voice)
    async with asyncio.TaskGroup() as tasks:
        begun = [tasks.create_task(samples.of(Voice(), None)) for _ in range(AT_ONCE)]
        await eventually(lambda: voice.waiting == AT_ONCE)
        with pytest.raises(EngineBusy):
            await samples.of(Voice(), None)
        voice.may.set()
    assert all(task.result().seconds == 1 for task in begun)
    assert (await samples.of(Voice(), None)).seconds == 1


async def test_a_voice_that_hangs_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_samples, "LIMIT_S", 0.01)
    samples = Samples(Waiting())
    for _ in range(AT_ONCE + 1):
        with pytest.raises(EngineTimeout):
            await samples.of(Voice(), None)


async def test_a_voice_that_says_nothing_is_told_of() -> None:
    with pytest.raises(EngineUnavailable):
        await Samples(Mute()).of(Voice(), None)
