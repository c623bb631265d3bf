"""The better ears: Whisper, for many learners at once.

transcribe ─┐                      ┌► speech found, cut into windows ┐
transcribe ─┼► Together (≤ 8) ── in a thread ─► Decoder, ≤ 8 windows ┴► each its own transcript
transcribe ─┘
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Self

from engines.asr.decoding import Asked, Decoder, Heard
from engines.asr.together import Together, Wanted
from engines.asr.whisper_model import (
    SMALLER_MODEL,
    Opened,
    WhisperOptions,
    demand_files,
    find_folder,
    first_line,
    is_out_of_memory,
    open_model,
    reopened,
)
from engines.asr.windows import windows
from engines.base import Audio, EngineState, Pcm, Transcript
from engines.errors import EngineError, EngineUnavailable

_log = logging.getLogger(__name__)

LEAST_SPEECH_S = 0.1
"""Shorter than any word."""

MOST_AT_ONCE = 8
"""Utterances of a batch, and windows of one run: more gain little, and each must wait for all."""

Utterance = tuple[Pcm, str | None]
"""Samples at 16 kHz, and the language when it is known."""


class WhisperAsr:
    """Recognise speech in about a hundred languages."""

    def __init__(self, opened: Opened, folder: Path, name: str, options: WhisperOptions) -> None:
        self._opened = opened
        self._folder = folder
        self._name = name
        self._options = options
        self._decoder = self._new_decoder()
        self._together = Together[Utterance, Transcript](self._hear, MOST_AT_ONCE)

    @classmethod
    def load(cls, model: str, options: WhisperOptions | None = None) -> Self:
        """Load a local folder or a model of the hub, downloading it when it is not there yet.

        Takes seconds to minutes: call it in a thread. Raises `EngineUnavailable` with what is
        missing and what to do.
        """
        chosen = options or WhisperOptions()
        folder = find_folder(model)
        demand_files(folder)
        try:
            return cls(open_model(folder, chosen), folder, model, chosen)
        except Exception as error:
            # CTranslate2 raises RuntimeError and ValueError, tokenizers a bare Exception.
            raise EngineUnavailable(
                f"The speech model `{model}` could not be loaded ({first_line(error)}); check that"
                " WHISPER_MODEL is a Whisper model in CTranslate2 format that fits this machine."
            ) from error

    @property
    def state(self) -> EngineState:
        if not self._opened.model.model.model_is_loaded:
            gone = "The memory no longer suffices for the speech model."
            return EngineState("whisper", "unavailable", gone, SMALLER_MODEL)
        if self._opened.lack:
            return EngineState("whisper", "degraded", self._opened.lack, SMALLER_MODEL)
        how = f"on the {'GPU' if self._opened.device == 'cuda' else 'CPU'}"
        reason = f"Listening with `{self._name}` {how}, in {self._opened.precision}."
        return EngineState("whisper", "ready", reason)

    async def transcribe(self, speech: Audio, language: str | None) -> Transcript:
        """Turn 16 kHz speech into text; silence is the empty text. What is asked at the same time
        is heard at once."""
        known = self._known(language)
        if speech.seconds < LEAST_SPEECH_S:
            return Transcript("")
        return await self._together.ask((speech.samples, known))

    def _known(self, language: str | None) -> str | None:
        """The hint when the model can use it, else None: the model then finds out itself."""
        code = (language or "").lower().replace("_", "-").split("-")[0]
        known = self._opened.model.supported_languages
        if code and len(known) == 1 and code not in known:
            raise EngineUnavailable(
                f"The speech model `{self._name}` only knows English, not `{language}`; set"
                " WHISPER_MODEL to a model without `.en` in its name."
            )
        return code if code in known else None

    def _new_decoder(self) -> Decoder:
        return Decoder(
            self._opened.model, self._options.vocabulary, word_times=self._options.word_times
        )

    async def _hear(
        self, utterances: Sequence[Utterance], wanted: Wanted
    ) -> Sequence[Transcript | Exception]:
        return await asyncio.to_thread(self._transcripts, utterances, wanted)

    # ── in a thread, one batch at a time ──────────────────────────────────────────────────────

    def _transcripts(
        self, utterances: Sequence[Utterance], wanted: Wanted
    ) -> list[Transcript | Exception]:
        """What fails together is tried one by one, so that each has only its own failure."""
        try:
            return list(self._heard(utterances, wanted))
        except (RuntimeError, ValueError, MemoryError) as error:
            if len(utterances) > 1:
                _log.warning("hearing one by one: %s", first_line(error))
                alone = (self._transcripts([utterance], wanted) for utterance in utterances)
                return list(chain.from_iterable(alone))
            if is_out_of_memory(error) and self._shrink():
                return self._transcripts(utterances, wanted)
            return [self._failure(error)]

    def _heard(self, utterances: Sequence[Utterance], wanted: Wanted) -> Iterator[Transcript]:
        asked = [
            [Asked(window, language) for window in windows(samples)]
            for samples, language in utterances
        ]
        heard = self._runs(list(chain.from_iterable(asked)), wanted)
        for parts in asked:
            yield transcript([next(heard) for _ in parts])

    def _runs(self, asked: Sequence[Asked], wanted: Wanted) -> Iterator[Heard]:
        """Nothing more is worked out once nobody wants it: a thread cannot be cancelled."""
        for begin in range(0, len(asked), MOST_AT_ONCE):
            run = asked[begin : begin + MOST_AT_ONCE]
            yield from self._decoder.hear(run) if wanted() else (Heard("", "") for _ in run)

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
