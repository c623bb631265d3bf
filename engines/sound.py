"""Cutting and joining sound, phonemes included."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engines.base import Audio, Phoneme


def part(audio: Audio, begin: int, end: int) -> Audio:
    """Samples [begin, end) of a sound, its first phoneme being the one that sounds at `begin`."""
    shift = begin / audio.rate_hz
    limit = end / audio.rate_hz
    sounding: Phoneme | None = None
    kept: list[Phoneme] = []
    for phoneme in audio.phonemes:
        if phoneme.at_s <= shift:
            sounding = phoneme
        elif phoneme.at_s < limit:
            kept.append(replace(phoneme, at_s=phoneme.at_s - shift))
    if sounding is not None:
        kept.insert(0, replace(sounding, at_s=0.0))
    return Audio(audio.samples[begin:end], audio.rate_hz, tuple(kept))


def joined(pieces: Sequence[Audio]) -> Audio:
    """One sound out of consecutive pieces, which must share a sample rate."""
    phonemes: list[Phoneme] = []
    offset = 0
    for piece in pieces:
        if piece.rate_hz != pieces[0].rate_hz:
            raise ValueError(f"cannot join {piece.rate_hz} Hz to {pieces[0].rate_hz} Hz")
        start_s = offset / piece.rate_hz
        phonemes += [replace(phoneme, at_s=phoneme.at_s + start_s) for phoneme in piece.phonemes]
        offset += len(piece.samples)
    samples = np.concatenate([piece.samples for piece in pieces])
    return Audio(samples, pieces[0].rate_hz, tuple(phonemes))
