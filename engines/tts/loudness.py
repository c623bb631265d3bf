"""Every voice at the same loudness, while it is still being made.

    speech ─► how loud is this voice? ─► a gain for the sentence ─► soft limit ─► as all others

How loud a voice is shows only in time, so it is remembered from sentence to sentence: a known voice
has one gain for a whole sentence and cannot pump. In the first sentence of a new voice the gain
follows what has been heard *so far*, which moves less and less and stops after `SETTLED_S`.
Nothing is delayed.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from engines.base import Audio, Pcm, Tts, Voice

Sound = npt.NDArray[np.float32]

TARGET_DB = -20.0
"""Of speech without its pauses, from full scale. Its peaks are some 14 dB higher, so that they stay
just under the limit."""

USUAL_DB = -21.0
"""What a voice is taken to be until it has been heard: about what espeak-ng measures."""

USUAL_WEIGHT_S = 0.1
"""Against what has been heard. One piece alone says little, two say enough."""

SETTLED_S = 2.0
"""So much speech tells a voice's loudness to within a decibel."""

KNOWN_S = 1.0
"""A voice that has been heard for so long keeps one gain for a sentence."""

MEMORY_S = 30.0
"""Newer sentences count against so much of the past."""

GAIN_LIMIT_DB = 15.0
"""More would only lift noise."""

BLOCK_S = 0.05
SILENCE_DB = -55.0
PAUSE_DB = 12.0
"""Blocks that much below the mean are pauses, and do not count (as in EBU R 128)."""

VOICES = 256
"""Remembered at the same time."""

_FULL_SCALE = 32768.0
_KNEE = 0.75  # of full scale: what is softer stays exactly as it is


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of a voice's loudness."""

    level_db: float
    seconds: float
    """Of speech, pauses not counted."""

    def and_then(self, later: "Heard") -> "Heard":
        past_s = min(self.seconds, MEMORY_S)
        total_s = past_s + later.seconds
        level_db = (self.level_db * past_s + later.level_db * later.seconds) / total_s
        return Heard(level_db, total_s)


class Meter:
    """Measures the loudness of one stretch of speech, however it is cut."""

    def __init__(self, rate_hz: int) -> None:
        self._block = round(BLOCK_S * rate_hz)
        self._rest: Sound = np.zeros(0, np.float32)
        self._powers: list[float] = []

    def add(self, sound: Sound) -> None:
        """Full scale is 1."""
        sound = np.concatenate((self._rest, sound))
        count = len(sound) // self._block
        blocks = sound[: count * self._block].reshape(count, self._block)
        self._powers += np.mean(blocks.astype(np.float64) ** 2, axis=1).tolist()
        self._rest = sound[count * self._block :]

    def heard(self) -> Heard | None:
        """None while there is no speech."""
        powers = np.array(self._powers)
        powers = powers[powers > _power(SILENCE_DB)]
        if not len(powers):
            return None
        powers = powers[powers > np.mean(powers) * _power(-PAUSE_DB)]
        return Heard(10 * float(np.log10(np.mean(powers))), len(powers) * BLOCK_S)


class Level:
    """Brings one sentence to `TARGET_DB`."""

    def __init__(self, rate_hz: int, known: Heard | None) -> None:
        """`known`: the voice's loudness by what it has said before, when it has been heard."""
        self._meter = Meter(rate_hz)
        self._known = known if known and known.seconds >= KNOWN_S else None
        self._gain_db: float | None = None
        self._settled = self._known is not None

    def level(self, samples: Pcm) -> Pcm:
        """The next piece, as many samples as came in."""
        sound = samples.astype(np.float32) / _FULL_SCALE
        self._meter.add(sound)
        target_db = self._wanted_db()
        begin_db = target_db if self._gain_db is None else self._gain_db
        self._gain_db = target_db
        ramp = np.linspace(begin_db, target_db, len(sound), dtype=np.float32)
        limited = limit((sound * 10 ** (ramp / 20)).astype(np.float32))
        return np.round(limited * (_FULL_SCALE - 1)).astype(np.int16)

    def heard(self) -> Heard | None:
        """How loud the sentence was before."""
        return self._meter.heard()

    def _wanted_db(self) -> float:
        if self._known is not None:
            return _gain_db(self._known.level_db)
        if self._settled and self._gain_db is not None:
            return self._gain_db
        heard = self._meter.heard()
        if heard is None:
            return _gain_db(USUAL_DB)
        self._settled = heard.seconds >= SETTLED_S
        return _gain_db(Heard(USUAL_DB, USUAL_WEIGHT_S).and_then(heard).level_db)


class LevelledTts:
    """A voice engine, as loud as all others."""

    def __init__(self, tts: Tts) -> None:
        self._tts = tts
        self._heard: OrderedDict[tuple[str, int, str | None], Heard] = OrderedDict()

    async def speak(self, sentence: str, voice: Voice) -> AsyncGenerator[Audio, None]:
        key = (voice.name, hash(voice.reference), voice.language)
        level: Level | None = None
        async with aclosing(_stream(self._tts, sentence, voice)) as pieces:
            async for piece in pieces:
                level = level or Level(piece.rate_hz, self._heard.get(key))
                yield replace(piece, samples=level.level(piece.samples))
        if level is not None and (heard := level.heard()) is not None:
            self._remember(key, heard)

    def _remember(self, key: tuple[str, int, str | None], heard: Heard) -> None:
        known = self._heard.pop(key, None)
        self._heard[key] = known.and_then(heard) if known else heard
        if len(self._heard) > VOICES:
            self._heard.popitem(last=False)


def limit(sound: Sound) -> Sound:
    """Bend what is near full scale, sample by sample: no memory, so nothing can pump."""
    size = np.abs(sound)
    bent = _KNEE + (1 - _KNEE) * np.tanh((size - _KNEE) / (1 - _KNEE))
    limited: Sound = np.where(size > _KNEE, np.sign(sound) * bent, sound).astype(np.float32)
    return limited


def level_db(audio: Audio) -> float | None:
    """Loudness of speech without its pauses, from full scale; None for silence."""
    meter = Meter(audio.rate_hz)
    meter.add(audio.samples.astype(np.float32) / _FULL_SCALE)
    heard = meter.heard()
    return heard.level_db if heard else None


async def _stream(tts: Tts, sentence: str, voice: Voice) -> AsyncGenerator[Audio, None]:
    """Any stream, as one that can be closed."""
    pieces = tts.speak(sentence, voice)
    try:
        async for piece in pieces:
            yield piece
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()


def _gain_db(level_db: float) -> float:
    return float(np.clip(TARGET_DB - level_db, -GAIN_LIMIT_DB, GAIN_LIMIT_DB))


def _power(level_db: float) -> float:
    return float(10 ** (level_db / 10))
