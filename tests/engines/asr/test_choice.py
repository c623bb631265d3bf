"""Who hears, with a Whisper whose loading and failing the test decides, and a real pocketsphinx."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from engines.asr import choice
from engines.asr.choice import BestAsr, NoAsr, PlainSphinx
from engines.asr.download import Told
from engines.asr.whisper import WhisperAsr
from engines.asr.whisper_model import WhisperOptions, free
from engines.base import HEARING_RATE_HZ, Audio, EngineState, Transcript, Vocabulary
from engines.errors import EngineError, EngineUnavailable
from tests.running import eventually
from tests.speech import say
from tests.tiny_whisper import make_tiny_whisper

BY_WHISPER = Transcript("heard by whisper", "en")
LACKS = EngineUnavailable("There is no folder /models/small.")
BROKEN = EngineError("The speech model failed.")


@dataclass
class Whisper:
    """Hears always the same, until it fails or does not answer."""

    failure: EngineError | None = None
    is_stuck: bool = False
    is_loaded: bool = True
    asked: int = 0
    state: EngineState = field(default_factory=lambda: EngineState("whisper", "ready", "Listens."))

    async def transcribe(
        self, speech: Audio, language: str | None, vocabulary: Vocabulary = ()
    ) -> Transcript:
        self.asked += 1
        if self.is_stuck:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        return BY_WHISPER


async def loaded(load: Callable[[Told], Whisper], *, fallback: bool = True) -> BestAsr:
    asr = BestAsr(load, fallback=fallback)
    await asr.loaded()
    return asr


@pytest.fixture(scope="module")
def speech() -> Audio:
    return asyncio.run(say("one two three four five"))


async def by_sphinx(asr: BestAsr, speech: Audio) -> bool:
    heard = await asr.transcribe(speech, "en")
    return heard != BY_WHISPER and "three" in heard.text


# ── which one ─────────────────────────────────────────────────────────────────────────────────


async def test_without_a_model_the_embedded_ears_say_what_is_missing() -> None:
    state = await PlainSphinx(wanted=False).state()
    assert (state.engine, state.state) == ("sphinx", "degraded")
    assert "No speech model is configured" in state.reason
    assert "WHISPER_MODEL" in state.remedy


async def test_the_embedded_ears_are_fine_when_they_were_asked_for(speech: Audio) -> None:
    asr = PlainSphinx(wanted=True)
    state = await asr.state()
    assert (state.engine, state.state, state.remedy) == ("sphinx", "ready", "")
    assert "three" in (await asr.transcribe(speech, "en")).text


async def test_sphinx_hears_while_whisper_loads_and_then_it_moves_up(speech: Audio) -> None:
    may_load = threading.Event()

    def load(told: Told) -> Whisper:
        told("downloading: 3 of 75 MB")
        may_load.wait(30)
        return Whisper()

    asr = BestAsr(load)
    assert await by_sphinx(asr, speech)
    state = await asr.state()
    assert (state.engine, state.state) == ("sphinx", "degraded")
    assert "downloading: 3 of 75 MB" in state.reason
    may_load.set()
    await asr.loaded()
    assert await asr.transcribe(speech, "en") == BY_WHISPER
    assert (await asr.state()).engine == "whisper"


@pytest.mark.parametrize("error", [LACKS, RuntimeError("odd")])
async def test_what_does_not_load_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, speech: Audio, error: Exception
) -> None:
    monkeypatch.setattr(choice, "LOAD_AGAIN_S", 0.01)
    is_there = threading.Event()

    def load(told: Told) -> Whisper:
        if not is_there.is_set():
            raise error
        return Whisper()

    asr = await loaded(load)
    state = await asr.state()
    assert (state.engine, state.state) == ("sphinx", "degraded")
    assert state.remedy == getattr(error, "sentence", state.remedy) != ""
    assert await by_sphinx(asr, speech)
    is_there.set()
    await eventually(lambda: asr._whisper is not None, 60)
    assert await asr.transcribe(speech, "en") == BY_WHISPER
    assert (await asr.state()).state == "ready"


async def test_a_folder_that_appears_is_used_without_a_restart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, speech: Audio
) -> None:
    monkeypatch.setattr(choice, "LOAD_AGAIN_S", 0.05)
    folder = tmp_path / "model"

    def load(told: Told) -> WhisperAsr:
        return WhisperAsr.load(str(folder), WhisperOptions("cpu"), told)

    asr = BestAsr(load)
    await asr.loaded()
    assert "does not exist" in (await asr.state()).remedy
    make_tiny_whisper(tmp_path / "unfinished").rename(folder)
    await eventually(lambda: asr._whisper is not None, 60)
    assert (await asr.transcribe(speech, "zh")).language == "zh"
    assert (await asr.state()).state == "ready"


async def test_without_the_fallback_nothing_else_hears(speech: Audio) -> None:
    may_load = threading.Event()

    def load(told: Told) -> Whisper:
        may_load.wait(30)
        raise LACKS

    asr = BestAsr(load, fallback=False)
    assert (await asr.state()).state == "starting"
    with pytest.raises(EngineUnavailable, match="still loading"):
        await asr.transcribe(speech, "en")
    may_load.set()
    await asr.loaded()
    state = await asr.state()
    assert (state.engine, state.state, state.remedy) == ("whisper", "unavailable", LACKS.sentence)
    with pytest.raises(EngineUnavailable, match="/models/small"):
        await asr.transcribe(speech, "en")


# ── when it fails ─────────────────────────────────────────────────────────────────────────────


async def test_what_whisper_fails_on_is_heard_by_sphinx_until_it_is_well_again(
    monkeypatch: pytest.MonkeyPatch, speech: Audio
) -> None:
    whisper = Whisper(failure=BROKEN)
    asr = await loaded(lambda told: whisper)
    assert await by_sphinx(asr, speech)
    state = await asr.state()
    assert (state.engine, state.state, state.remedy) == ("sphinx", "degraded", BROKEN.sentence)
    whisper.failure = None
    assert await by_sphinx(asr, speech)  # it rests
    assert whisper.asked == 1
    monkeypatch.setattr(asr, "_rests_until_s", 0.0)
    assert await asr.transcribe(speech, "en") == BY_WHISPER
    assert (await asr.state()).state == "ready"


async def test_one_that_does_not_answer_is_left_to_sphinx(
    monkeypatch: pytest.MonkeyPatch, speech: Audio
) -> None:
    monkeypatch.setattr(choice, "HEAR_LIMIT_S", 0.05)
    asr = await loaded(lambda told: Whisper(is_stuck=True))
    assert await by_sphinx(asr, speech)
    assert "did not answer within" in (await asr.state()).remedy


async def test_one_that_has_lost_its_memory_is_loaded_again(speech: Audio) -> None:
    both = [Whisper(failure=BROKEN, is_loaded=False), Whisper()]
    waiting = list(both)
    asr = await loaded(lambda told: waiting.pop(0))
    assert await by_sphinx(asr, speech)
    await eventually(lambda: asr._whisper is both[1])
    assert await asr.transcribe(speech, "en") == BY_WHISPER
    assert not waiting


async def test_a_real_model_that_was_unloaded_comes_back(tmp_path: Path, speech: Audio) -> None:
    make_tiny_whisper(tmp_path)

    def load(told: Told) -> WhisperAsr:
        return WhisperAsr.load(str(tmp_path), WhisperOptions("cpu"), told)

    asr = BestAsr(load)
    await asr.loaded()
    gone = asr._whisper
    assert isinstance(gone, WhisperAsr)
    free(gone._opened)
    assert await by_sphinx(asr, speech)
    await eventually(lambda: asr._whisper not in (None, gone), 60)
    assert (await asr.transcribe(speech, "zh")).language == "zh"


async def test_what_it_is_not_made_for_is_no_failure(speech: Audio) -> None:
    refusal = EngineUnavailable("It only knows English.")
    asr = await loaded(lambda told: Whisper(failure=refusal))
    with pytest.raises(EngineUnavailable, match="only knows English"):
        await asr.transcribe(speech, "zh")
    assert (await asr.state()).state == "ready"


async def test_what_sphinx_cannot_hear_either_tells_of_both(speech: Audio) -> None:
    asr = await loaded(lambda told: Whisper(failure=BROKEN))
    with pytest.raises(EngineUnavailable, match="speech model failed.*only knows English"):
        await asr.transcribe(speech, "zh")


async def test_the_embedded_ears_end_when_whisper_hears_and_come_back(speech: Audio) -> None:
    whisper = Whisper()
    asr = await loaded(lambda told: whisper)
    assert asr._ears is None
    whisper.failure = BROKEN
    assert await by_sphinx(asr, speech)
    assert asr._ears is not None


# ── none at all ───────────────────────────────────────────────────────────────────────────────


async def test_without_any_ears_text_keeps_working(
    monkeypatch: pytest.MonkeyPatch, speech: Audio
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    plain = PlainSphinx(wanted=False)
    state = await plain.state()
    assert (state.engine, state.state) == ("none", "unavailable")
    assert "pip install pocketsphinx" in state.reason
    with pytest.raises(EngineUnavailable, match="No speech recogniser .* please type"):
        await plain.transcribe(Audio(np.zeros(16, np.int16), HEARING_RATE_HZ), "en")

    def load(told: Told) -> Whisper:
        raise LACKS

    best = await loaded(load)
    assert isinstance(best._ears, NoAsr)
    assert (await best.state()).state == "unavailable"
    with pytest.raises(EngineUnavailable, match=r"/models/small.*please type"):
        await best.transcribe(speech, "en")
