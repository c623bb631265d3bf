"""From what is said to how the mouth is held: pure functions over arrays of frames.

A track is an array of shape [frames, 5] with the columns of `Mouth`. Every smoothing is a weighted
mean over a fixed time around a frame, so a piece of speech with `CONTEXT_S` on both sides gives the
very frames that the whole gives.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engines.avatar.viseme.phonemes import SILENT, targets
from engines.base import Audio, Pcm, Phoneme

Floats = npt.NDArray[np.float64]

BLEND_S = 0.07
"""Half the width of the kernel with which sounds run into each other."""

CLOSURE_S = 0.035
"""The same for lips that meet: a P of 60 ms must still shut the mouth for one frame."""

CLOSURE_GAIN = 1.5
"""Lips count as shut when this share of the kernel lies in the closed sound."""

LOUDNESS_S = 0.045
"""Half the width of the window in which loudness is measured."""

SPECTRUM_S = 0.032
"""Half the width of the window of one spectrum."""

STEP_S = 0.02
"""Distance of the spectra that are averaged for one frame."""

CONTEXT_S = 0.08
"""Sound before and after a frame that can change it."""

QUIET_DB = -50.0
"""RMS in dBFS below which the mouth is shut; noise of a voice's pauses lies lower."""

SPEAKING_DB = -40.0
"""RMS in dBFS from which on a sound is speech without doubt."""

LOUD_DB = -16.0
"""RMS in dBFS of the loudest vowels of a full-scale synthetic voice."""

FLOOR = 0.1
"""Share of a phoneme's opening that does not depend on loudness."""

GAIN = 1.25
"""Opening of a phoneme at full loudness, against its row in the table; most speech is quieter."""

ROUND_HZ, SPREAD_HZ = 700.0, 1700.0
"""Spectral centroids, up to 4 kHz, of rounded and of spread vowels."""

VOICE_HZ = (200.0, 4000.0)
"""Where vowels differ."""


class Mouth(NamedTuple):
    """How a mouth is held."""

    jaw: float
    """0 shut to 1 wide open."""
    wide: float
    """-1 rounded, 0 at rest, 1 spread."""
    press: float
    """0 relaxed to 1 lips pressed together."""
    teeth: float
    """0 hidden to 1 all in view."""
    tongue: float
    """0 lying to 1 behind the upper teeth."""


REST = Mouth(0.0, 0.0, 0.0, 0.0, 0.0)
"""Lips closed without effort, as the backdrop shows them."""


def track(speech: Audio, at_s: Floats) -> Floats:
    """The mouth at each of these seconds of the speech, from phonemes where it has them."""
    if speech.phonemes:
        return from_phonemes(speech, at_s)
    return from_sound(speech.samples, speech.rate_hz, at_s)


def from_phonemes(speech: Audio, at_s: Floats) -> Floats:
    """Phonemes give the shape, loudness a part of the opening."""
    shape = articulation(speech.phonemes, speech.seconds, at_s)
    db = loudness_db(speech.samples, speech.rate_hz, at_s)
    opening = FLOOR + (1 - FLOOR) * _opening(db)
    shape[:, 0] = np.minimum(GAIN * shape[:, 0] * opening, 1)
    return shape * _ramp(db, QUIET_DB, SPEAKING_DB)[:, None]


def articulation(phonemes: Sequence[Phoneme], seconds: float, at_s: Floats) -> Floats:
    """What the phonemes alone ask of the mouth."""
    begins, ends, shapes, weights = _segments(phonemes, seconds)
    share = _share(begins, ends, at_s, BLEND_S) * weights
    blended = share @ shapes / np.maximum(share.sum(axis=1, keepdims=True), 1e-9)
    closed = _share(begins, ends, at_s, CLOSURE_S) @ shapes[:, 2]
    shut = np.clip(CLOSURE_GAIN * closed, 0, 1)
    blended[:, 0] *= 1 - shut
    blended[:, 2] = np.maximum(blended[:, 2] * (1 - blended[:, 0]), shut)
    return np.asarray(blended, np.float64)


def from_sound(samples: Pcm, rate_hz: int, at_s: Floats) -> Floats:
    """The mouth from the sound alone: loudness opens it, the spectrum gives the shape."""
    if not len(at_s):
        return np.zeros((0, len(REST)))
    db = loudness_db(samples, rate_hz, at_s)
    taps = np.arange(-2, 3) * STEP_S
    weights = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9
    moments = (at_s[:, None] + taps).ravel()
    wide, hiss = _colour(samples, rate_hz, moments)
    wide, hiss = wide.reshape(-1, 5) @ weights, hiss.reshape(-1, 5) @ weights
    jaw = 0.85 * _opening(db) * (1 - 0.75 * hiss) * (1 - 0.3 * np.maximum(-wide, 0))
    still = np.zeros_like(jaw)
    shape = np.stack([jaw, wide, still, 0.25 + 0.75 * hiss, 0.3 * hiss], axis=1)
    return np.asarray(shape * _ramp(db, QUIET_DB, SPEAKING_DB)[:, None], np.float64)


