"""What is heard, and by whom: Whisper with a model that knows seventy-seven phrases."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
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
from engines.base import HEARING_RATE_HZ, Audio, Transcript, Voice
from engines.errors import EngineError
from tests.running import eventually
from tests.speech import ROOM_NOISE, say
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


def in_a_class(speech: Audio) -> Audio:
    """Half as loud, in more noise."""
    noise = np.random.default_rng(1).normal(0, 40, len(speech.samples))
    return replace(speech, samples=(0.5 * speech.samples + noise).astype(np.int16))


@pytest.mark.parametrize("voice", [Voice(name, rate=0.9) for name in UNSEEN_VOICES])
async def test_phrases_in_unseen_voices_are_heard_word_for_word(
    ears: WhisperAsr, voice: Voice
) -> None:
    known = phrases(8)
    speeches = [await said(phrase, voice) for phrase in known]
    heard = await asyncio.gather(*(ears.transcribe(speech, "en") for speech in speeches))
    assert heard == [Transcript(phrase, "en") for phrase in known]


@pytest.mark.parametrize(("rate", "pitch"), [(1.0, 1.15), (0.85, 0.9)])
async def test_neither_pace_nor_pitch_nor_noise_changes_a_word(
    ears: WhisperAsr, rate: float, pitch: float
) -> None:
    known = phrases(8, seed=6)
    voice = Voice(UNSEEN_VOICES[0], rate, pitch)
    speeches = [in_a_class(await said(phrase, voice)) for phrase in known]
    heard = await asyncio.gather(*(ears.transcribe(speech, "en") for speech in speeches))
    assert [one.text for one in heard] == known


@pytest.mark.parametrize(("phrase", "language"), [("hello teacher", "en"), ("你好老师", "zh")])
async def test_the_language_is_found_out(ears: WhisperAsr, phrase: str, language: str) -> None:
    assert await ears.transcribe(await said(phrase), None) == Transcript(phrase, language)


async def test_eight_at_once_are_heard_together_and_each_gets_its_own_words(
    runs: list[int],
) -> None:
    ears = ears_with()
    spoken = [*phrases(7, seed=1), "你好老师"]
    speeches = [await said(phrase) for phrase in spoken]
    heard = await asyncio.gather(*(ears.transcribe(speech, None) for speech in speeches))
    assert [one.text for one in heard] == spoken
    assert sum(runs) == 8
    assert len(runs) < 4  # how many depends on how fast they come
    assert f"to {max(runs)} learners at once" in ears.state.reason


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


async def test_no_run_is_made_for_those_who_have_left(ears: WhisperAsr, runs: list[int]) -> None:
    long = Audio(np.tile((await say("one two three four five")).samples, 200), HEARING_RATE_HZ)
    task = asyncio.create_task(ears.transcribe(long, "en"))
    await eventually(lambda: runs)
    task.cancel()
    begun = len(runs)
    assert (await ears.transcribe(await said("hello teacher"), "en")).text == "hello teacher"
    assert runs[begun:] == [1]


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
    speech = await said("open the red flower please")
    assert (await ears_with().transcribe(speech, "en")).text == "open the red flower please"
    course = ears_with(WhisperOptions("cpu", vocabulary=("flour", "book")))
    assert (await course.transcribe(speech, "en")).text == "open the red flour please"


async def test_of_two_courses_at_once_each_has_its_own_words(ears: WhisperAsr) -> None:
    speech = await said("open the red flower please")
    courses = ((), ("flour", "book"), ("window",), ("flour", "book"))
    heard = await asyncio.gather(
        *(ears.transcribe(speech, "en", vocabulary) for vocabulary in courses)
    )
    assert [one.text.split()[3] for one in heard] == ["flower", "flour", "flower", "flour"]


async def test_the_time_of_each_word_is_told_when_it_is_wanted() -> None:
    ears = ears_with(WhisperOptions("cpu", word_times=True))
    speech = await said("find the blue window please")
    before = np.random.default_rng(2).normal(0, ROOM_NOISE, 4 * HEARING_RATE_HZ)
    late = Audio(np.append(before.astype(np.int16), speech.samples), HEARING_RATE_HZ)
    chinese, english = await asyncio.gather(
        ears.transcribe(await said("你好老师"), None), ears.transcribe(late, None)
    )
    assert [word.text for word in english.words] == ["find", "the", "blue", "window", "please"]
    assert 3.5 < english.words[0].start_s < 4.3
    assert english.words[-1].end_s <= late.seconds
    assert all(one.start_s <= other.start_s for one, other in pairwise(english.words))
    assert english.words[-1].start_s - english.words[0].start_s > speech.seconds / 2
    assert "".join(word.text for word in chinese.words) == "你好老师"


# ── when something goes wrong ─────────────────────────────────────────────────────────────────


async def test_where_the_memory_does_not_suffice_for_all_fewer_are_heard_at_once(
    monkeypatch: pytest.MonkeyPatch, runs: list[int]
) -> None:
    ears = ears_with()
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
    assert (ears.state.engine, ears.state.state) == ("whisper", "degraded")
    assert "suffices for 1 at once" in ears.state.reason
    runs.clear()
    await asyncio.gather(*(ears.transcribe(speech, "en") for speech in speeches))
    assert runs == [1, 1, 1]
    monkeypatch.undo()
    monkeypatch.setattr(ears, "_narrow_until_s", 0.0)  # some minutes later
    assert (ears.state.engine, ears.state.state) == ("whisper", "ready")


async def test_who_makes_the_model_fail_takes_nothing_from_the_others(
    ears: WhisperAsr, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear = Decoder.hear

    def failing(self: Decoder, asked: Sequence[Any]) -> Any:
        if any(one.language == "zh" for one in asked):
            raise RuntimeError("broken\nat some line")
        return hear(self, asked)

    monkeypatch.setattr(Decoder, "hear", failing)
    spoken = phrases(4, seed=3)
    speeches = [await said(phrase) for phrase in spoken]
    languages = ["en", "zh", "en", "en"]
    heard = await asyncio.gather(
        *(ears.transcribe(*one) for one in zip(speeches, languages, strict=True)),
        return_exceptions=True,
    )
    assert isinstance(heard[1], EngineError)
    assert "failed (broken)." in heard[1].sentence
    assert [one.text for one in heard if isinstance(one, Transcript)] == [
        spoken[0],
        *spoken[2:],
    ]
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
