"""The better ears: Whisper, for many learners at once.

transcribe ─► speech found, cut into windows ─┐                                  ┌► its own
transcribe ─► … each in a thread of its own  ─┼► Together (≤ 8) ─► Decoder, in a ┼► transcript
transcribe ─►                                ─┘    runs of ≤ 8     thread        └►
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Self

from engines.asr.decoding import Asked, Decoder, Heard
from engines.asr.download import Told, demand_files, find_folder
from engines.asr.failure import cannot_load, first_line, is_out_of_memory
from engines.asr.together import Together, Wanted
from engines.asr.whisper_model import (
    MOST_AT_ONCE,
    SMALLER_MODEL,
    Opened,
    WhisperOptions,
    open_model,
    reopened,
)
from engines.asr.windows import Window, windows
from engines.base import Audio, EngineState, Pcm, Transcript, Vocabulary
from engines.errors import EngineError, EngineUnavailable

_log = logging.getLogger(__name__)

LEAST_SPEECH_S = 0.1
"""Shorter than any word."""

NARROW_S = 300.0
"""After the memory did not suffice for a run, so long only shorter runs are made; by then whoever
took it may have given it back."""

Utterance = Sequence[Asked]
"""The windows of one recording, in order."""


class WhisperAsr:
    """Recognise speech in about a hundred languages."""

    def __init__(self, opened: Opened, folder: Path, name: str, options: WhisperOptions) -> None:
        self._opened = opened
        self._folder = folder
        self._name = name
        self._options = options
        self._decoder = self._new_decoder()
        self._languages = frozenset(opened.model.supported_languages)
        self._together = Together[Utterance, Transcript](self._hear, MOST_AT_ONCE)
        self._narrow = MOST_AT_ONCE
        self._narrow_until_s = float("-inf")

    @classmethod
    def load(
        cls, model: str, options: WhisperOptions | None = None, told: Told | None = None
    ) -> Self:
        """Load a local folder or a model of the hub, downloading it when it is not there yet.

        Takes seconds to minutes: call it in a thread; `told` hears how far it is. Raises
        `EngineUnavailable` with what is missing and what to do.
        """
        chosen = options or WhisperOptions()
        folder = find_folder(model, told)
        demand_files(folder)
        try:
            return cls(open_model(folder, chosen), folder, model, chosen)
        except Exception as error:
            # CTranslate2 raises RuntimeError and ValueError, tokenizers a bare Exception.
            raise cannot_load(model, error) from error

    @property
    def state(self) -> EngineState:
        if not self.is_loaded:
            gone = "The memory no longer suffices for the speech model."
            return EngineState("whisper", "unavailable", gone, SMALLER_MODEL)
        how = f"on the {'GPU' if self._opened.device == 'cuda' else 'CPU'}"
        reason = f"Listening with `{self._name}` {how}, in {self._opened.precision}"
        if (largest := self._together.largest) > 1:
            reason = f"{reason}, so far to {largest} learners at once"
        lacks = [self._opened.lack] if self._opened.lack else []
        if (most := self._at_once()) < MOST_AT_ONCE:
            lacks.append(f"The memory only suffices for {most} at once.")
        if lacks:
            return EngineState("whisper", "degraded", " ".join(lacks), SMALLER_MODEL)
        return EngineState("whisper", "ready", f"{reason}.")

    @property
    def is_loaded(self) -> bool:
        """False once the memory did not suffice for any form of the model."""
        return bool(self._opened.model.model.model_is_loaded)

    async def transcribe(
        self, speech: Audio, language: str | None, vocabulary: Vocabulary = ()
    ) -> Transcript:
        """Turn 16 kHz speech into text; silence is the empty text. What is asked at the same time
        is heard at once. Raises `EngineUnavailable` for a language that the model does not know,
        else `EngineError`."""
        known = self._known(language)
        if speech.seconds < LEAST_SPEECH_S:
            return Transcript("")
        try:
            found = await asyncio.to_thread(_spoken, speech.samples)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise self._failure(error) from error
        if not found:
            return Transcript("")
        words = (*self._options.vocabulary, *vocabulary)
        return await self._together.ask([Asked(window, known, words) for window in found])

    def _known(self, language: str | None) -> str | None:
        """The hint when the model can use it, else None: the model then finds out itself."""
        code = (language or "").lower().replace("_", "-").split("-")[0]
        if code and len(self._languages) == 1 and code not in self._languages:
            raise EngineUnavailable(
                f"The speech model `{self._name}` only knows English, not `{language}`; set"
                " WHISPER_MODEL to a model without `.en` in its name."
            )
        return code if code in self._languages else None

    def _new_decoder(self) -> Decoder:
        return Decoder(self._opened.model, word_times=self._options.word_times)

    async def _hear(
        self, utterances: Sequence[Utterance], wanted: Wanted
    ) -> Sequence[Transcript | Exception]:
        return await asyncio.to_thread(self._transcripts, utterances, wanted)

    # ── in a thread, one batch at a time ──────────────────────────────────────────────────────

    def _transcripts(
        self, utterances: Sequence[Utterance], wanted: Wanted
    ) -> list[Transcript | Exception]:
        """The windows of all are worked on side by side. A thread cannot be cancelled, so before
        each run those are left out whom nobody waits for any more, or that have failed."""
        heard: list[list[Heard]] = [[] for _ in utterances]
        failures: dict[int, Exception] = {}
        left = [(number, asked) for number, every in enumerate(utterances) for asked in every]
        while left := [(n, asked) for n, asked in left if wanted(n) and n not in failures]:
            at_once = self._at_once()
            run, left = left[:at_once], left[at_once:]
            for (number, _), found in zip(run, self._run([a for _, a in run]), strict=True):
                if isinstance(found, Exception):
                    failures[number] = found
                else:
                    heard[number].append(found)
        return [failures.get(number) or transcript(parts) for number, parts in enumerate(heard)]

    def _run(self, asked: Sequence[Asked]) -> list[Heard | Exception]:
        """What fails together is tried by halves, so that each has only its own failure. Where the
        memory does not suffice for one, the model is made smaller."""
        try:
            return list(self._decoder.hear(asked))
        except (RuntimeError, ValueError, MemoryError) as error:
            out_of_memory, failure = is_out_of_memory(error), self._failure(error)
        # The error is forgotten here: with it go the frames that still hold memory of the GPU.
        if len(asked) > 1:
            half = len(asked) // 2
            _log.warning("hearing %d and %d: %s", len(asked) - half, half, failure.sentence)
            if out_of_memory:
                self._narrow, self._narrow_until_s = half, time.monotonic() + NARROW_S
            return [*self._run(asked[:half]), *self._run(asked[half:])]
        if out_of_memory and self._shrink():
            return self._run(asked)
        return [failure]

    def _at_once(self) -> int:
        """How many windows are worked on in one run."""
        wide = self._opened.at_once
        return min(self._narrow, wide) if time.monotonic() < self._narrow_until_s else wide

    def _shrink(self) -> bool:
        """Go on in less memory; False: it is not possible."""
        try:
            smaller = reopened(self._folder, self._options, self._opened)
        except (RuntimeError, ValueError, MemoryError) as error:
            _log.error("the speech model could not be opened again: %s", first_line(error))
            return False
        if smaller is None:
            return False
        _log.warning("%s", smaller.lack)
        self._opened = smaller
        self._decoder = self._new_decoder()
        return True

    def _failure(self, error: Exception) -> EngineError:
        remedy = f" {SMALLER_MODEL}" if is_out_of_memory(error) else ""
        return EngineError(f"The speech model `{self._name}` failed ({first_line(error)}).{remedy}")


def _spoken(samples: Pcm) -> list[Window]:
    return list(windows(samples))


def transcript(parts: Iterable[Heard]) -> Transcript:
    """The windows of one recording, put together; without words there is no language either."""
    spoken = [part for part in parts if part.text]
    if not spoken:
        return Transcript("")
    return Transcript(
        " ".join(part.text for part in spoken),
        spoken[0].language,
        tuple(chain.from_iterable(part.words for part in spoken)),
    )
