import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.avatar.viseme.visemes import (
    CONTEXT_S,
    Floats,
    articulation,
    from_sound,
    loudness_db,
    track,
)
from engines.base import FRAME_S, Audio, Phoneme
from tests.engines.avatar.sounds import audio, spoken, vowel

JAW, WIDE, PRESS, TEETH = 0, 1, 2, 3


def frames(count: int) -> Floats:
    return np.asarray((np.arange(count) + 0.5) * FRAME_S, np.float64)


def middle(speech: Audio) -> Floats:
    return np.array(track(speech, np.array([speech.seconds / 2]))[0])


@pytest.mark.parametrize("phonemes", [(), (Phoneme("A", 0.0),)])
def test_silence_is_shut_exactly(phonemes: tuple[Phoneme, ...]) -> None:
    speech = Audio(np.zeros(24_000, np.int16), 24_000, phonemes)
    assert not track(speech, frames(30)).any()


def test_faint_noise_of_a_pause_is_shut_exactly() -> None:
    noise = np.random.default_rng(0).integers(-30, 31, 24_000).astype(np.int16)
    assert not track(Audio(noise, 24_000), frames(20)).any()


def test_vowels_open_by_phoneme_and_by_sound() -> None:
    assert middle(spoken(("A:", 0.4)))[JAW] > 0.5
    assert middle(audio(vowel("a", 0.4)))[JAW] > 0.4


def test_wide_and_round_differ_by_phoneme_and_by_sound() -> None:
    assert middle(spoken(("i:", 0.4)))[WIDE] > 0.4 > -0.4 > middle(spoken(("u:", 0.4)))[WIDE]
    assert middle(audio(vowel("i", 0.4)))[WIDE] > middle(audio(vowel("u", 0.4)))[WIDE] + 0.5


@pytest.mark.parametrize("symbol", ["m", "p", "b"])
def test_lips_meet_even_in_a_short_sound(symbol: str) -> None:
    speech = spoken(("A:", 0.2), (symbol, 0.06), ("A:", 0.2))
    shut = track(speech, np.array([0.23]))[0]
    assert shut[JAW] < 0.05 and shut[PRESS] > 0.9
    assert track(speech, np.array([0.1]))[0, JAW] > 0.5


def test_hiss_shows_the_teeth_without_opening() -> None:
    noise = np.random.default_rng(0).standard_normal(24_000)
    hiss = np.diff(noise, n=3, prepend=[0, 0, 0])
    shape = middle(audio(0.3 * hiss / np.abs(hiss).max()))
    assert shape[TEETH] > 0.5 and shape[JAW] < 0.3


def test_louder_opens_wider() -> None:
    wave = vowel("a", 0.4)
    for phonemes in ((), (Phoneme("A", 0.0),)):
        jaws = [middle(audio(wave * gain, phonemes=phonemes))[JAW] for gain in (0.05, 0.2, 0.8)]
        assert jaws == sorted(jaws) and jaws[0] < jaws[2] / 2


@given(
    cut=st.integers(0, 14),
    lengths=st.lists(st.floats(0.03, 0.2), min_size=6, max_size=6),
    told=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_a_piece_with_context_gives_what_the_whole_gives(
    cut: int, lengths: list[float], told: bool
) -> None:
    whole = spoken(*zip(["h", "@", "l", "oU", "m", "s"], lengths, strict=True))
    first = cut * FRAME_S - CONTEXT_S
    begin = max(0, round(first * whole.rate_hz))
    end = round((first + 2 * CONTEXT_S + 3 * FRAME_S) * whole.rate_hz)
    shift = begin / whole.rate_hz
    phonemes = tuple(Phoneme(p.symbol, p.at_s - shift) for p in whole.phonemes)
    piece = Audio(whole.samples[begin:end], whole.rate_hz, phonemes if told else ())
    if not told:
        whole = Audio(whole.samples, whole.rate_hz)
    at_s = frames(cut + 3)[cut:]
    np.testing.assert_allclose(track(piece, at_s - shift), track(whole, at_s), atol=1e-6)


def test_the_blend_is_smooth_and_symmetric() -> None:
    phonemes = (Phoneme("A", 0.0), Phoneme("i", 0.5))
    at_s = np.linspace(0.3, 0.7, 81)
    jaw = articulation(phonemes, 1.0, at_s)[:, JAW]
    assert np.abs(np.diff(jaw)).max() < 0.05
    np.testing.assert_allclose(jaw + jaw[::-1], jaw[0] + jaw[-1], atol=1e-9)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 48_000])
def test_any_sample_rate_gives_the_same_mouth(rate_hz: int) -> None:
    reference = middle(audio(vowel("a", 0.4)))
    shape = middle(audio(vowel("a", 0.4, rate_hz), rate_hz))
    np.testing.assert_allclose(shape, reference, atol=0.12)


@given(
    samples=st.lists(st.sampled_from([-32768, -1, 0, 1, 32767]), max_size=400),
    rate_hz=st.sampled_from([8_000, 22_050, 48_000]),
    told=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_every_sound_gives_parameters_in_range(
    samples: list[int], rate_hz: int, told: bool
) -> None:
    phonemes = (Phoneme("a", 0.0), Phoneme("m", 9.0)) if told else ()
    shapes = track(Audio(np.array(samples, np.int16), rate_hz, phonemes), frames(4))
    assert shapes.shape == (4, 5) and np.isfinite(shapes).all()
    assert (shapes >= [0, -1, 0, 0, 0]).all() and (shapes <= 1).all()


def test_no_frames_give_nothing() -> None:
    sound = np.zeros(100, np.int16)
    assert from_sound(sound, 16_000, frames(0)).shape == (0, 5)
    assert track(Audio(sound, 16_000, (Phoneme("a", 0.0),)), frames(0)).shape == (0, 5)


def test_full_scale_is_nought_decibels() -> None:
    square = np.where(np.arange(4800) % 2, 32767, -32768).astype(np.int16)
    assert loudness_db(square, 24_000, np.array([0.1]))[0] == pytest.approx(0, abs=0.01)
