from collections.abc import AsyncIterator

import numpy as np
import pytest

from engines.base import Audio, Pcm, Voice
from engines.stub import StubTts
from engines.tts.espeak import EspeakTts
from engines.tts.loudness import TARGET_DB, Heard, Level, LevelledTts, level_db, limit

RATE_HZ = 16_000


def speech(level: float, seconds: float = 4.0, seed: int = 0) -> Pcm:
    """Noise in syllables, with pauses between them; `level` in dB of the syllables."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))
    sounding = np.arange(len(noise)) % (RATE_HZ // 2) < RATE_HZ * 0.4
    return np.clip(noise * sounding * 10 ** (level / 20) * 32_768, -32_768, 32_767).astype(np.int16)


def levelled(samples: Pcm, known: Heard | None = None, piece: int = 2_560) -> Pcm:
    level = Level(RATE_HZ, known)
    parts = [samples[:0]]
    parts += [level.level(samples[at : at + piece]) for at in range(0, len(samples), piece)]
    return np.concatenate(parts)


def db(samples: Pcm) -> float:
    measured = level_db(Audio(samples, RATE_HZ))
    assert measured is not None
    return measured


@pytest.mark.parametrize("level", [-30, -20, -12])
def test_pauses_do_not_count(level: int) -> None:
    assert db(speech(level)) == pytest.approx(level, abs=0.7)


@pytest.mark.parametrize("samples", [np.zeros(0, np.int16), np.zeros(16_000, np.int16)])
def test_silence_has_no_loudness_and_stays_silent(samples: Pcm) -> None:
    assert level_db(Audio(samples, RATE_HZ)) is None
    assert not levelled(samples).any()


@pytest.mark.parametrize("level", [-34, -26, -20, -14])
def test_a_new_voice_comes_to_the_target_in_its_first_sentence(level: int) -> None:
    assert db(levelled(speech(level))) == pytest.approx(TARGET_DB, abs=2)


@pytest.mark.parametrize("level", [-32, -20, -12])
def test_a_known_voice_has_one_gain(level: int) -> None:
    samples = speech(level)
    out = levelled(samples, Heard(level, 10)).astype(np.float64)
    soft = (np.abs(out) < 20_000) & (np.abs(samples) > 500)
    gains = 20 * np.log10(np.abs(out[soft]) / np.abs(samples[soft].astype(np.float64)))
    assert gains == pytest.approx(TARGET_DB - level, abs=0.1)
    assert db(out.astype(np.int16)) == pytest.approx(TARGET_DB, abs=1)


def test_a_softer_end_of_a_sentence_stays_softer() -> None:
    samples = np.concatenate((speech(-20), speech(-28)))
    out = levelled(samples)
    half = len(samples) // 2
    assert db(out[:half]) - db(out[half:]) == pytest.approx(8, abs=1)


def test_the_gain_has_no_steps() -> None:
    tone = (2_000 * np.sin(np.arange(4 * RATE_HZ) * 2 * np.pi * 200 / RATE_HZ)).astype(np.int16)
    out = levelled(tone).astype(np.int64)
    steepest = np.abs(np.diff(tone.astype(np.int64))).max() * np.abs(out).max() / tone.max()
    assert np.abs(np.diff(out)).max() < 1.1 * steepest


def test_what_is_too_loud_is_bent_and_never_wraps() -> None:
    sound = np.linspace(-20, 20, 4_001, dtype=np.float32)
    limited = limit(sound)
    assert np.abs(limited).max() <= 1
    assert (np.diff(limited) >= 0).all()
    soft = np.abs(sound) < 0.7
    assert (limited[soft] == sound[soft]).all()
    assert np.abs(levelled(speech(-3)).astype(np.int64)).max() <= 32_767


def test_pieces_of_any_size_give_the_same_measure() -> None:
    whole, cut = Level(RATE_HZ, None), Level(RATE_HZ, None)
    samples = speech(-25)
    whole.level(samples)
    for at in range(0, len(samples), 77):
        cut.level(samples[at : at + 77])
    assert whole.heard() == cut.heard()


class _Loud:
    """Speaks at a set level."""

    def __init__(self, level: float) -> None:
        self._level = level

    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        samples = speech(self._level, seed=len(sentence))
        for at in range(0, len(samples), 2_560):
            yield Audio(samples[at : at + 2_560], RATE_HZ)


async def said(tts: LevelledTts, sentence: str, voice: Voice | None = None) -> Audio:
    pieces = [piece async for piece in tts.speak(sentence, voice or Voice())]
    return Audio(np.concatenate([piece.samples for piece in pieces]), pieces[0].rate_hz)


@pytest.mark.parametrize("sentence", ["Good morning, what shall we learn today?", "今天天气很好。"])
async def test_voices_of_all_engines_are_equally_loud(sentence: str) -> None:
    for tts in (EspeakTts(), StubTts(pieces=10), _Loud(-32), _Loud(-12)):
        once = LevelledTts(tts)
        assert level_db(await said(once, sentence)) == pytest.approx(TARGET_DB, abs=2)
        assert level_db(await said(once, sentence)) == pytest.approx(TARGET_DB, abs=1)


async def test_each_voice_is_remembered_by_itself() -> None:
    tts = LevelledTts(EspeakTts())
    for voice in (Voice("f3"), Voice("m3"), Voice("whisper")):
        await said(tts, "Good morning, what shall we learn today?", voice)
    for voice in (Voice("f3"), Voice("m3"), Voice("whisper")):
        audio = await said(tts, "We go on with the second lesson of this book.", voice)
        assert level_db(audio) == pytest.approx(TARGET_DB, abs=2)


def symbols(piece: Audio) -> list[str]:
    return [phoneme.symbol for phoneme in piece.phonemes]


async def test_sounds_keep_their_phonemes_and_their_length() -> None:
    plain = [piece async for piece in EspeakTts().speak("Hello there.", Voice())]
    loud = [piece async for piece in LevelledTts(EspeakTts()).speak("Hello there.", Voice())]
    assert [symbols(piece) for piece in plain] == [symbols(piece) for piece in loud]
    assert sum(piece.seconds for piece in plain) == pytest.approx(
        sum(piece.seconds for piece in loud), abs=0.02
    )