def loudness_db(samples: Pcm, rate_hz: int, at_s: Floats) -> Floats:
    """RMS in dBFS around each moment; what lies outside of the samples is silence."""
    windows = _windows(samples, rate_hz, at_s, LOUDNESS_S)
    weights = np.hanning(windows.shape[1] + 2)[1:-1]
    power = windows**2 @ weights / weights.sum()
    return np.asarray(10 * np.log10(power + 1e-12), np.float64)


def _segments(phonemes: Sequence[Phoneme], seconds: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Begins, ends, shapes and weights; silence reaches to both sides for ever."""
    far = 1e6
    starts = [p.at_s for p in phonemes]
    rows: list[tuple[float, float, tuple[float, ...], float]] = [(-far, starts[0], REST, 1.0)]
    for phoneme, end in zip(phonemes, [*starts[1:], max(seconds, starts[-1])], strict=True):
        parts = targets(phoneme.symbol)
        length = max(end - phoneme.at_s, 0.0) / len(parts)
        for i, part in enumerate(parts):
            begin = phoneme.at_s + i * length
            rows.append((begin, begin + length, part.shape, part.weight))
    rows.append((max(seconds, starts[-1]), far, SILENT.shape, SILENT.weight))
    begins, ends, shapes, weights = zip(*rows, strict=True)
    return np.array(begins), np.array(ends), np.array(shapes), np.array(weights)


def _share(begins: Floats, ends: Floats, at_s: Floats, half_s: float) -> Floats:
    """How much of a raised cosine around each moment lies in each segment."""
    upper = _cosine_below((ends[None, :] - at_s[:, None]) / half_s)
    return upper - _cosine_below((begins[None, :] - at_s[:, None]) / half_s)


def _cosine_below(x: Floats) -> Floats:
    """Area of the raised cosine on -1..1 that lies below x."""
    x = np.clip(x, -1, 1)
    return np.asarray(0.5 + 0.5 * x + np.sin(np.pi * x) / (2 * np.pi), np.float64)


def _opening(db: Floats) -> Floats:
    """0 to 1; loud sounds weigh more than the logarithm would have them."""
    return np.asarray(np.clip((db - QUIET_DB) / (LOUD_DB - QUIET_DB), 0, 1) ** 1.5, np.float64)


def _ramp(value: Floats, low: float, high: float) -> Floats:
    x = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float64)


def _windows(samples: Pcm, rate_hz: int, at_s: Floats, half_s: float) -> Floats:
    """Samples around each moment as -1..1, zeros beyond both ends, shape [moments, width]."""
    half = max(round(half_s * rate_hz), 1)
    first = np.round(at_s * rate_hz).astype(np.int64) - half
    index = first[:, None] + np.arange(2 * half)
    inside = (index >= 0) & (index < len(samples))
    if not len(samples):
        return np.zeros(index.shape)
    found = samples[np.clip(index, 0, len(samples) - 1)] / 32768.0
    return np.asarray(np.where(inside, found, 0.0), np.float64)


def _colour(samples: Pcm, rate_hz: int, at_s: Floats) -> tuple[Floats, Floats]:
    """Roundness (-1..1) and hiss (0..1) of the sound at each moment."""
    windows = _windows(samples, rate_hz, at_s, SPECTRUM_S)
    spectrum = np.abs(np.fft.rfft(windows * np.hanning(windows.shape[1]), axis=1))
    hertz = np.fft.rfftfreq(windows.shape[1], 1 / rate_hz)
    voice = (hertz >= VOICE_HZ[0]) & (hertz < VOICE_HZ[1])
    total = spectrum[:, voice].sum(axis=1) + 1e-9
    centroid = spectrum[:, voice] @ hertz[voice] / total
    wide = np.clip(2 * (centroid - ROUND_HZ) / (SPREAD_HZ - ROUND_HZ) - 1, -1, 1)
    high = spectrum[:, hertz >= VOICE_HZ[1]].sum(axis=1)
    hiss = _ramp(high / (high + total), 0.35, 0.7)
    return wide * (1 - hiss) + 0.4 * hiss, hiss
