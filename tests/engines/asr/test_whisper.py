import asyncio
from pathlib import Path

import faster_whisper
import numpy as np
import pytest

from engines.asr.whisper import WhisperAsr
from engines.asr.whisper_model import WhisperOptions
from engines.base import HEARING_RATE_HZ, Audio, Transcript
from engines.errors import EngineError, EngineUnavailable
from tests.speech import say
from tests.tiny_whisper import make_tiny_whisper

CPU = WhisperOptions(device="cpu")


@pytest.fixture(scope="module")
def ears(folder: Path) -> WhisperAsr:
    return WhisperAsr.load(str(folder), CPU)


async def test_speech_becomes_text_in_the_language_that_was_named(ears: WhisperAsr) -> None:
    transcript = await ears.transcribe(await say("hello how are you"), "zh-CN")
    assert transcript.language == "zh"
    assert transcript.text
    assert transcript.text == transcript.text.strip()


@pytest.mark.parametrize("language", [None, "", "tlh"])
async def test_an_unknown_language_is_found_out(ears: WhisperAsr, language: str | None) -> None:
    transcript = await ears.transcribe(await say("hello"), language)
    assert transcript.language is not None
    assert len(transcript.language) in (2, 3)


@pytest.mark.parametrize("seconds", [0, 0.05, 0.5, 5])
async def test_silence_is_no_text(ears: WhisperAsr, seconds: float) -> None:
    samples = np.zeros(int(seconds * HEARING_RATE_HZ), np.int16)
    assert await ears.transcribe(Audio(samples, HEARING_RATE_HZ), None) == Transcript("")


async def test_a_recording_longer_than_the_models_window_is_heard_to_the_end(
    ears: WhisperAsr,
) -> None:
    long = np.tile((await say("one two three four five")).samples, 22)
    assert len(long) > 35 * HEARING_RATE_HZ
    assert (await ears.transcribe(Audio(long, HEARING_RATE_HZ), "en")).text


async def test_the_event_loop_goes_on_and_many_take_turns(ears: WhisperAsr) -> None:
    hello = await say("hello")
    hearing = asyncio.gather(*(ears.transcribe(hello, "en") for _ in range(2)))
    turns = 0
    while not hearing.done():
        await asyncio.sleep(0.005)
        turns += 1
    assert len(hearing.result()) == 2
    assert turns > 5  # with the lock of the process held, it would be one or two


async def test_a_cancelled_turn_is_left_at_once_and_harms_nobody(ears: WhisperAsr) -> None:
    hearing = asyncio.create_task(ears.transcribe(await say("one two three four five"), "en"))
    await asyncio.sleep(0.05)
    hearing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hearing
    assert (await ears.transcribe(await say("hello"), "en")).language == "en"


async def test_an_english_model_refuses_other_languages(tmp_path: Path) -> None:
    make_tiny_whisper(tmp_path, multilingual=False)
    ears = WhisperAsr.load(str(tmp_path), CPU)

    assert (await ears.transcribe(await say("hello"), None)).language == "en"
    with pytest.raises(EngineUnavailable, match="only knows English, not `zh`"):
        await ears.transcribe(await say("hello"), "zh")


async def test_a_failure_of_the_model_is_an_engine_error(
    ears: WhisperAsr, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA broken\nat some line")

    monkeypatch.setattr(faster_whisper.WhisperModel, "encode", fail)
    with pytest.raises(EngineError, match=r"failed \(CUDA broken\)\.$"):
        await ears.transcribe(await say("hello"), "en")
