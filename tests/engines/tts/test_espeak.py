import asyncio
import time
from contextlib import aclosing

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.base import Audio, Phoneme, Tts, Voice
from engines.errors import EngineError, UnknownVoice
from engines.tts.espeak import (
    _SPOKEN_AS,
    PIECE_S,
    TAIL_S,
    EspeakTts,
    Pieces,
    portions,
)
from engines.tts.espeak_library import Buffer, open_espeak

ENGLISH = "Plants turn the light of the sun into sugar, and they give off oxygen."
CHINESE = "植物用阳光制造糖分，然后放出氧气。"
RATE_HZ = 22_050


@pytest.fixture
def tts() -> EspeakTts:
    return EspeakTts()


async def said(tts: Tts, sentence: str, voice: Voice | None = None) -> list[Audio]:
    return [piece async for piece in tts.speak(sentence, voice or Voice())]


def seconds(pieces: list[Audio]) -> float:
    return sum(piece.seconds for piece in pieces)


def sound(pieces: list[Audio]) -> npt.NDArray[np.float64]:
    return np.concatenate([piece.samples for piece in pieces]).astype(np.float64)


def symbols(pieces: list[Audio]) -> list[str]:
    """The phonemes, without what a piece repeats of the one before."""
    heard: list[str] = []
    for piece in pieces:
        names = [phoneme.symbol for phoneme in piece.phonemes]
        heard += names[1:] if heard and heard[-1] == names[0] else names
    return heard


