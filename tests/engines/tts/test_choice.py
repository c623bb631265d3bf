"""Which engine speaks, with a Coqui whose loading and failing the test decides."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest

from engines.base import Audio, KnownVoice, Voice
from engines.errors import EngineError, EngineTimeout, EngineUnavailable, UnknownVoice
from engines.tts import choice
from engines.tts.choice import BestTts, PlainEspeak
from engines.tts.coqui import CoquiTts
from tests.running import eventually

RATE_HZ = 24_000  # Coqui's; espeak has 22,050
ESPEAK_HZ = 22_050
ENGLISH = "Hello there, my friend."


@dataclass
class Coqui:
    """Speaks in five pieces, and fails before the piece that is named."""

    kind = "XTTS"
    fails_at: int | None = None
    hangs_at: int | None = None
    error: EngineError = field(default_factory=lambda: EngineUnavailable("Out of memory."))
    pace: float = 0.1
    heard: list[Voice] = field(default_factory=list)
    voices = [KnownVoice("Claribel Dervla", "coqui")]

    def speaks(self, sentence: str, voice: Voice) -> bool:
        return voice.language != "de"

    async def speak(self, sentence: str, voice: Voice) -> AsyncGenerator[Audio, None]:
        self.heard.append(voice)
        for index in range(5):
            if index == self.fails_at:
                raise self.error
            if index == self.hangs_at:
                await asyncio.Event().wait()
            yield Audio(np.full(3_600, 3_000, np.int16), RATE_HZ)


def best(coqui: Coqui, *, fallback: bool = True) -> BestTts:
    return BestTts(lambda: cast(CoquiTts, coqui), fallback=fallback)


async def loaded(coqui: Coqui, *, fallback: bool = True) -> BestTts:
    tts = best(coqui, fallback=fallback)
    await tts.loaded()
    return tts


async def test_what_could_not_be_loaded_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "LOAD_AGAIN_S", 0.01)
    lacks = EngineUnavailable("There is no folder /models/xtts.")
    outcomes: list[Exception | Coqui] = [lacks, RuntimeError("odd"), lacks, Coqui()]
    may_go_on = threading.Semaphore(1)

    def load() -> CoquiTts:
        may_go_on.acquire()
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return cast(CoquiTts, outcome)

    tts = BestTts(load)
    await tts.loaded()
    state = await tts.state()
    assert (state.state, state.remedy) == ("degraded", lacks.sentence)
    assert await rates(tts) == {ESPEAK_HZ}
    may_go_on.release(3)
    await eventually(lambda: not outcomes)
    async with asyncio.timeout(5):
        while await rates(tts) != {RATE_HZ}:
            pass
    assert (await tts.state()).state == "ready"


async def test_a_sentence_that_cannot_be_spoken_does_not_take_the_voice_from_others() -> None:
    refused = EngineError("This number has too many digits.")
    coqui = Coqui(fails_at=0, error=refused)
    tts = await loaded(coqui)
    assert await rates(tts) == {ESPEAK_HZ}  # this sentence
    assert (await tts.state()).state == "ready"
    coqui.fails_at = None
    assert await rates(tts) == {RATE_HZ}  # another learner's
    coqui.fails_at = 0
    for _ in range(choice.FAILURES):
        assert (await tts.state()).state == "ready"
        assert await rates(tts) == {ESPEAK_HZ}
    state = await tts.state()
    assert (state.state, state.remedy) == ("degraded", refused.sentence)


async def rates(tts: Any, voice: Voice | None = None) -> set[int]:
    return {piece.rate_hz async for piece in tts.speak(ENGLISH, voice or Voice())}


async def test_espeak_speaks_while_coqui_loads_and_then_it_moves_up() -> None:
    may_load = threading.Event()

    def load() -> CoquiTts:
        may_load.wait()
        return cast(CoquiTts, Coqui())

    tts = BestTts(load)
    assert await rates(tts) == {ESPEAK_HZ}
    state = await tts.state()
    assert (state.engine, state.state) == ("espeak-ng", "degraded")
    assert "loading" in state.reason
    may_load.set()
    await tts.loaded()
    assert await rates(tts) == {RATE_HZ}
    state = await tts.state()
    assert (state.engine, state.state) == ("coqui", "ready")
    assert "XTTS" in state.reason


@pytest.mark.parametrize("error", [EngineUnavailable("No such folder."), RuntimeError("odd")])
async def test_espeak_goes_on_when_coqui_does_not_load(error: Exception) -> None:
    def load() -> CoquiTts:
        raise error

    tts = BestTts(load)
    await tts.loaded()
    assert await rates(tts) == {ESPEAK_HZ}
    state = await tts.state()
    assert (state.engine, state.state) == ("espeak-ng", "degraded")
    assert state.remedy


async def test_a_failure_before_the_first_piece_is_not_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    coqui = Coqui(fails_at=0)
    tts = await loaded(coqui)
    assert await rates(tts) == {ESPEAK_HZ}
    state = await tts.state()
    assert (state.engine, state.remedy) == ("espeak-ng", "Out of memory.")
    assert {voice.engine for voice in await tts.voices()} == {"coqui", "espeak-ng"}
    coqui.fails_at = None
    assert await rates(tts) == {ESPEAK_HZ}, "it rests for a while"
    monkeypatch.setattr(time, "monotonic", lambda: tts._rests_until_s + 1)
    assert await rates(tts) == {RATE_HZ}
    assert (await tts.state()).state == "ready"


async def test_a_failure_in_mid_sentence_is_told_and_the_next_one_is_espeaks() -> None:
    tts = await loaded(Coqui(fails_at=2))
    pieces = []
    with pytest.raises(EngineUnavailable, match="Out of memory"):
        async for piece in tts.speak(ENGLISH, Voice()):
            pieces.append(piece)
    assert len(pieces) == 2
    assert await rates(tts) == {ESPEAK_HZ}


async def test_a_voice_that_hangs_is_left_and_the_other_one_speaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choice, "PIECE_LIMIT_S", 0.05)
    tts = await loaded(Coqui(hangs_at=0))
    assert await rates(tts) == {ESPEAK_HZ}
    assert "did not go on within" in (await tts.state()).remedy
    tts = await loaded(Coqui(hangs_at=1))
    with pytest.raises(EngineTimeout):
        await rates(tts)
    assert await rates(tts) == {ESPEAK_HZ}


async def test_the_slowest_model_is_waited_for_when_nobody_can_stand_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choice, "PIECE_LIMIT_S", 0.0)
    tts = await loaded(Coqui(), fallback=False)
    assert await rates(tts) == {RATE_HZ}


async def test_a_voice_that_fails_again_rests_twice_as_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    coqui = Coqui(fails_at=0)
    tts = await loaded(coqui)
    clock = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    rests = []
    for _ in range(6):
        assert await rates(tts) == {ESPEAK_HZ}
        rests.append(tts._rests_until_s - clock[0])
        clock[0] = tts._rests_until_s + 1
    assert rests == pytest.approx([15, 30, 60, 120, 240, 240])
    coqui.fails_at = None
    assert await rates(tts) == {RATE_HZ}
    coqui.fails_at = 0
    assert await rates(tts) == {ESPEAK_HZ}
    assert tts._rests_until_s - clock[0] == pytest.approx(choice.REST_S), "it was well meanwhile"


async def test_an_unknown_voice_is_told_and_is_no_failure() -> None:
    tts = await loaded(Coqui(fails_at=0, error=UnknownVoice("There is no such voice.")))
    with pytest.raises(UnknownVoice):
        await rates(tts)
    assert (await tts.state()).state == "ready"


async def test_a_language_that_coqui_lacks_is_espeaks() -> None:
    tts = await loaded(Coqui())
    assert await rates(tts, Voice(language="de")) == {ESPEAK_HZ}
    assert (await tts.state()).state == "ready"


@pytest.mark.parametrize("voice", [Voice("Ana Florence"), Voice("mine", reference=b"\0\0")])
async def test_espeak_stands_in_for_voices_that_it_does_not_have(voice: Voice) -> None:
    assert await rates(await loaded(Coqui(fails_at=0)), voice) == {ESPEAK_HZ}


async def test_a_cloned_voice_reaches_coqui_with_its_recording() -> None:
    coqui = Coqui()
    voice = Voice("mine", reference=b"\1\0")
    await rates(await loaded(coqui), voice)
    assert coqui.heard == [voice]


async def test_a_model_that_cannot_keep_up_stays_silent_unless_it_is_asked_for() -> None:
    slow = Coqui(pace=1.4)
    tts = await loaded(slow)
    assert await rates(tts) == {ESPEAK_HZ}
    assert "1.4 s" in (await tts.state()).remedy
    assert await rates(await loaded(slow, fallback=False)) == {RATE_HZ}


async def test_without_the_fallback_nothing_is_said_until_coqui_can() -> None:
    may_load = threading.Event()

    def load() -> CoquiTts:
        may_load.wait()
        raise EngineUnavailable("Set TTS_MODEL.")

    tts = BestTts(load, fallback=False)
    assert (await tts.state()).state == "starting"
    with pytest.raises(EngineUnavailable, match="loading"):
        await rates(tts)
    may_load.set()
    await tts.loaded()
    state = await tts.state()
    assert (state.engine, state.state, state.remedy) == ("coqui", "unavailable", "Set TTS_MODEL.")
    with pytest.raises(EngineUnavailable, match="TTS_MODEL"):
        await rates(tts)


async def test_closing_reaches_the_engine() -> None:
    closed = asyncio.Event()

    class Closing(Coqui):
        async def speak(self, sentence: str, voice: Voice) -> AsyncGenerator[Audio, None]:
            try:
                while True:
                    yield Audio(np.full(3_600, 3_000, np.int16), RATE_HZ)
            finally:
                closed.set()

    speech = (await loaded(Closing())).speak(ENGLISH, Voice())
    await anext(speech)
    await speech.aclose()
    assert closed.is_set()


async def test_espeak_alone_knows_its_voices_and_refuses_others() -> None:
    tts = PlainEspeak()
    assert {voice.name for voice in await tts.voices()} >= {"f3", "m3"}
    assert await rates(tts, Voice("mine", reference=b"\0\0")) == {ESPEAK_HZ}
    with pytest.raises(UnknownVoice):
        await rates(tts, Voice("nobody"))
