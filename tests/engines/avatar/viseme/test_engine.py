import asyncio

import numpy as np
import pytest

from engines.avatar.viseme.engine import PATCH_FRAMES, VisemeAvatar
from engines.avatar.viseme.portrait import FACES, portrait
from engines.base import FPS, Audio, Avatar, Cue, Patch, Phoneme, Pixels
from engines.errors import UnknownAvatar
from tests.engines.avatar.mouth import mouth_opening
from tests.engines.avatar.sounds import Floats, audio, spoken, vowel

RATE_HZ = 24_000
FRAME_SAMPLES = RATE_HZ // FPS


async def patches(speech: Audio, cue: Cue) -> list[Patch]:
    avatar: Avatar = VisemeAvatar()
    return [patch async for patch in avatar.animate(speech, cue)]


async def mouths(speech: Audio, cue: Cue) -> Pixels:
    return np.concatenate([patch.pixels for patch in await patches(speech, cue)])


def openings(pixels: Pixels) -> Floats:
    height, width = pixels.shape[1:3]
    return np.array([mouth_opening(frame, (0, 0, width, height)) for frame in pixels])


def envelope(speech: Audio, frames: int) -> Floats:
    whole = speech.samples[: frames * FRAME_SAMPLES].reshape(frames, FRAME_SAMPLES)
    return np.asarray(np.sqrt((whole / 32768.0) ** 2).mean(axis=1), np.float64)


def syllables(seconds: float) -> Audio:
    """A voice that swells and fades irregularly, with pauses."""
    frames = round(seconds * FPS)
    swell = np.convolve(np.random.default_rng(3).uniform(-0.6, 1, frames), [0.3, 0.4, 0.3], "same")
    t = np.arange(frames * FRAME_SAMPLES) / FRAME_SAMPLES
    gain = np.interp(t, np.arange(frames) + 0.5, np.clip(swell, 0, 1))
    return audio(vowel("a", seconds, RATE_HZ, peak=0.9) * gain, RATE_HZ)


async def test_patches_follow_each_other_inside_the_box() -> None:
    x, y, w, h = portrait("mei").mouth_box
    found = await patches(audio(vowel("a", 1.0)), Cue("mei", 100, 0, 12))
    assert [p.first_frame for p in found] == [100, 105, 110]
    assert [len(p.pixels) for p in found] == [PATCH_FRAMES, PATCH_FRAMES, 2]
    for patch in found:
        assert (patch.x, patch.y) == (x, y) and patch.pixels.shape[1:] == (h, w, 3)
        assert patch.pixels.dtype == np.uint8 and not patch.pixels.flags.writeable


@pytest.mark.parametrize("name", FACES)
async def test_in_silence_the_patch_is_the_backdrop(name: str) -> None:
    x, y, w, h = portrait(name).mouth_box
    for patch in await patches(audio(np.zeros(RATE_HZ)), Cue(name, 77, 0, 6)):
        for i, pixels in enumerate(patch.pixels):
            frame = portrait(name).frame(patch.first_frame + i)[y : y + h, x : x + w]
            assert np.abs(frame.astype(int) - pixels).max() <= 2


@pytest.mark.parametrize("name", FACES)
async def test_the_mouth_opens_on_vowels_and_shuts_on_m_p_b(name: str) -> None:
    speech = spoken(*[(s, 0.2) for s in ("A:", "m", "A:", "p", "A:", "b", "A:")])
    found = openings(await mouths(speech, Cue(name, 0, 0, 35))).reshape(7, 5)
    assert (found[::2].max(axis=1) > 0.1).all()
    assert (found[1::2].min(axis=1) == 0).all()


@pytest.mark.parametrize("told", [False, True])
async def test_the_mouth_keeps_time_with_the_voice(told: bool) -> None:
    speech, frames = syllables(6.0), 150
    if told:
        speech = Audio(speech.samples, RATE_HZ, (Phoneme("A", 0.0),))
    found, voice = (
        openings(await mouths(speech, Cue("mei", 0, 0, frames))),
        envelope(speech, frames),
    )
    lags = range(-4, 5)
    inner = slice(4, frames - 4)
    r = [np.corrcoef(found[inner], np.roll(voice, lag)[inner])[0, 1] for lag in lags]
    assert lags[int(np.argmax(r))] == 0
    assert max(r) > 0.8


async def test_pieces_with_context_give_the_frames_of_the_whole() -> None:
    speech = spoken(*[(s, 0.15) for s in ("h", "@", "l", "oU", "m", "A:", "s", "i:")])
    whole = await mouths(speech, Cue("anna", 10, 0, 30))
    for first in (0, 8, 20):
        begin = max(0, (first - 4) * FRAME_SAMPLES)
        end = (first + 10 + 4) * FRAME_SAMPLES
        moved = tuple(Phoneme(p.symbol, p.at_s - begin / RATE_HZ) for p in speech.phonemes)
        piece = Audio(speech.samples[begin:end], RATE_HZ, moved)
        cue = Cue("anna", 10 + first, first * FRAME_SAMPLES - begin, 10)
        difference = (await mouths(piece, cue)).astype(int) - whole[first : first + 10]
        assert np.abs(difference).max() <= 1


async def test_sessions_do_not_disturb_each_other() -> None:
    speech = syllables(0.8)
    cues = [Cue(name, 0, 0, 10) for name in FACES] * 2
    alone = [await mouths(speech, cue) for cue in cues[:3]]
    together = await asyncio.gather(*(mouths(speech, cue) for cue in cues))
    for one, other in zip(alone * 2, together, strict=True):
        np.testing.assert_array_equal(one, other)


async def test_speech_that_ends_early_leaves_the_mouth_shut() -> None:
    found = openings(await mouths(audio(vowel("a", 0.4)), Cue("david", 0, 0, 20)))
    assert found[3] > 0.05 and not found[12:].any()


@pytest.mark.parametrize("phonemes", [(), (Phoneme("a", 0.0),)])
async def test_empty_speech_is_a_shut_mouth(phonemes: tuple[Phoneme, ...]) -> None:
    speech = Audio(np.zeros(0, np.int16), 16_000, phonemes)
    assert not openings(await mouths(speech, Cue("mei", 0, 0, 3))).any()


async def test_no_frames_no_patches() -> None:
    assert await patches(audio(vowel("a", 0.2)), Cue("mei", 0, 0, 0)) == []


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 48_000])
async def test_extremes_of_int16_at_any_rate(rate_hz: int) -> None:
    samples = np.where(np.arange(rate_hz // 4) // 20 % 2, 32767, -32768).astype(np.int16)
    found = await mouths(Audio(samples, rate_hz), Cue("mei", 3, 0, 5))
    assert openings(found).max() > 0.05


async def test_an_unknown_face_is_refused() -> None:
    with pytest.raises(UnknownAvatar):
        await patches(audio(vowel("a", 0.2)), Cue("nobody", 0, 0, 5))