def frames(samples: npt.NDArray[np.float64], length_s: float) -> npt.NDArray[np.float64]:
    length = round(length_s * RATE_HZ)
    return samples[: len(samples) // length * length].reshape(-1, length)


def loudness(pieces: list[Audio]) -> npt.NDArray[np.float64]:
    """RMS of every 80 ms: about a syllable."""
    return np.asarray(np.sqrt((frames(sound(pieces), 0.08) ** 2).mean(axis=1)))


def pitch_hz(pieces: list[Audio]) -> float:
    """Median over 60 ms frames of the first strong peak of the autocorrelation, 45 to 450 Hz."""
    pitches = []
    for frame in frames(sound(pieces), 0.06):
        correlation = np.correlate(frame, frame, "full")[len(frame) - 1 :]
        correlation /= np.arange(len(frame), 0, -1) * (correlation[0] / len(frame) + 1)
        found = correlation[RATE_HZ // 450 : RATE_HZ // 45]
        if found.max() > 0.7 and frame.std() > 500:
            lag = int(np.flatnonzero(found > 0.92 * found.max())[0])
            pitches.append(RATE_HZ / (RATE_HZ // 450 + lag))
    return float(np.median(pitches))


def assert_same_voice(pieces: list[Audio], others: list[Audio]) -> None:
    """Same sounds at nearly the same times: espeak's tremor makes no two readings equal bit by
    bit, not even one after the other."""
    assert symbols(pieces) == symbols(others)
    assert seconds(pieces) == pytest.approx(seconds(others), rel=0.02)
    one, other = loudness(pieces), loudness(others)
    length = min(len(one), len(other))
    assert np.corrcoef(one[:length], other[:length])[0, 1] > 0.8


@pytest.mark.parametrize(("sentence", "least_s", "most_s"), [(ENGLISH, 3, 6), (CHINESE, 2.5, 6)])
async def test_a_sentence_takes_about_as_long_as_a_person_needs(
    tts: EspeakTts, sentence: str, least_s: float, most_s: float
) -> None:
    pieces = await said(tts, sentence)
    assert least_s < seconds(pieces) < most_s
    assert {piece.rate_hz for piece in pieces} == {RATE_HZ}
    assert all(piece.seconds == pytest.approx(PIECE_S) for piece in pieces[:-1])
    assert 0.4 * PIECE_S < pieces[-1].seconds < 1.6 * PIECE_S


@pytest.mark.parametrize("sentence", [ENGLISH, CHINESE])
async def test_chinese_and_english_are_equally_loud_and_do_not_clip(
    tts: EspeakTts, sentence: str
) -> None:
    samples = sound(await said(tts, sentence))
    assert 2_000 < np.sqrt((samples**2).mean()) < 4_000
    assert np.abs(samples).max() < 32_000


@pytest.mark.parametrize("sentence", [ENGLISH, CHINESE, "The word 你好 means hello."])
async def test_phonemes_are_in_order_and_within_their_piece(tts: EspeakTts, sentence: str) -> None:
    pieces = await said(tts, sentence)
    sounding = "_"
    for piece in pieces:
        times = [phoneme.at_s for phoneme in piece.phonemes]
        assert times[0] == 0
        assert all(a < b for a, b in zip(times, times[1:], strict=False))
        assert times[-1] < piece.seconds
        if times[1:] and piece.phonemes[0].symbol == sounding:
            assert times[1] > 0
        sounding = piece.phonemes[-1].symbol
    assert sounding == "_"
    assert not any(set(symbol) & set("()ˈˌ|:") or not symbol for symbol in symbols(pieces))


async def test_phonemes_are_those_of_the_word(tts: EspeakTts) -> None:
    assert symbols(await said(tts, "Fish.")) == ["_", "f", "ɪ", "ʃ", "_"]


async def test_a_phoneme_goes_on_in_the_next_piece(tts: EspeakTts) -> None:
    pieces = await said(tts, "Two.", Voice(rate=0.5))
    repeated = [b.phonemes[0].symbol for a, b in zip(pieces, pieces[1:], strict=False)]
    assert "uː" in repeated


@pytest.mark.parametrize("sentence", [ENGLISH, CHINESE, "Yes?", "好"])
async def test_a_sentence_starts_at_once_and_ends_with_a_breath(
    tts: EspeakTts, sentence: str
) -> None:
    loud = np.flatnonzero(np.abs(sound(await said(tts, sentence))) > 100)
    total = seconds(await said(tts, sentence))
    assert loud[0] / RATE_HZ < 0.03
    assert total - loud[-1] / RATE_HZ == pytest.approx(TAIL_S, abs=0.03)


async def test_language_goes_by_sentence_unless_the_voice_has_one(tts: EspeakTts) -> None:
    alone = symbols(await said(tts, "今天", Voice(language="zh")))
    assert symbols(await said(tts, "今天")) == alone
    assert symbols(await said(tts, "Sie", Voice(language="de"))) != symbols(await said(tts, "Sie"))
    assert "z" in symbols(await said(tts, "Sie", Voice(language="de")))


@pytest.mark.parametrize(
    ("language", "voice"),
    [("zh", "cmn"), ("zh-CN", "cmn"), ("en", "en-us"), ("en_GB", "en"), ("de-AT", "de")],
)
def test_tags_find_their_voice(language: str, voice: str) -> None:
    [portion] = portions("ok", Voice(language=language, name="f3"), open_espeak())
    assert portion.settings.voice == f"{voice}+f3"


@pytest.mark.parametrize("language", sorted(_SPOKEN_AS))
async def test_every_language_can_be_spoken(tts: EspeakTts, language: str) -> None:
    assert seconds(await said(tts, "Hallo 12", Voice(language=language))) > 0.3


async def test_english_words_in_a_chinese_sentence_are_words(tts: EspeakTts) -> None:
    heard = " ".join(symbols(await said(tts, "我们用 Python 写代码。")))
    assert "p aɪ θ ə n" in heard


async def test_chinese_words_in_an_english_sentence_are_chinese(tts: EspeakTts) -> None:
    heard = " ".join(symbols(await said(tts, "The word 你好 means hello.")))
    assert "n i χ ɑu" in heard  # and not "Chinese letter"
    assert "tʃ" not in heard
    assert heard.index("w ɜː d") < heard.index("n i χ ɑu") < heard.index("m iː n z")


@pytest.mark.parametrize("sentence", ["", " \n\t", "...", "。！？", "😀🎉", "—", "\0\0", "**"])
async def test_nothing_to_say_is_no_sound_and_no_error(tts: EspeakTts, sentence: str) -> None:
    assert await said(tts, sentence) == []


@pytest.mark.parametrize(
    ("odd", "plain"),
    [("one\0two", "one two"), ("one \x0180P two", "one 80P two"), ("one \ud800 two", "one two")],
)
async def test_control_characters_are_spaces(tts: EspeakTts, odd: str, plain: str) -> None:
    assert symbols(await said(tts, odd)) == symbols(await said(tts, plain))


async def test_markup_is_read_as_text(tts: EspeakTts) -> None:
    assert len(symbols(await said(tts, "<break time='9s'/>"))) > 8
    assert len(symbols(await said(tts, "[[f3:k]]"))) > 6


@pytest.mark.parametrize("text", ["好" * 2_000, "x" * 4_000, "word, " * 700, "a b " * 1_000])
def test_a_long_text_is_cut_and_nothing_is_lost(text: str) -> None:
    parts = portions(text, Voice(), open_espeak())
    assert "".join(part.text for part in parts).strip() == text.strip()
    assert max(len(part.text) for part in parts) < 300


def test_portions_end_at_clauses_or_words() -> None:
    clauses = portions("one two three, " * 60, Voice(), open_espeak())
    assert all(part.text.rstrip().endswith(",") for part in clauses)
    words = portions("evergreen " * 60, Voice(), open_espeak())
    assert all(set(part.text.split()) == {"evergreen"} for part in words)


async def test_a_long_text_is_spoken(tts: EspeakTts) -> None:
    assert seconds(await said(tts, "今天天气很好，" * 400)) > 400


async def test_rate_is_a_factor(tts: EspeakTts) -> None:
    slow, natural, fast = [
        seconds(await said(tts, ENGLISH, Voice(rate=rate))) for rate in (0.5, 1.0, 2.0)
    ]
    assert slow / natural == pytest.approx(2, rel=0.2)
    assert natural / fast == pytest.approx(2, rel=0.2)


@pytest.mark.parametrize("name", ["", "f2"])
async def test_pitch_is_a_factor_as_far_as_espeak_goes(tts: EspeakTts, name: str) -> None:
    lowest, low, natural, high = [
        pitch_hz(await said(tts, ENGLISH, Voice(name, pitch=pitch)))
        for pitch in (0.5, 0.8, 1.0, 1.5)
    ]
    assert low / natural == pytest.approx(0.8, rel=0.1)
    assert high / natural == pytest.approx(1.5, rel=0.1)
    assert lowest < 0.75 * natural


async def test_rate_and_pitch_beyond_their_limits_are_held(tts: EspeakTts) -> None:
    held = await said(tts, "Hello.", Voice(rate=2, pitch=2))
    assert_same_voice(await said(tts, "Hello.", Voice(rate=50, pitch=9)), held)


async def test_a_variant_has_its_own_voice(tts: EspeakTts) -> None:
    assert pitch_hz(await said(tts, ENGLISH, Voice("f2"))) > 1.3 * pitch_hz(
        await said(tts, ENGLISH, Voice("m3"))
    )


@pytest.mark.parametrize("name", ["nobody", "../en", "f3+m3", " "])
async def test_an_unknown_variant_is_an_error_that_names_the_known(
    tts: EspeakTts, name: str
) -> None:
    with pytest.raises(UnknownVoice, match=r"f1, f2, f3.*m1, m2") as caught:
        await said(tts, "Hello.", Voice(name))
    assert isinstance(caught.value, EngineError)
    assert name in caught.value.sentence


@pytest.mark.parametrize("language", ["qq", "klingon", "../en", "?", "vi"])
async def test_an_unknown_language_is_an_error(tts: EspeakTts, language: str) -> None:
    with pytest.raises(UnknownVoice, match="does not speak"):
        await said(tts, "Hello.", Voice(language=language))


async def test_the_first_piece_comes_long_before_the_last(tts: EspeakTts) -> None:
    await said(tts, CHINESE)  # warm
    firsts = []
    for _ in range(5):
        begin = time.perf_counter()
        async with aclosing(tts.speak(CHINESE * 20, Voice())) as pieces:
            await anext(pieces)
            firsts.append(time.perf_counter() - begin)
    assert min(firsts) < 0.05


async def test_closing_stops_espeak_and_the_next_sentence_is_whole(tts: EspeakTts) -> None:
    fresh, stops = await said(tts, ENGLISH), []
    for _ in range(5):
        async with aclosing(tts.speak(CHINESE * 4, Voice("f3"))) as pieces:
            await anext(pieces)
        begin = time.perf_counter()
        await asyncio.get_running_loop().run_in_executor(open_espeak().worker, lambda: None)
        stops.append(time.perf_counter() - begin)
        assert_same_voice(await said(tts, ENGLISH), fresh)
    assert np.median(stops) < 0.05


async def test_cancelling_the_task_stops_espeak(tts: EspeakTts) -> None:
    fresh, stops = await said(tts, ENGLISH), []
    for wait_s in (0.0, 0.001, 0.003, 0.01):
        task = asyncio.create_task(said(tts, CHINESE * 200))
        await asyncio.sleep(wait_s)
        begin = time.perf_counter()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.get_running_loop().run_in_executor(open_espeak().worker, lambda: None)
        stops.append(time.perf_counter() - begin)
    assert np.median(stops) < 0.05
    assert_same_voice(await said(tts, ENGLISH), fresh)


async def test_sessions_at_the_same_time_do_not_mix(tts: EspeakTts) -> None:
    one, other = Voice("m3", rate=1.2), Voice("f3", pitch=1.3)
    alone = [await said(tts, ENGLISH, one), await said(tts, CHINESE, other)]
    together = await asyncio.gather(
        *(said(EspeakTts(), ENGLISH, one) for _ in range(5)),
        *(said(tts, CHINESE, other) for _ in range(5)),
    )
    for index, pieces in enumerate(together):
        assert_same_voice(pieces, alone[index // 5])


async def test_a_slow_listener_holds_nobody_up(tts: EspeakTts) -> None:
    async with aclosing(tts.speak(CHINESE * 100, Voice())) as slow:
        await anext(slow)
        begin = time.perf_counter()
        assert seconds(await said(tts, ENGLISH)) > 3
        assert time.perf_counter() - begin < 0.5
        assert (await anext(slow)).seconds > 0


async def test_a_short_sentence_need_not_wait_for_a_long_one(tts: EspeakTts) -> None:
    long = asyncio.create_task(said(tts, CHINESE * 100))
    await asyncio.sleep(0.005)
    await said(tts, "Hello.")
    assert not long.done()
    await long


async def test_others_have_their_turn_between_pieces(tts: EspeakTts) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    pieces = await said(tts, CHINESE * 10)
    counting.cancel()
    assert turns > len(pieces)


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=60))
def test_any_text_can_be_spoken(text: str) -> None:
    async def hear() -> list[Audio]:
        return await said(EspeakTts(), text)

    for piece in asyncio.run(hear()):
        assert piece.samples.dtype == np.int16
        assert piece.phonemes[0].at_s == 0
        assert piece.phonemes[-1].at_s < piece.seconds


def buffers(silence: list[int]) -> list[Buffer]:
    """One second of sound before and after each stretch of silence."""
    stretches = [np.full(RATE_HZ, 1_000, np.int16)]
    for count in silence:
        stretches += [np.zeros(count, np.int16), np.full(RATE_HZ, 1_000, np.int16)]
    whole = np.concatenate(stretches)
    return [Buffer(whole[i : i + 1_000], ()) for i in range(0, len(whole), 1_000)]


def test_silence_within_a_sentence_is_kept() -> None:
    pieces = Pieces(RATE_HZ)
    heard = [piece for buffer in buffers([RATE_HZ]) for piece in pieces.add(buffer)]
    assert seconds([*heard, *pieces.finish()]) == pytest.approx(3 + TAIL_S, abs=0.001)


def test_silence_between_portions_is_short() -> None:
    pieces = Pieces(RATE_HZ)
    quiet = Buffer(np.zeros(RATE_HZ, np.int16), ((0, "_:"),))
    loud = Buffer(np.full(RATE_HZ, 1_000, np.int16), ((0, "a"),))
    heard: list[Audio] = []
    for _ in range(2):
        pieces.next_portion()
        for buffer in (quiet, loud, quiet):
            heard += pieces.add(buffer)
    heard += pieces.finish()
    assert seconds(heard) == pytest.approx(2 + 0.08 + TAIL_S, abs=0.03)


def test_phonemes_move_with_the_silence_taken_away() -> None:
    pieces = Pieces(1_000)
    samples = np.concatenate((np.zeros(500), np.full(100, 9_000), np.zeros(400))).astype(np.int16)
    sounds = ((0, "_:"), (500, "ˈa"), (540, "(en)"), (550, "b"), (600, ""))
    heard = pieces.add(Buffer(samples, sounds)) + pieces.finish()
    assert [len(piece.samples) for piece in heard] == [120, 110]
    assert heard[0].phonemes == (
        Phoneme("_", 0.0),
        Phoneme("a", 0.01),
        Phoneme("b", 0.06),
        Phoneme("_", 0.11),
    )
    assert heard[1].phonemes == (Phoneme("_", 0.0),)
