"""What is heard, and by whom: Whisper with a model that knows sixteen words."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import faster_whisper
import numpy as np
import pytest

pytest.importorskip("torch", reason="the speech model of the tests is trained with torch")
pytest.importorskip("transformers")

from engines.asr.decoding import Decoder
from engines.asr.whisper import WhisperAsr
from engines.asr.whisper_model import WhisperOptions
from engines.base import HEARING_RATE_HZ, Audio, Transcript
from tests.speech import say
from tests.trained_whisper import UNSEEN_VOICES, phrases, said, trained_whisper

CPU = WhisperOptions(device="cpu")


def ears_with(options: WhisperOptions = CPU) -> WhisperAsr:
    return WhisperAsr.load(str(trained_whisper()), options)


@pytest.fixture(scope="module")
def ears() -> WhisperAsr:
    return ears_with()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many windows each run of the model had."""
    counts: list[int] = []
    hear = Decoder.hear

    def counted(self: Decoder, asked: Sequence[Any]) -> Any:
        counts.append(len(asked))
        return hear(self, asked)

    monkeypatch.setattr(Decoder, "hear", counted)
    return counts


@pytest.mark.parametrize("voice", UNSEEN_VOICES)
@pytest.mark.parametrize("phrase", phrases(5))
async def test_unseen_phrases_of_unseen_voices_are_heard_word_for_word(
    ears: WhisperAsr, phrase: str, voice: str
) -> None:
    assert await ears.transcribe(await said(phrase, voice), "en") == Transcript(phrase, "en")


@pytest.mark.parametrize(("phrase", "language"), [("hello teacher", "en"), ("你好老师", "zh")])
async def test_the_language_is_found_out(ears: WhisperAsr, phrase: str, language: str) -> None:
    assert await ears.transcribe(await said(phrase), None) == Transcript(phrase, language)


async def test_eight_at_once_are_one_run_and_each_gets_its_own_words(
    ears: WhisperAsr, runs: list[int]
) -> None:
    spoken = [*phrases(7, seed=1), "你好老师"]
    speeches = [await said(phrase) for phrase in spoken]
    first = asyncio.create_task(ears.transcribe(speeches[0], None))
    await asyncio.sleep(0)  # the rest come while it is being heard
    rest = await asyncio.gather(*(ears.transcribe(speech, None) for speech in speeches[1:]))
    assert [(await first).text, *(heard.text for heard in rest)] == spoken
    assert runs == [1, 7]


async def test_who_leaves_takes_nothing_from_the_others(ears: WhisperAsr) -> None:
    spoken = phrases(4, seed=2)
    speeches = [await said(phrase) for phrase in spoken]
    tasks = [asyncio.create_task(ears.transcribe(speech, "en")) for speech in speeches]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[2].cancel()
    heard = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(heard[0], asyncio.CancelledError)
    assert heard[1] == Transcript(spoken[1], "en")
    assert heard[3] == Transcript(spoken[3], "en")


async def test_silence_among_the_others_is_no_text(ears: WhisperAsr) -> None:
    silence = Audio(np.zeros(2 * HEARING_RATE_HZ, np.int16), HEARING_RATE_HZ)
    speech = await said("hello teacher")
    heard = await asyncio.gather(*(ears.transcribe(one, "en") for one in (speech, silence, speech)))
    assert [one.text for one in heard] == ["hello teacher", "", "hello teacher"]


async def test_a_recording_of_several_windows_is_heard_to_the_end(
    ears: WhisperAsr, runs: list[int]
) -> None:
    long = Audio(np.tile((await say("one two three four five")).samples, 30), HEARING_RATE_HZ)
    await ears.transcribe(long, "en")
    assert sum(runs) > 1


# ── what is said beside the words ─────────────────────────────────────────────────────────────


async def test_words_that_sound_alike_are_written_as_the_course_does() -> None:
    speech = await said("open flower book please")
    assert (await ears_with().transcribe(speech, "en")).text == "open flower book please"
    course = ears_with(WhisperOptions("cpu", vocabulary=("flour", "red")))
    assert (await course.transcribe(speech, "en")).text == "open flour book please"


async def test_the_time_of_each_word_is_told_when_it_is_wanted() -> None:
    ears = ears_with(WhisperOptions("cpu", word_times=True))
    speech = await said("hello teacher please open window")
    late = Audio(np.pad(speech.samples, (4 * HEARING_RATE_HZ, 0)), HEARING_RATE_HZ)
    chinese, english = await asyncio.gather(
        ears.transcribe(await said("你好老师"), None), ears.transcribe(late, None)
    )
    assert [word.text for word in english.words] == ["hello", "teacher", "please", "open", "window"]
    assert 3.5 < english.words[0].start_s < 4.3
    assert english.words[-1].end_s <= late.seconds
    assert all(one.start_s < other.start_s for one, other in pairwise(english.words))
    assert "".join(word.text for word in chinese.words) == "你好老师"


# ── when something goes wrong ─────────────────────────────────────────────────────────────────


async def test_what_fails_together_is_heard_one_by_one(
    ears: WhisperAsr, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = faster_whisper.WhisperModel.encode

    def narrow(self: Any, features: Any) -> Any:
        if len(features) > 1:
            raise RuntimeError("CUDA failed with error out of memory")
        return encode(self, features)

    monkeypatch.setattr(faster_whisper.WhisperModel, "encode", narrow)
    spoken = phrases(3, seed=3)
    speeches = [await said(phrase) for phrase in spoken]
    heard = await asyncio.gather(*(ears.transcribe(speech, "en") for speech in speeches))
    assert [one.text for one in heard] == spoken
    assert ears.state.state == "ready"


async def test_memory_that_becomes_too_little_makes_the_model_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ears = ears_with(WhisperOptions("cpu", "float32"))
    assert ears.state.state == "ready"
    encode = faster_whisper.WhisperModel.encode

    def cramped(self: Any, features: Any) -> Any:
        if "int8" not in self.model.compute_type:
            raise RuntimeError("CUDA failed with error out of memory")
        return encode(self, features)

    monkeypatch.setattr(faster_whisper.WhisperModel, "encode", cramped)
    assert (await ears.transcribe(await said("hello teacher"), "en")).text == "hello teacher"
    assert (ears.state.state, ears.state.engine) == ("degraded", "whisper")
    assert "int8_float32" in ears.state.reason
