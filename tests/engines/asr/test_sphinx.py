import asyncio
import time
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from engines.asr.sphinx import (
    MOST_GAIN,
    PEAK,
    WINDOW_S,
    SphinxAsr,
    cut,
    even,
    written,
)
from engines.base import HEARING_RATE_HZ, Audio, Pcm, Transcript
from engines.errors import EngineTimeout, EngineUnavailable
from tests.speech import say

SENTENCES = [
    "one two three four five",
    "i would like to learn mathematics",
    "i want to learn english",
    "please open the door",
]


def sound(samples: Pcm) -> Audio:
    return Audio(samples, HEARING_RATE_HZ)


def silence(seconds: float) -> Pcm:
    return np.zeros(int(seconds * HEARING_RATE_HZ), np.int16)


@pytest.fixture(scope="module")
def ears() -> Iterator[SphinxAsr]:
    asr = SphinxAsr()
    yield asr
    asr.close()


async def heard(ears: SphinxAsr, audio: Audio) -> set[str]:
    return set((await ears.transcribe(audio, "en")).text.lower().split())


async def test_clear_sentences_are_understood(ears: SphinxAsr) -> None:
    spoken = right = 0
    for sentence in SENTENCES:
        words = set(sentence.split())
        spoken += len(words)
        right += len(words & await heard(ears, await say(sentence)))
    assert right / spoken >= 0.85


@pytest.mark.parametrize("factor", [0.05, 0.3, 2.0])
async def test_a_quiet_or_a_loud_microphone_makes_no_difference(
    ears: SphinxAsr, factor: float
) -> None:
    samples = (await say("one two three four five")).samples * factor
    audio = sound(samples.clip(-32768, 32767).astype(np.int16))
    assert len(await heard(ears, audio) & {"one", "two", "three", "four", "five"}) >= 4


async def test_pauses_around_the_words_make_no_difference(ears: SphinxAsr) -> None:
    words = (await say("one two three four five")).samples
    audio = sound(np.concatenate([silence(2), words, silence(3)]))
    assert len(await heard(ears, audio) & {"one", "two", "three", "four", "five"}) >= 4


async def test_what_was_heard_is_written_as_a_sentence_in_english(ears: SphinxAsr) -> None:
    transcript = await ears.transcribe(await say("i want to learn english"), None)
    assert transcript == Transcript("I want to learn english", "en")


NOISES = {
    "nothing": silence(0),
    "silence": silence(3),
    "idle microphone": np.random.default_rng(0).normal(0, 5, 48_000).astype(np.int16),
    "hiss": np.random.default_rng(0).normal(0, 400, 48_000).astype(np.int16),
    "hum": (9000 * np.sin(np.arange(48_000) * 2 * np.pi * 50 / 16_000)).astype(np.int16),
    "click": np.concatenate([silence(1), np.full(40, 20_000, np.int16), silence(1)]),
}


@pytest.mark.parametrize("noise", NOISES)
async def test_what_is_no_speech_is_no_text(ears: SphinxAsr, noise: str) -> None:
    assert await ears.transcribe(sound(NOISES[noise]), "en") == Transcript("")


@pytest.mark.parametrize("language", ["en", "EN", "en-GB", "en_US", "", None])
async def test_every_english_is_accepted(ears: SphinxAsr, language: str | None) -> None:
    assert await ears.transcribe(sound(silence(0.5)), language) == Transcript("")


async def test_another_language_is_refused_with_what_to_do(ears: SphinxAsr) -> None:
    with pytest.raises(EngineUnavailable, match="only knows English.*WHISPER_MODEL"):
        await ears.transcribe(await say("hello"), "zh")


async def test_the_event_loop_goes_on_meanwhile(ears: SphinxAsr) -> None:
    long = sound(np.concatenate([(await say(sentence)).samples for sentence in SENTENCES]))
    hearing = asyncio.create_task(ears.transcribe(long, "en"))
    turns = 0
    while not hearing.done():
        await asyncio.sleep(0.005)
        turns += 1

    assert hearing.result().text
    assert turns > 20  # its own work holds the lock of its process for a second


async def test_one_process_serves_many_one_after_the_other(ears: SphinxAsr) -> None:
    audio = await say("one two three four five")
    transcripts = await asyncio.gather(*(ears.transcribe(audio, "en") for _ in range(3)))
    assert len({transcript.text for transcript in transcripts}) == 1


async def test_a_cancelled_turn_stops_the_work_and_harms_nobody(ears: SphinxAsr) -> None:
    long = sound(np.tile((await say("one two three four five")).samples, 15))
    hearing = asyncio.create_task(ears.transcribe(long, "en"))
    await asyncio.sleep(0.3)

    begin = time.monotonic()
    hearing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hearing
    assert time.monotonic() - begin < 5  # of the ten that it would take

    assert "two" in await heard(ears, await say("one two three four five"))


async def test_a_process_that_died_is_replaced() -> None:
    before = set(psutil.Process().children())
    asr = SphinxAsr()
    await asr.transcribe(sound(silence(1)), "en")
    (child,) = set(psutil.Process().children()) - before
    child.kill()

    with pytest.raises(EngineUnavailable, match="has stopped"):
        await asr.transcribe(await say("hello"), "en")
    assert "two" in await heard(asr, await say("one two three four five"))
    asr.close()
    assert set(psutil.Process().children()) <= before


async def test_a_process_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asr = SphinxAsr()
    await asr.transcribe(sound(silence(1)), "en")
    monkeypatch.setattr("engines.asr.sphinx.START_LIMIT_S", 0.05)
    monkeypatch.setattr("engines.asr.sphinx.PATIENCE_PER_SECOND", 0)

    with pytest.raises(EngineTimeout):
        await asr.transcribe(sound(np.tile((await say("hello")).samples, 20)), "en")
    asr.close()


def test_without_pocketsphinx_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match="pip install pocketsphinx"):
        SphinxAsr()


# ── the pure parts ────────────────────────────────────────────────────────────────────────────


def test_loudness_is_evened_out_but_not_without_limit() -> None:
    wave = np.sin(np.arange(16_000) / 5)
    assert even((wave * 2000).astype(np.int16)).max() == pytest.approx(PEAK, rel=0.02)
    assert even((wave * 200).astype(np.int16)).max() == pytest.approx(200 * MOST_GAIN, rel=0.02)
    assert len(even((wave * 20).astype(np.int16))) == 0
    assert len(even(silence(0))) == 0


def test_only_the_spoken_part_is_kept() -> None:
    windows = int(3 / WINDOW_S)
    spoken = [30 <= window < 60 for window in range(windows)]
    kept = cut(silence(3), spoken)
    assert len(kept) / HEARING_RATE_HZ == pytest.approx(
        30 * WINDOW_S + 2 * 0.15 + 2 * 0.1, abs=0.01
    )


@pytest.mark.parametrize("spoken", [[], [False] * 100, [False, True, True, False]])
def test_hardly_any_speech_is_none(spoken: list[bool]) -> None:
    assert len(cut(silence(3), spoken)) == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("", ""),
        ("hello world", "Hello world"),
        ("<s> <sil> a(2) [NOISE] tomato(3) ++UM++ </s>", "A tomato"),
        ("what i think i'm saying", "What I think I'm saying"),
    ],
)
def test_words_are_written_as_a_person_would(words: str, text: str) -> None:
    assert written(words) == text
