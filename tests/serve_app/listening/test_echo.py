import asyncio
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from engines.base import HEARING_RATE_HZ, VAD_WINDOW, Pcm, Voice
from engines.sound import joined
from engines.tts.espeak import EspeakTts
from serve_app.listening.echo import EchoGuard
from serve_app.recording import resampled

Sound = npt.NDArray[np.float64]

ANSWERS = {
    "mei": (
        Voice("f3", 1.0, 1.1),
        "光合作用是植物用光、水和空气制造糖的过程。你还记得吗？我们再看一遍。",
    ),
    "anna": (
        Voice("f2", 1.0, 1.05),
        "Photosynthesis is how a plant makes sugar out of light, water and air. Do you remember?",
    ),
    "david": (
        Voice("m3", 0.98, 0.95),
        "A prime number can only be divided by one and by itself. Try it with seventeen.",
    ),
}
QUESTIONS = {
    "slow": (
        Voice("f2", 0.85),
        "I do not understand why it is irregular. Can you explain it again",
    ),
    "deep": (Voice("m1", 0.9), "Could we talk about the history of China instead of mathematics"),
    "fast": (
        Voice("f4", 1.1, 1.2),
        "等一下，我还有一个问题，这个词到底是什么意思，为什么不能这样说",
    ),
    "same": (
        Voice("m3", 0.98, 0.95),
        "So is the answer forty two, or is it something else entirely",
    ),
}

ROOMS = [(40, 6), (95, 15), (170, 30), (260, 12), (333, 24), (410, 18), (500, 30)]
"""Delay in ms, and by how many dB the echo is fainter."""

FEWEST_WINDOWS = 30


async def _spoken(voice: Voice, words: str) -> Sound:
    pieces = [piece async for piece in EspeakTts().speak(words, voice)]
    return resampled(joined(pieces), HEARING_RATE_HZ).samples.astype(np.float64)


@pytest.fixture(scope="module")
def voices() -> dict[str, Sound]:
    async def spoken() -> dict[str, Sound]:
        return {name: await _spoken(*said) for name, said in (ANSWERS | QUESTIONS).items()}

    return asyncio.run(spoken())


def fitted(sound: Sound, samples: int) -> Sound:
    return np.pad(sound[:samples], (0, max(0, samples - len(sound))))


def late(sound: Sound, delay_ms: float) -> Sound:
    return np.concatenate([np.zeros(int(delay_ms * HEARING_RATE_HZ / 1000)), sound])


def in_room(sound: Sound, seed: int) -> Sound:
    """Through a small loudspeaker into a room with reverberation of 0.3 s."""
    chance = np.random.default_rng(seed)
    time_s = np.arange(int(0.3 * HEARING_RATE_HZ)) / HEARING_RATE_HZ
    tail = chance.normal(size=len(time_s)) * 10 ** (-3 * time_s / 0.3)
    tail *= 0.5 / np.linalg.norm(tail)
    tail[0] = 1
    size = 2 * len(sound) + len(tail)
    pitch_hz = np.fft.rfftfreq(size, 1 / HEARING_RATE_HZ)
    lowest, highest = chance.uniform(80, 400), chance.uniform(2500, 7500)
    tone = ((pitch_hz > lowest) & (pitch_hz < highest)) + 0.05
    spectrum = np.fft.rfft(sound, size) * np.fft.rfft(tail, size) * tone
    return np.fft.irfft(spectrum, size)[: len(sound)]


def recorded(sound: Sound, seed: int) -> Pcm:
    noise = np.random.default_rng(seed).normal(0, 15, len(sound))
    return (sound + noise).clip(-32768, 32767).astype(np.int16)


def faint(sound: Sound, decibels: float) -> Sound:
    return sound * 10 ** (-decibels / 20)


def windows(sound: Pcm) -> Iterator[Pcm]:
    for begin in range(0, len(sound) - VAD_WINDOW + 1, VAD_WINDOW):
        yield sound[begin : begin + VAD_WINDOW]


def flags(played: Pcm, heard: Pcm, loud: Sound) -> list[bool]:
    """The guard's word on each window in which `loud`, a part of what is heard, can be heard."""
    guard, found = EchoGuard(), []
    level = np.array([np.std(window) for window in windows(loud.astype(np.int16))])
    for sent, got, now in zip(windows(played), windows(heard), level, strict=True):
        guard.played(sent)
        guard.heard(got)
        if now > max(60, level.max() / 10):
            found.append(guard.is_echo())
    assert len(found) > FEWEST_WINDOWS
    return found


def echo_of(tutor: Sound, room: tuple[int, int]) -> Sound:
    delay_ms, decibels = room
    return faint(fitted(late(in_room(tutor, delay_ms), delay_ms), len(tutor)), decibels)


@pytest.mark.parametrize("tutor", ANSWERS)
@pytest.mark.parametrize("room", ROOMS)
def test_the_tutors_own_voice_is_an_echo(
    voices: dict[str, Sound], tutor: str, room: tuple[int, int]
) -> None:
    played = late(voices[tutor], 500)
    echo = echo_of(played, room)
    assert np.mean(flags(recorded(played, 0), recorded(echo, 1), echo)) >= 0.95


@pytest.mark.parametrize("tutor", ANSWERS)
def test_another_voice_is_none(voices: dict[str, Sound], tutor: str) -> None:
    played = late(voices[tutor], 500)
    found = []
    for learner in QUESTIONS:
        for begin_ms in (500, 1000, 1700, 2500):
            heard = fitted(in_room(late(voices[learner], begin_ms), 3), len(played))
            found += flags(played.astype(np.int16), recorded(heard, 1), heard)
    assert np.mean(found) <= 0.03


@pytest.mark.parametrize("learner", QUESTIONS)
def test_a_voice_while_the_tutor_is_silent_is_none(voices: dict[str, Sound], learner: str) -> None:
    heard = late(voices[learner], 1000)
    hiss = np.random.default_rng(5).integers(-2, 3, len(heard)).astype(np.int16)
    assert not any(flags(np.zeros_like(hiss), recorded(heard, 1), heard))
    assert not any(flags(hiss, recorded(heard, 1), heard))


@pytest.mark.parametrize("tutor", ANSWERS)
@pytest.mark.parametrize("learner", QUESTIONS)
def test_a_learner_who_is_louder_than_the_echo_is_heard(
    voices: dict[str, Sound], tutor: str, learner: str
) -> None:
    played = voices[tutor]
    echo = echo_of(played, (150, 12))
    said = fitted(in_room(late(voices[learner], 1000), 3), len(played))
    found = flags(played.astype(np.int16), recorded(echo + said, 1), said)
    assert np.mean(found) < 0.25


def test_silence_is_no_echo() -> None:
    guard = EchoGuard()
    assert not guard.is_echo()
    for _ in range(100):
        guard.played(np.zeros(VAD_WINDOW, np.int16))
        guard.heard(np.zeros(VAD_WINDOW, np.int16))
        assert not guard.is_echo()


def test_the_tutor_in_headphones_is_no_echo(voices: dict[str, Sound]) -> None:
    guard = EchoGuard()
    played = voices["anna"].astype(np.int16)
    for sent, got in zip(windows(played), windows(recorded(np.zeros(len(played)), 2)), strict=True):
        guard.played(sent)
        guard.heard(got)
        assert not guard.is_echo()


def test_the_loudest_sound_is_judged() -> None:
    guard = EchoGuard()
    for _ in range(50):
        window = np.random.default_rng(0).choice([-32768, 32767], VAD_WINDOW).astype(np.int16)
        guard.played(window)
        guard.heard(window)
        assert np.isfinite(guard.likeness())
