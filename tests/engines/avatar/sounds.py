"""Synthetic speech for the tests of the faces."""

import numpy as np
import numpy.typing as npt

from engines.base import Audio, Phoneme

Floats = npt.NDArray[np.float64]

FORMANTS_HZ = {"a": (800, 1200), "i": (280, 2300), "u": (300, 750)}
"""First two formants of vowels far apart."""


def vowel(name: str, seconds: float, rate_hz: int = 24_000, peak: float = 0.5) -> Floats:
    """A voice of 120 Hz through two resonances, as -1..1."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    harmonics = np.arange(120, min(3800, rate_hz / 2), 120)
    loud = sum(1 / (1 + ((harmonics - f) / 90) ** 2) for f in FORMANTS_HZ[name]) + 0.003
    voice = np.asarray(np.sin(2 * np.pi * np.outer(t, harmonics)) @ loud, np.float64)
    return np.asarray(peak * voice / np.abs(voice).max(), np.float64)


def audio(wave: Floats, rate_hz: int = 24_000, phonemes: tuple[Phoneme, ...] = ()) -> Audio:
    return Audio(np.round(wave * 32767).astype(np.int16), rate_hz, phonemes)


def spoken(*sounds: tuple[str, float], rate_hz: int = 24_000) -> Audio:
    """Phonemes of these lengths over a voice that never stops, silence at `_`."""
    phonemes, waves, at_s = [], [], 0.0
    for symbol, seconds in sounds:
        phonemes.append(Phoneme(symbol, at_s))
        waves.append(vowel("a", seconds, rate_hz) * (symbol != "_"))
        at_s += seconds
    return audio(np.concatenate(waves), rate_hz, tuple(phonemes))
