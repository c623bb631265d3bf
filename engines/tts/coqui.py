"""The better voice: Coqui's XTTS v2, which can speak like any recording, or a VITS.

All sessions share the model and its one thread, step by step and in turns: whoever has got a piece
stands at the end of the line again. Closing a stream stops its step at the next layer.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Self

import numpy as np

from engines.base import Audio, KnownVoice, Pcm, Voice
from engines.errors import UnknownVoice
from engines.language import language_of
from engines.tts.coqui_loading import Device, load_model
from engines.tts.coqui_model import CoquiModel, Manner, Reading, Sound
from engines.tts.parts import parts
from engines.tts.stand_in import stand_in

ENGINE = "coqui"

PIECE_S = 0.2
"""Longest sound of one `Audio`: five frames of a face."""

TAIL_S = 0.12
"""Silence after a sentence, as espeak's: enough to breathe, short enough that an answer flows."""

TRIAL = {"zh": "你好，我们今天学什么？", "": "Hello, what shall we learn today?"}
"""Spoken to nobody while loading, so that what is missing shows then, and no learner waits until a
GPU has warmed up or a dictionary has been read."""


class CoquiTts:
    """Speaks with one loaded model."""

    def __init__(self, model: CoquiModel) -> None:
        self._model = model
        self._worker = ThreadPoolExecutor(1, "coqui")
        self.kind = model.kind
        self.languages = model.languages
        """ISO 639-1; empty: unknown."""
        self.pace = 0.0
        """Seconds of work for a second of speech, by the trial; above 1 it cannot keep up."""

    @classmethod
    def load(
        cls,
        model: str,
        device: Device = "auto",
        memory_fraction: float = 1.0,
        *,
        licence_agreed: bool = False,
    ) -> Self:
        """As `load_model`, which tells the arguments; also says one sentence to nobody."""
        loaded = cls(load_model(model, device, memory_fraction, licence_agreed))
        loaded.pace = loaded._worker.submit(loaded._try).result()
        return loaded

    @property
    def voices(self) -> list[KnownVoice]:
        language = next(iter(self.languages)) if len(self.languages) == 1 else None
        return [KnownVoice(name, ENGINE, language) for name in self._model.speakers]

    def language(self, sentence: str, voice: Voice) -> str | None:
        """What this sentence would be read as, ISO 639-1; None: this model does not speak it, or
        its language is not known."""
        if voice.language is not None:
            wanted = voice.language.lower().replace("_", "-").split("-")[0]
        elif len(self.languages) == 1 and language_of(sentence) != "zh":
            (wanted,) = self.languages  # Latin letters may be of any language
        else:
            wanted = language_of(sentence)
        return wanted if wanted in self.languages else None

    def speaks(self, sentence: str, voice: Voice) -> bool:
        """Whether it is of a language that this model speaks."""
        return not self.languages or self.language(sentence, voice) is not None

    async def speak(self, sentence: str, voice: Voice) -> AsyncGenerator[Audio, None]:
        """Stream the voice of one sentence. `pitch` cannot be changed. Raises `EngineError`."""
        manner = self._manner(sentence, voice)
        begun = False
        for part in parts(sentence, self._model.characters(manner.language)):
            async with aclosing(self._read(part, manner)) as sounds:
                async for sound in sounds:
                    for piece in pieces(sound, self._model.rate_hz):
                        begun = True
                        yield piece
        if begun:
            yield Audio(
                np.zeros(round(TAIL_S * self._model.rate_hz), np.int16), self._model.rate_hz
            )

    async def _read(self, part: str, manner: Manner) -> AsyncGenerator[Sound, None]:
        loop = asyncio.get_running_loop()
        reading = Reading(self._model, part, manner)
        try:
            while (sound := await loop.run_in_executor(self._worker, reading.step)) is not None:
                yield sound
        finally:
            reading.stop()
            self._worker.submit(reading.close)

    def _manner(self, sentence: str, voice: Voice) -> Manner:
        if not self.speaks(sentence, voice):
            raise UnknownVoice(
                f"{self.kind} does not speak {voice.language or language_of(sentence)!r} here; it "
                f"speaks {', '.join(sorted(self.languages))}."
            )
        cloned = voice.reference if self._model.clones else b""
        return Manner(
            language=self.language(sentence, voice),
            speaker=None if cloned else self._speaker(voice),
            reference=cloned,
            rate=float(np.clip(voice.rate, 0.5, 2.0)),
        )

    def _speaker(self, voice: Voice) -> str | None:
        known = self._model.speakers
        if not known and self._model.clones:
            raise UnknownVoice(
                f"This {self.kind} has no voice of its own. Add one with POST /v1/voices, and name "
                "it in configs/tutors.yaml."
            )
        if not known:
            return None
        if voice.reference or not voice.name:
            return known[0]
        if voice.name in known:
            return voice.name
        if (other := stand_in(voice.name, known)) is not None:
            return other
        raise UnknownVoice(
            f"{self.kind} has no voice {voice.name!r}; it has {', '.join(known)}, and cloned ones: "
            "GET /v1/voices."
        )

    def _try(self) -> float:
        """Speak to nobody; seconds of work for a second of speech, by the last of two sentences."""
        if self._model.clones and not self._model.speakers:
            return 0.0
        usual = "en" if "en" in self.languages else min(self.languages, default=None)
        pace = 0.0
        for language in ("zh" if "zh" in self.languages else usual, usual):
            begin_s = time.perf_counter()
            samples = self._trial(language)
            pace = (time.perf_counter() - begin_s) * self._model.rate_hz / max(1, samples)
        return pace

    def _trial(self, language: str | None) -> int:
        speaker = self._model.speakers[0] if self._model.speakers else None
        text = TRIAL.get(language or "", TRIAL[""])
        reading = Reading(self._model, text, Manner(language, speaker, b"", 1.0))
        samples = 0
        while (sound := reading.step()) is not None:
            samples += len(sound)
        return samples


def pieces(sound: Sound, rate_hz: int) -> Iterator[Audio]:
    """The sound in equal pieces, none of them longer than `PIECE_S`."""
    count = -(-len(sound) // round(PIECE_S * rate_hz))
    samples: Pcm = np.round(np.clip(sound, -1, 1) * 32_767).astype(np.int16)
    for piece in np.array_split(samples, count) if count else ():
        yield Audio(piece, rate_hz)
